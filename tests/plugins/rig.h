/* SPDX-License-Identifier: Apache-2.0
 *
 * The rig: an asynchronous plugin for tests.  Memory as a disk, with a thread of its own that carries out and completes
 * every request, limits and capabilities to choose, and faults to order over a socket while it runs (see README.md).
 *
 * One mutex per unit guards all of struct rig.  It is held while the host is called: complete, queue_ready and event
 * only enqueue.
 */
#ifndef TGTKIT_TESTS_RIG_H
#define TGTKIT_TESTS_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#define RIG_FAULTS  16
#define RIG_CLIENTS 8
#define RIG_LINE    256

/* ---- rig_memory.c: the bytes ------------------------------------------------------------------------------------ */

struct rig_memory {
	int fd; /* what is read and written, mapped at `bytes` */
	char *bytes;
	uint64_t length;
	/* With a volatile cache: what survives a power cut, and the pages that a flush has still to copy there. */
	int stable_fd;
	char *stable;
	uint8_t *dirty;
};

/* `backing` NULL or "": anonymous memory.  0 or negative errno, like all below. */
int rig_memory_open(struct rig_memory *memory, const char *backing, uint64_t length, bool is_volatile);
void rig_memory_close(struct rig_memory *memory);
int rig_memory_resize(struct rig_memory *memory, uint64_t length);
int rig_memory_zero(struct rig_memory *memory, uint64_t offset, uint64_t length);
void rig_memory_touch(struct rig_memory *memory, uint64_t offset, uint64_t length);	/* written: now dirty */
void rig_memory_stabilise(struct rig_memory *memory, uint64_t offset, uint64_t length); /* copies what is dirty */
void rig_memory_forget_dirty(struct rig_memory *memory);
void rig_memory_power_cut(struct rig_memory *memory); /* back to what is stable */
int rig_memory_extents(const struct rig_memory *memory, struct tgtkit_request *request);

/* ---- rig.c: units; rig_queue.c: queues and requests
 * --------------------------------------------------------------------------------
 */

enum rig_fault_action { RIG_FAIL, RIG_HANG };

struct rig_fault {
	enum rig_fault_action action;
	uint32_t operation; /* TGTKIT_..., 0: any */
	int status;
	uint64_t count; /* that it will still hit; 0: free */
	uint64_t offset, length;
};

/* In the scratch area of a request. */
struct rig_io {
	struct rig_io *next, *previous;
	struct tgtkit_request *request;
	uint64_t due_ns;
};

struct rig_list {
	struct rig_io *first, *last;
	uint64_t count;
};

struct rig_queue {
	struct rig *rig;
	struct tgtkit_queue *queue;
	struct rig_queue *next;
	bool owes_ready;
};

struct rig_client {
	int fd;		    /* -1: free */
	uint64_t wait_hung; /* answers when so many requests hang; 0: does not wait */
	size_t length;
	char line[RIG_LINE];
};

struct rig {
	const struct tgtkit_host *host;
	struct tgtkit_unit *unit;
	/* Fixed at open. */
	uint32_t flags, offset_alignment, memory_alignment, maximum_transfer, maximum_segments, atomic_write,
	    max_queues;
	uint64_t again_every;
	bool reorder, cancellable;

	pthread_mutex_t lock;
	struct rig_memory memory;
	uint64_t delay_us;
	struct rig_list pending, hung;
	struct rig_queue *queues;
	struct rig_fault faults[RIG_FAULTS];
	uint64_t submitted, refused, violations, completed[TGTKIT_COPY + 1], failed;

	pthread_t thread;
	bool thread_runs, stop;
	int wake_fd;
	char *resize_gate, *close_gate; /* FIFOs, or NULL */
	char *control;			/* path of the socket, NULL: none */
	int listen_fd;
	struct rig_client clients[RIG_CLIENTS];
};

extern const struct tgtkit_async rig_async;
uint64_t rig_now_ns(void);
/* Carries out and completes every request that hangs.  With the lock. */
void rig_release(struct rig *rig);

/* ---- rig_control.c: the thread and its socket
 * ------------------------------------------------------------------------ */

/* 0 or negative errno. */
int rig_control_start(struct rig *rig, const char *path);
void rig_control_stop(struct rig *rig);
void rig_control_wake(struct rig *rig);

/* rig_queue.c's share of the thread: does what is due, with the lock, and returns when the next is (0: nothing waits).
 */
uint64_t rig_run_due(struct rig *rig);

#endif
