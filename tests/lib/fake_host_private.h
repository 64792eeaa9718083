/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the fake host know of each other: fake_host.c (loop and services), fake_host_load.c (plugins),
 * fake_host_io.c (units and requests), fake_host_sync.c (operations), fake_host_values.c (options).
 */
#ifndef TGTKIT_TESTS_FAKE_HOST_PRIVATE_H
#define TGTKIT_TESTS_FAKE_HOST_PRIVATE_H

#include "lib/fake_host.h"

enum { FH_EVENT_LIMIT = TGTKIT_EVENT_ACTIVE + 1 };
enum fh_io_state { FH_IO_IDLE = 0x1d1e, FH_IO_WAITING, FH_IO_IN_FLIGHT, FH_IO_COMPLETED };

struct tgtkit_queue {
	struct fh_unit *unit;
	void *context;
	unsigned agains;  /* on the loop */
	unsigned readies; /* with the lock */
	bool needs_commit, closed;
	struct fh_io *waiting_first, *waiting_last; /* refused with -EAGAIN, or behind one that was */
	uint64_t in_flight;
};

/* Also what struct tgtkit_unit is. */
struct tgtkit_unit {
	unsigned events[FH_EVENT_LIMIT]; /* with the lock */
	bool closed;
	bool opened; /* with the lock */
	uint64_t open_takes_us;
};

struct fh_unit {
	struct tgtkit_unit *unit; /* these two outlive it, to catch late calls */
	struct tgtkit_queue *queue;
	const struct tgtkit_plugin *plugin;
	void *handle;
	void *worker_context;
	struct tgtkit_capabilities capabilities;
	struct tgtkit_region region;
	struct fh_unit *next; /* with a queue open */
};

/* ---- fake_host.c ---- */
extern const struct tgtkit_host fh_services;
void fh_start_loop(void);
struct tgtkit_worker *fh_worker(void);
void fh_turn(int timeout_ms);
void fh_violation(const char *format, ...) TGTKIT_PRINTF(1, 2);
void fh_die(const char *format, ...) TGTKIT_PRINTF(1, 2) __attribute__((noreturn));
bool fh_offloads_are_over(void *context);
void fh_lock(void);
void fh_unlock(void);
uint32_t fh_random(void);

/* ---- fake_host_io.c, called by the loop ---- */
void fh_io_process_completion(struct fh_io *io);
void fh_io_process_ready(struct tgtkit_queue *queue);
void fh_io_commit_and_poll(void);

/* ---- fake_host_sync.c ---- */
/* Memory that some of its operations use. */
struct tgtkit_region fh_region(void);

/* ---- fake_host_values.c ---- */
struct fh_values {
	struct tgtkit_value *values;
	size_t count;
};
/* 0 or -EINVAL with a message. */
int fh_values_parse(const struct tgtkit_plugin *plugin, const struct fh_option *options, struct fh_values *values,
		    struct tgtkit_error *error);
void fh_values_free(struct fh_values *values);

#endif
