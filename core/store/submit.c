/* SPDX-License-Identifier: Apache-2.0
 *
 * The way in: a caller's request goes to the worker that serves the unit, and there straight to the plugin if it fits,
 * or else to an operation of several steps.
 */
#include <errno.h>
#include <stdlib.h>

#include "store/extents.h"
#include "store/operation.h"
#include "store/queue.h"

/* ---- Does it fit? --------------------------------------------------------------------------------------------------
 */

static bool memory_fits(const struct store_limits *limits, const struct store_request *request)
{
	if (request->segment_count > limits->maximum_segments || request->length > limits->maximum_transfer_bytes)
		return false;
	if ((limits->address_mask | limits->length_mask) == 0)
		return true;
	for (uint32_t i = 0; i < request->segment_count; i++) {
		if (((uintptr_t)request->segments[i].address & limits->address_mask) ||
		    (request->segments[i].length & limits->length_mask))
			return false;
	}
	return true;
}

static bool needs_flush_after(const struct store *store, const struct store_request *request)
{
	return (request->flags & TGTKIT_REQUEST_FUA) && !store_can(store, TGTKIT_CAN_FUA) &&
	       store_can(store, TGTKIT_CAN_FLUSH);
}

static bool fits(const struct store *store, const struct store_request *request)
{
	const struct store_limits *limits = &store->limits;
	const uint32_t misaligned = limits->offset_alignment_bytes - 1;

	switch ((enum tgtkit_operation)request->operation) {
	case TGTKIT_READ:
		return ((request->offset | request->length) & misaligned) == 0 && memory_fits(limits, request);
	case TGTKIT_WRITE:
		return !limits->read_modify_write && !needs_flush_after(store, request) && memory_fits(limits, request);
	case TGTKIT_DISCARD:
		return !limits->read_modify_write && !needs_flush_after(store, request) &&
		       request->length <= limits->maximum_discard_bytes;
	case TGTKIT_ZERO:
		return store_can(store, TGTKIT_CAN_ZERO) && !limits->read_modify_write &&
		       !needs_flush_after(store, request) && request->length <= limits->maximum_zero_bytes;
	case TGTKIT_FLUSH:
		return store_can(store, TGTKIT_RETAINS_DIRTY);
	default:
		return true;
	}
}

static uint32_t flags_to_pass(const struct store *store, const struct store_request *request)
{
	uint32_t flags = 0;

	if (request->flags == 0 || request->operation == TGTKIT_READ)
		return 0;
	if (store_can(store, TGTKIT_CAN_FUA))
		flags |= TGTKIT_REQUEST_FUA;
	if (request->operation == TGTKIT_ZERO)
		flags |= TGTKIT_REQUEST_MAY_UNMAP;
	return request->flags & flags;
}

/* ---- On the worker that serves it ----------------------------------------------------------------------------------
 */

static void submit_as_it_is(struct tgtkit_queue *queue, struct store_request *request)
{
	struct store_io *io = store_queue_new_io(queue);

	if (__builtin_expect(io == NULL, 0)) {
		store_request_finish(request, -ENOMEM);
		return;
	}
	io->owner = request;
	io->request.operation = request->operation;
	io->request.flags = flags_to_pass(queue->store, request);
	io->request.offset = request->offset;
	io->request.length = request->length;
	io->request.segments = request->segments;
	io->request.segment_count = request->segment_count;
	io->request.deadline_ns = request->deadline_ns;
	io->request.extents = request->extents;
	io->request.extents_capacity = request->extents_capacity;
	request->io = io;
	store_queue_submit(queue, io);
}

#define NOT_ANSWERED 1

static int check_change(const struct store *store)
{
	if (__builtin_expect(store_can(store, TGTKIT_READ_ONLY), 0))
		return -EROFS;
	return __builtin_expect(store_has_failed(store), 0) ? -EIO : NOT_ANSWERED;
}

static int answer_extents(const struct store *store, struct store_request *request)
{
	if (request->extents_capacity == 0 || request->length == 0)
		return -EINVAL;
	if (store_can(store, TGTKIT_CAN_EXTENTS))
		return NOT_ANSWERED;
	request->extents_count = store_extents_all_data(request->extents, request->offset, request->length);
	return 0;
}

