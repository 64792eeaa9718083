/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of one unit on one worker: requests go in here when they fit what the plugin declared.  Its worker's thread
 * only, unless a comment says otherwise.
 */
#ifndef TGTKIT_STORE_QUEUE_H
#define TGTKIT_STORE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "store/blocking.h"
#include "store/handle.h"
#include "store/io.h"
#include "store/store.h"
#include "store/worker.h"

/* This is what plugins know as their queue. */
struct tgtkit_queue {
	struct store *store;
	struct tgtkit_worker *worker;
	struct store_context *context;

	/* Async tier. */
	const struct tgtkit_async *async; /* NULL: blocking tier */
	void *queue_context;
	struct store_batch *batch; /* own_batch, or the context's */
	struct store_batch own_batch;
	struct tgtkit_region *regions;
	/* After AGAIN everything waits here, in order, until the plugin has called queue_ready. */
	struct store_io_list backlog;
	bool stalled;
	atomic_bool ready_posted;
	struct rt_post ready;
	void (*closed)(void *context); /* once it is being closed */
	void *closed_context;

	/* Blocking tier. */
	struct store_blocking_queue blocking;
};

/* The unit's queue on this worker, opened if it is not there yet.  NULL with `status`. */
struct tgtkit_queue *store_queue_get(struct store *store, struct tgtkit_worker *worker, int *status);

/* No request is outstanding.  `closed` is called once the queue is gone: at once, or when what is on its way to it has
 * arrived. */
void store_queue_close(struct tgtkit_queue *queue, void (*closed)(void *context), void *context);

/* A request for the plugin: operation, flags, range set by the caller; everything else is zero.  NULL: no memory. */
struct store_io *store_queue_new_io(struct tgtkit_queue *queue);
void store_queue_submit(struct tgtkit_queue *queue, struct store_io *io);
void store_queue_cancel(struct tgtkit_queue *queue, struct store_io *io);

/* From the worker's run of completions: tells the owner. */
void store_queue_io_completed(struct store_io *io);

/* Any thread: what host->complete and host->queue_ready do. */
void store_queue_complete(struct store_io *io, int status);
void store_queue_ready(struct tgtkit_queue *queue);

/* Ends a caller's request on the worker that served it; the one that submitted it is told. */
void store_request_finish(struct store_request *request, int status);

#endif
