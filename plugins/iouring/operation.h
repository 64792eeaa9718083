/* SPDX-License-Identifier: Apache-2.0
 *
 * A request on its way: one or several system calls through the ring, some work on the host's pool, a flush.  It lives
 * in the request's scratch area.
 */
#ifndef TGTKIT_PLUGINS_IOURING_OPERATION_H
#define TGTKIT_PLUGINS_IOURING_OPERATION_H

#include "unit.h"

#define IOURING_SEGMENTS 32u

struct iouring_operation {
	struct iouring_entry entry; /* in the ring */
	struct posix_flush flush;   /* waiting for its turn */
	struct tgtkit_work work;    /* on the pool, or on its way back */
	struct iouring_queue *queue;
	struct tgtkit_request *request;
	enum {
		IOURING_IN_RING,
		IOURING_WAITS_FOR_FLUSH,
		IOURING_ELSEWHERE, /* on the pool; or a flush, which others may share */
		IOURING_ENDED,
	} place;
	bool is_counted; /* among the requests in flight, which are limited */
	bool is_cancelled;
	bool flush_after; /* FUA that has to be made of a flush */
	bool may_wait;	  /* tried again, from a thread of the kernel's for this */
	int stable_fd;	  /* borrowed for a write that syncs itself, or -1 */
	/* Of a read or write: what is left. */
	uint64_t offset;
	int buffer; /* that is registered and holds all of the memory, or -1 */
	uint32_t piece_first, piece_count;
	struct iovec pieces[IOURING_SEGMENTS];
};

/* ---- operation.c: on the worker ---- */
/* The hooks of struct tgtkit_async. */
int iouring_submit(void *queue_context, struct tgtkit_request *request);
void iouring_cancel(void *queue_context, struct tgtkit_request *request);

/* The end of a request that is not counted may come on any thread. */
void iouring_end(struct iouring_operation *operation, int status);
/* What was asked for has been done with `status`; FUA may still need a flush. */
void iouring_change_ended(struct iouring_operation *operation, int status);
void iouring_push(struct iouring_operation *operation, void (*prepare)(struct iouring_entry *, struct io_uring_sqe *),
		  void (*completed)(struct iouring_entry *, int));
void iouring_flush_start(struct iouring_operation *operation);
/* Sets the file of `sqe` to io_fd, however it is known to the ring. */
void iouring_set_file(const struct iouring_operation *operation, struct io_uring_sqe *sqe);
/* Runs `run` on the pool; the operation counts no more. */
void iouring_offload(struct iouring_operation *operation, void (*run)(struct tgtkit_work *work));

/* ---- transfer.c: reads and writes ---- */
void iouring_transfer_start(struct iouring_operation *operation);

/* ---- range.c: discard, zero, extents ---- */
void iouring_range_start(struct iouring_operation *operation);
void iouring_extents_start(struct iouring_operation *operation);

static inline struct iouring_operation *iouring_operation_of(struct iouring_entry *entry)
{
	return (struct iouring_operation *)entry; /* its first member */
}

static inline struct iouring_operation *iouring_operation_at_work(struct tgtkit_work *work)
{
	return (struct iouring_operation *)((char *)work - offsetof(struct iouring_operation, work));
}

#endif
