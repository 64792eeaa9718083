/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin inside the test program: a store in memory that holds every request to what it declared, and that a test can
 * make slow, full, broken or threaded.  One unit at a time.
 */
#ifndef TGTKIT_TESTS_UNIT_STORE_RIG_H
#define TGTKIT_TESTS_UNIT_STORE_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tgtkit/plugin.h>

#include "rt/worker.h"
#include "store/store.h"

#define RIG_BLOCK 512u
#define RIG_HELD  256u

enum rig_mode {
	RIG_INLINE,    /* completes inside submit */
	RIG_AT_COMMIT, /* in any order, when the batch is committed */
	RIG_THREAD,    /* on a thread of the plugin's own */
	RIG_HOLD,      /* when the test says so */
};

struct rig {
	/* Set by the test before it opens the store. */
	struct tgtkit_capabilities capabilities;
	bool blocking;
	bool nowait; /* blocking: offer the calls that never wait */
	bool worker_contexts;
	bool polls; /* complete in poll instead of commit */
	enum rig_mode mode;
	unsigned depth; /* requests that a queue takes before it says AGAIN; 0: any number */
	unsigned seed;
	/* May be changed at any time. */
	atomic_int flush_status, write_status, fua_status, discard_status, open_queue_status;
	atomic_bool stuck; /* blocking: calls wait while this is set */
	/* What the plugin answers to EXTENTS. */
	struct tgtkit_extent extents[8];
	uint32_t extents_count;
	/* Seen. */
	atomic_uint reads, writes, flushes, discards, zeros, extent_queries, commits, cancels, refused;
	atomic_uint queue_opens, queue_closes, worker_opens, worker_closes, opens, closes, reloads, in_call,
	    most_in_call, polled;
	atomic_uint inline_calls;
	uint64_t largest_transfer_bytes;
	uint32_t most_segments;
	uint32_t last_flags; /* of the last change */
	uint64_t resized_to;
	struct tgtkit_unit *unit;
	struct tgtkit_queue *last_queue;
	unsigned region_count, filled_regions;
	int64_t last_number; /* the option, of the last open or reload */
	int open_status, reload_status;

	/* The store. */
	pthread_mutex_t lock;
	unsigned char *data, *stable;
	struct tgtkit_request *held[RIG_HELD];
	unsigned held_count;
	pthread_t thread;
	pthread_cond_t work;
	bool stopping, owes_ready;
};

extern struct rig rig;

/* A clean rig with a store of so many bytes (zeros), no limits, flush and a volatile cache. */
void rig_reset(uint64_t size_bytes);
void rig_free(void);

/* Opens and closes the store that every test uses. */
extern struct store *rig_store;
void rig_open(void);
int rig_try_open(char error[static STORE_ERROR_BYTES]);
void rig_close(void);
const struct store_plugin *rig_plugin(void);

/* One worker that is this thread. */
extern struct rt_worker *rig_worker;
void rig_adopt(void);
void rig_release(void);

/* Runs the loop until the condition holds; fails the test after a generous bound. */
void rig_turn_until(bool (*condition)(void *context), void *context);
void rig_turn(void);

/* With RIG_HOLD: completes the held request of that number, oldest first. */
void rig_complete_held(unsigned index, int status);
void rig_complete_all_held(void);

/* A request of the test's. */
struct rig_request {
	struct store_request request;
	struct tgtkit_segment segment;
	atomic_bool done;
	unsigned order; /* 1: the first that was told */
	unsigned done_on_worker;
};

void rig_submit(struct rig_request *request, uint32_t operation, uint32_t flags, uint64_t offset, void *data,
		uint64_t length);
bool rig_is_done(void *request);
/* Submits it, and runs the loop until it is done.  Returns its status. */
int rig_do(uint32_t operation, uint32_t flags, uint64_t offset, void *data, uint64_t length);

/* With workers that have threads: runs the function on one of them, and waits for its end. */
void rig_run_on(unsigned worker, void (*function)(void *context), void *context);
void rig_wait_done(struct rig_request *request);

#endif
