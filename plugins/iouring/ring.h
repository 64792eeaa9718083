/* SPDX-License-Identifier: Apache-2.0
 *
 * One io_uring per worker, shared by all units: it submits what a batch has queued with one system call, and tells
 * each entry its result.  All of it on the worker's own thread.
 */
#ifndef TGTKIT_PLUGINS_IOURING_RING_H
#define TGTKIT_PLUGINS_IOURING_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#include "buffers.h"

#define IOURING_FILE_SLOTS 256u

/* Something to be done by the kernel. */
struct iouring_entry {
	/* Fills `sqe` by one of liburing's io_uring_prep_...; its user_data is the ring's. */
	void (*prepare)(struct iouring_entry *self, struct io_uring_sqe *sqe);
	/* With what the system call would have returned, or -errno.  May push the entry again. */
	void (*completed)(struct iouring_entry *self, int result);
	struct iouring_entry *next; /* private */
};

/* Asked after completions whether it has got what it waits for; false: it waits on. */
struct iouring_waiter {
	bool (*retry)(struct iouring_waiter *self);
	struct iouring_waiter *next; /* private */
};

struct iouring_ring {
	const struct tgtkit_host *host;
	struct io_uring uring;
	struct tgtkit_watch *watch;
	struct tgtkit_timer *resubmit; /* when the kernel has no memory for what is in the queue */
	bool is_stuck;		       /* `resubmit` is armed */
	/* Of requests, which the queues count; a limit keeps their completions within the completion queue. */
	uint32_t in_flight, limit;
	struct iouring_entry *delayed_first, *delayed_last; /* the submission queue had no room */
	struct iouring_waiter *waiters;
	struct iouring_buffers buffers;
	uint64_t free_slots[IOURING_FILE_SLOTS / 64];
};

/* Whether this process may use io_uring at all: 0, or a negative errno and why.  Any thread. */
int iouring_ring_try(struct tgtkit_error *error);

/* The hooks worker_open and worker_close, for this host. */
int iouring_ring_open(const struct tgtkit_host *host, struct tgtkit_worker *worker, struct iouring_ring **ring);
void iouring_ring_close(struct iouring_ring *ring);

/* Queues an entry; iouring_ring_commit submits it. */
void iouring_ring_push(struct iouring_ring *ring, struct iouring_entry *entry);
/* Submits what is queued, and handles what has completed. */
void iouring_ring_commit(struct iouring_ring *ring);
/* Asks the kernel to give up an entry that was pushed; best effort. */
void iouring_ring_cancel(struct iouring_ring *ring, struct iouring_entry *entry);

void iouring_ring_wait(struct iouring_ring *ring, struct iouring_waiter *waiter);
void iouring_ring_stop_waiting(struct iouring_ring *ring,
			       struct iouring_waiter *waiter); /* safe on one that does not */

/* Registers a file, which saves looking it up for each request.  Its slot, or -1: use the descriptor itself.  The
 * kernel may keep the file open for a while after its removal. */
int iouring_ring_add_file(struct iouring_ring *ring, int fd);
void iouring_ring_remove_file(struct iouring_ring *ring, int slot); /* -1: nothing */

#endif
