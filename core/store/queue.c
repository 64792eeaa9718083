/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "store/extents.h"
#include "store/operation.h"

/* ---- Opening and closing -------------------------------------------------------------------------------------------
 */

/* Regions stand in worker order, as segments name theirs by worker.  A queue of its own worker's requests sees that
 * worker's memory only: the other entries are empty. */
static struct tgtkit_region *list_regions(const struct store *store, const struct tgtkit_worker *worker, unsigned count)
{
	struct tgtkit_region *regions = calloc(count, sizeof(*regions));
	bool from_all = store->capabilities.max_queues != 0;

	for (unsigned i = 0; regions != NULL && i < count; i++) {
		if (from_all || i == worker->worker->index)
			regions[i] = rt_memory_region(rt_worker_get(i)->memory);
	}
	return regions;
}

static int open_async(struct tgtkit_queue *queue)
{
	const unsigned region_count = rt_workers_count();
	struct tgtkit_queue_open_args args = {
	    .size = sizeof(args),
	    .queue = queue,
	    .worker = queue->worker,
	    .worker_context = queue->context->worker_context,
	    .region_count = region_count,
	};
	int status;

	queue->regions = list_regions(queue->store, queue->worker, region_count);
	if (queue->regions == NULL)
		return -ENOMEM;
	args.regions = queue->regions;
	status = queue->async->queue_open(queue->store->handle, &args, &queue->queue_context);
	if (status != 0)
		return status < 0 ? status : -EIO;
	store_batch_init(&queue->own_batch, queue->async, queue->queue_context, queue->worker->loop);
	queue->batch = queue->async->worker_open != NULL ? &queue->context->batch : &queue->own_batch;
	return 0;
}

static void free_queue(struct tgtkit_queue *queue)
{
	store_context_put(queue->context);
	free(queue->regions);
	free(queue);
}

static void run_ready(struct rt_post *self);

static int open_queue(struct store *store, struct tgtkit_worker *worker, struct tgtkit_queue **opened)
{
	struct tgtkit_queue *queue = calloc(1, sizeof(*queue));
	int status;

	if (queue == NULL)
		return -ENOMEM;
	queue->store = store;
	queue->worker = worker;
	queue->async = store->descriptor->async;
	queue->ready.run = run_ready;
	status = store_context_get(worker, store->descriptor, &queue->context);
	if (status != 0) {
		free(queue);
		return status;
	}
	if (queue->async != NULL)
		status = open_async(queue);
	else
		store_blocking_queue_init(&queue->blocking, store->descriptor->blocking);
	if (status != 0) {
		free_queue(queue);
		return status;
	}
	*opened = queue;
	return 0;
}

struct tgtkit_queue *store_queue_get(struct store *store, struct tgtkit_worker *worker, int *status)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(1);
	_Atomic(struct tgtkit_queue *) *slot = &store->queues[worker->worker->index];
	struct tgtkit_queue *queue = atomic_load_explicit(slot, memory_order_relaxed);

	if (__builtin_expect(queue != NULL, 1))
		return queue;
	*status = open_queue(store, worker, &queue);
	if (*status != 0) {
		rt_log_limited_about(&limit, RT_ABOUT(.unit = store->unit.name), RT_LOG_ERROR,
				     "%s: cannot open an I/O queue: %s", store->unit.name, strerror(-*status));
		return NULL;
	}
	atomic_store_explicit(slot, queue, memory_order_release);
	return queue;
}

static void finish_close(struct tgtkit_queue *queue)
{
	void (*closed)(void *context) = queue->closed;
	void *context = queue->closed_context;

	free_queue(queue);
	closed(context);
}

void store_queue_close(struct tgtkit_queue *queue, void (*closed)(void *context), void *context)
{
	assert(queue->backlog.first == NULL);
	atomic_store_explicit(&queue->store->queues[queue->worker->worker->index], NULL, memory_order_relaxed);
	queue->closed = closed;
	queue->closed_context = context;
	rt_deferred_cancel(&queue->own_batch.commit);
	rt_deferred_cancel(&queue->blocking.hand_over);
	if (queue->async != NULL)
		queue->async->queue_close(queue->queue_context);
	if (!atomic_load(&queue->ready_posted))
		finish_close(queue);
}

/* ---- Submitting ----------------------------------------------------------------------------------------------------
 */

struct store_io *store_queue_new_io(struct tgtkit_queue *queue)
{
	struct store_io *io = rt_slab_take(&queue->context->ios);

	if (__builtin_expect(io == NULL, 0))
		return NULL;
	io->request = (struct tgtkit_request){.scratch = io->scratch};
	io->queue = queue;
	io->owner = NULL;
	io->steps = NULL;
	io->segments_done = 0;
	io->bytes_done_in_segment = 0;
	return io;
}

/* Counted as in flight from before the call: the completion may come first. */
static void count_in(struct store_batch *batch)
{
	if (batch->in_flight++ == 0 && batch->async->poll != NULL)
		rt_poller_add(batch->loop, &batch->poller);
}

static void count_out(struct store_batch *batch)
{
	assert(batch->in_flight > 0);
	if (--batch->in_flight == 0 && batch->async->poll != NULL)
		rt_poller_remove(&batch->poller);
}