/* What needs no plugin: the status, or NOT_ANSWERED. */
static int answer_at_once(const struct store *store, struct store_request *request)
{
	int status = NOT_ANSWERED;

	switch ((enum tgtkit_operation)request->operation) {
	case TGTKIT_READ:
		break;
	case TGTKIT_WRITE:
	case TGTKIT_ZERO:
		status = check_change(store);
		break;
	case TGTKIT_DISCARD:
		status = store_can(store, TGTKIT_CAN_DISCARD) ? check_change(store) : -EOPNOTSUPP;
		break;
	case TGTKIT_FLUSH:
		if (store_has_failed(store))
			return -EIO;
		return store_can(store, TGTKIT_CAN_FLUSH) ? NOT_ANSWERED : 0;
	case TGTKIT_EXTENTS:
		return answer_extents(store, request);
	default:
		return -EOPNOTSUPP;
	}
	return status == NOT_ANSWERED && request->length == 0 ? 0 : status;
}

static void serve(struct tgtkit_worker *worker, struct store_request *request)
{
	struct store *store = request->store;
	int status = answer_at_once(store, request);
	struct tgtkit_queue *queue;

	if (__builtin_expect(status != NOT_ANSWERED, 0)) {
		store_request_finish(request, status);
		return;
	}
	queue = store_queue_get(store, worker, &status);
	if (__builtin_expect(queue == NULL, 0))
		store_request_finish(request, status);
	else if (__builtin_expect(fits(store, request), 1))
		submit_as_it_is(queue, request);
	else
		store_operation_start(queue, request);
}

static void arrived(struct rt_post *self)
{
	serve(store_worker_current(), RT_CONTAINER_OF(self, struct store_request, post));
}

/* ---- On the caller's worker ----------------------------------------------------------------------------------------
 */

/* The index of the worker that serves the unit for this one. */
static uint32_t serving_worker(struct store *store, const struct tgtkit_worker *worker)
{
	uint32_t max_queues = store->capabilities.max_queues, index = worker->worker->index;
	uint32_t home = STORE_NO_WORKER;

	if (max_queues == 0)
		return index;
	if (max_queues > 1)
		return index % max_queues;
	home = atomic_load_explicit(&store->home_worker, memory_order_relaxed);
	if (home == STORE_NO_WORKER && atomic_compare_exchange_strong(&store->home_worker, &home, index))
		return index;
	return home;
}

void store_submit(struct store *store, struct store_request *request)
{
	struct tgtkit_worker *worker = store_worker_current();
	uint32_t serving = serving_worker(store, worker);

	request->store = store;
	request->origin = worker;
	request->io = NULL;
	request->steps = NULL;
	request->extents_count = 0;
	request->cancelling = false;
	request->returned = false;
	if (__builtin_expect(serving == worker->worker->index, 1)) {
		serve(worker, request);
		return;
	}
	request->post.run = arrived;
	rt_loop_post(store_worker_loop(serving), &request->post);
}

/* ---- Cancelling ----------------------------------------------------------------------------------------------------
 */

static void cancel_here(struct store_request *request)
{
	if (request->steps != NULL)
		store_operation_cancel(request->steps);
	else if (request->io != NULL)
		store_queue_cancel(request->io->queue, request->io);
}

/* To the worker that serves the request, and back: the request stays until it has returned, whatever comes first. */
struct cancel_message {
	struct rt_post post;
	struct store_request *request;
};

static void cancel_returned(struct rt_post *self)
{
	struct cancel_message *message = RT_CONTAINER_OF(self, struct cancel_message, post);
	struct store_request *request = message->request;

	free(message);
	request->cancelling = false;
	if (request->returned)
		store_worker_finish(request->origin, request);
}

static void cancel_arrived(struct rt_post *self)
{
	struct cancel_message *message = RT_CONTAINER_OF(self, struct cancel_message, post);

	cancel_here(message->request);
	message->post.run = cancel_returned;
	rt_loop_post(message->request->origin->loop, &message->post);
}

void store_cancel(struct store_request *request)
{
	struct tgtkit_worker *worker = store_worker_current();
	uint32_t serving = serving_worker(request->store, worker);
	struct cancel_message *message;

	if (serving == worker->worker->index) {
		cancel_here(request);
		return;
	}
	/* One that is being told of its end already has left the other worker for good. */
	if (request->cancelling || request->returned)
		return;
	message = malloc(sizeof(*message));
	if (message == NULL)
		return;
	message->request = request;
	message->post.run = cancel_arrived;
	request->cancelling = true;
	rt_loop_post(store_worker_loop(serving), &message->post);
}