/* false: the plugin takes nothing now, and owes a queue_ready. */
static bool submit_async(struct tgtkit_queue *queue, struct store_io *io)
{
	struct store_batch *batch = queue->batch;
	int status;

	count_in(batch);
	status = queue->async->submit(queue->queue_context, &io->request);
	if (__builtin_expect(status == -EAGAIN, 0)) {
		count_out(batch);
		return false;
	}
	if (__builtin_expect(status != 0, 0)) {
		io->status = status < 0 ? status : -EIO;
		store_worker_complete(queue->worker, io);
		return true;
	}
	if (queue->async->commit != NULL)
		rt_loop_defer(batch->loop, RT_PHASE_COMMIT, &batch->commit);
	return true;
}

void store_queue_submit(struct tgtkit_queue *queue, struct store_io *io)
{
	if (queue->async == NULL) {
		store_blocking_submit(queue, io);
		return;
	}
	if (__builtin_expect(!queue->stalled, 1) && submit_async(queue, io))
		return;
	queue->stalled = true;
	store_io_append(&queue->backlog, io);
}

static void submit_backlog(struct tgtkit_queue *queue)
{
	struct store_io *io;

	while ((io = queue->backlog.first) != NULL) {
		/* Off the list first: a refused request goes back to its head. */
		store_io_take_first(&queue->backlog);
		if (submit_async(queue, io))
			continue;
		io->next = queue->backlog.first;
		if (queue->backlog.first == NULL)
			queue->backlog.last = io;
		queue->backlog.first = io;
		return;
	}
	queue->stalled = false;
}

static void run_ready(struct rt_post *self)
{
	struct tgtkit_queue *queue = RT_CONTAINER_OF(self, struct tgtkit_queue, ready);

	atomic_store(&queue->ready_posted, false);
	if (queue->closed != NULL)
		finish_close(queue);
	else if (queue->stalled)
		submit_backlog(queue);
}

void store_queue_ready(struct tgtkit_queue *queue)
{
	if (!atomic_exchange(&queue->ready_posted, true))
		rt_loop_post(queue->worker->loop, &queue->ready);
}

void store_queue_cancel(struct tgtkit_queue *queue, struct store_io *io)
{
	if (queue->async == NULL) {
		store_blocking_cancel(queue, io);
		return;
	}
	if (store_io_take(&queue->backlog, io)) {
		count_in(queue->batch);
		io->status = -ECANCELED;
		store_worker_complete(queue->worker, io);
		return;
	}
	if (queue->async->cancel != NULL)
		queue->async->cancel(queue->queue_context, &io->request);
}

/* ---- Completing ----------------------------------------------------------------------------------------------------
 */

static void completed_elsewhere(struct rt_post *self)
{
	struct store_io *io = RT_CONTAINER_OF(self, struct store_io, completed_elsewhere);

	store_worker_complete(io->queue->worker, io);
}

void store_queue_complete(struct store_io *io, int status)
{
	struct tgtkit_worker *worker = io->queue->worker;

	io->status = status <= 0 ? status : -EIO;
	if (rt_worker_current() == worker->worker) {
		store_worker_complete(worker, io);
		return;
	}
	/* One wake-up serves all that arrive before the worker has looked. */
	io->completed_elsewhere.run = completed_elsewhere;
	rt_loop_post(worker->loop, &io->completed_elsewhere);
}

static void request_returned(struct rt_post *self)
{
	struct store_request *request = RT_CONTAINER_OF(self, struct store_request, post);

	request->returned = true;
	if (!request->cancelling)
		store_worker_finish(request->origin, request);
}

void store_request_finish(struct store_request *request, int status)
{
	request->status = status;
	request->io = NULL;
	request->steps = NULL;
	if (rt_worker_current() == request->origin->worker) {
		store_worker_finish(request->origin, request);
		return;
	}
	request->post.run = request_returned;
	rt_loop_post(request->origin->loop, &request->post);
}

static int status_of(struct store_io *io)
{
	struct store *store = io->queue->store;

	if (__builtin_expect(io->request.operation <= TGTKIT_WRITE && io->status == 0, 1))
		return 0;
	if (io->request.operation == TGTKIT_FLUSH)
		return store_flush_result(store, io->status);
	/* Linux may have told this write of a failed write-back that concerns others, and will tell no one else. */
	if (io->status == -EIO && (io->request.flags & TGTKIT_REQUEST_FUA) && store_can(store, TGTKIT_VOLATILE_CACHE))
		return store_flush_result(store, io->status);
	if (io->request.operation == TGTKIT_EXTENTS && io->status == 0)
		store_extents_clip(&io->request, store->unit.name);
	return io->status;
}

void store_queue_io_completed(struct store_io *io)
{
	struct tgtkit_queue *queue = io->queue;
	struct store_request *request = io->owner;
	int status = status_of(io);

	if (queue->async != NULL)
		count_out(queue->batch);
	if (__builtin_expect(request == NULL, 0)) {
		store_operation_io_completed(io, status);
		return;
	}
	request->extents_count = io->request.extents_count;
	rt_slab_give(&queue->context->ios, io);
	if (__builtin_expect(request->origin != queue->worker, 0)) {
		store_request_finish(request, status);
		return;
	}
	request->status = status;
	request->io = NULL;
	request->done(request);
}
