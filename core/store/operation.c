/* SPDX-License-Identifier: Apache-2.0 */
#include "store/operation.h"

#include <errno.h>

#include "rt/bytes.h"
#include "store/queue.h"

static void end(struct store_operation *operation)
{
	struct tgtkit_worker *worker = operation->queue->worker;
	struct store_request *request = operation->request;
	int status = operation->status;

	store_bounce_free(operation);
	if (operation->holds_range)
		store_range_release(&operation->queue->store->ranges, &operation->range);
	rt_slab_give(&worker->steps, operation);
	store_request_finish(request, status);
}

void store_operation_fail(struct store_operation *operation, int status)
{
	operation->status = status;
	end(operation);
}

bool store_operation_has_ended(struct store_operation *operation)
{
	if (operation->cancelled && operation->status == 0)
		operation->status = -ECANCELED;
	if (operation->status == 0)
		return false;
	end(operation);
	return true;
}

/* ---- Requests of a step --------------------------------------------------------------------------------------------
 */

void store_operation_submit(struct store_operation *operation, uint32_t what, uint64_t offset, uint64_t length,
			    const struct tgtkit_segment *segments, uint32_t segment_count)
{
	struct store_io *io = store_queue_new_io(operation->queue);

	if (io == NULL) {
		operation->status = -ENOMEM;
		return;
	}
	io->steps = operation;
	io->request.operation = what;
	io->request.flags = what == operation->operation ? operation->flags : 0;
	io->request.offset = offset;
	io->request.length = length;
	io->request.segments = segments;
	io->request.segment_count = segment_count;
	io->request.deadline_ns = operation->request->deadline_ns;
	operation->outstanding++;
	rt_list_append(&operation->ios, &io->in_steps);
	store_queue_submit(operation->queue, io);
}

static void leave_flush_gate(struct store_operation *operation, int status)
{
	operation->gated_flush = false;
	store_flush_gate_leave(&operation->queue->store->flushes, &operation->flush, status);
}

void store_operation_io_completed(struct store_io *io, int status)
{
	struct store_operation *operation = io->steps;

	rt_list_remove(&io->in_steps);
	rt_slab_give(&operation->queue->context->ios, io);
	if (operation->gated_flush)
		leave_flush_gate(operation, status);
	if (status != 0 && operation->status == 0)
		operation->status = status;
	if (--operation->outstanding == 0)
		operation->next_step(operation);
}

/* ---- Flush ---------------------------------------------------------------------------------------------------------
 */

static void end_step(struct store_operation *operation)
{
	end(operation);
}

static void submit_flush(struct store_operation *operation)
{
	operation->next_step = end_step;
	store_operation_submit(operation, TGTKIT_FLUSH, 0, 0, NULL, 0);
	if (operation->outstanding > 0)
		return;
	if (operation->gated_flush)
		leave_flush_gate(operation, operation->status);
	end(operation);
}

static void flush_proceeds(struct rt_post *self)
{
	struct store_operation *operation = RT_CONTAINER_OF(self, struct store_operation, proceed);

	operation->waits_for = STORE_WAITS_NOT;
	if (operation->flush.status != STORE_FLUSH_YOURSELF) {
		operation->status = operation->flush.status;
		end(operation);
		return;
	}
	operation->gated_flush = true;
	submit_flush(operation);
}

static void post_flush(struct store_flush_wish *self)
{
	struct store_operation *operation = RT_CONTAINER_OF(self, struct store_operation, flush);

	operation->proceed.run = flush_proceeds;
	rt_loop_post(operation->queue->worker->loop, &operation->proceed);
}

static void flush_step(struct store_operation *operation)
{
	struct store *store = operation->queue->store;

	if (!operation->flush_after) {
		end(operation);
		return;
	}
	if (!store_can(store, TGTKIT_RETAINS_DIRTY)) {
		operation->flush.proceed = post_flush;
		operation->waits_for = STORE_WAITS_FOR_FLUSH;
		if (!store_flush_gate_enter(&store->flushes, &operation->flush))
			return;
		operation->waits_for = STORE_WAITS_NOT;
		operation->gated_flush = true;
	}
	submit_flush(operation);
}

/* ---- Data ----------------------------------------------------------------------------------------------------------
 */

static uint64_t submit_ranges(struct store_operation *operation, uint64_t offset, uint64_t length)
{
	const struct store_limits *limits = &operation->queue->store->limits;
	uint64_t most =
	    operation->operation == TGTKIT_DISCARD ? limits->maximum_discard_bytes : limits->maximum_zero_bytes;
	uint64_t done = 0;

	while (done < length && operation->outstanding < STORE_STEP_REQUESTS && operation->status == 0) {
		uint64_t bytes = length - done < most ? length - done : most;

		store_operation_submit(operation, operation->operation, offset + done, bytes, NULL, 0);
		done += bytes;
	}
	return done;
}

static uint64_t submit_data(struct store_operation *operation, uint64_t offset, uint64_t length)
{
	switch (operation->operation) {
	case TGTKIT_READ:
	case TGTKIT_WRITE:
		return store_operation_transfer(operation, operation->operation, offset, length, &operation->data);
	default:
		return submit_ranges(operation, offset, length);
	}
}

void store_operation_continue(struct store_operation *operation)
{
	const struct store_request *request = operation->request;

	if (store_operation_has_ended(operation))
		return;
	if (operation->done_bytes == request->length) {
		flush_step(operation);
		return;
	}
	operation->next_step = store_operation_continue;
	operation->done_bytes +=
	    submit_data(operation, request->offset + operation->done_bytes, request->length - operation->done_bytes);
	if (operation->outstanding > 0)
		return;
	if (operation->status != 0)
		end(operation);
	else
		store_bounce_start(operation);
}

/* ---- Life ----------------------------------------------------------------------------------------------------------
 */

static void range_proceeds(struct rt_post *self)
{
	struct store_operation *operation = RT_CONTAINER_OF(self, struct store_operation, proceed);

	operation->waits_for = STORE_WAITS_NOT;
	operation->holds_range = true;
	store_operation_continue(operation);
}

static void range_granted(struct store_range *self)
{
	struct store_operation *operation = RT_CONTAINER_OF(self, struct store_operation, range);

	operation->proceed.run = range_proceeds;
	rt_loop_post(operation->queue->worker->loop, &operation->proceed);
}

/* A read-modify-write puts back what it found beside its data, so that nothing else may change that meanwhile. */
static bool wait_for_range(struct store_operation *operation)
{
	const struct store_request *request = operation->request;
	struct store *store = operation->queue->store;
	uint32_t alignment = store->limits.offset_alignment_bytes;

	if (!store->limits.read_modify_write || operation->operation == TGTKIT_READ || request->length == 0)
		return false;
	operation->range.start = rt_round_down(request->offset, alignment);
	operation->range.end = rt_round_up(request->offset + request->length, alignment);
	operation->range.granted = range_granted;
	operation->waits_for = STORE_WAITS_FOR_RANGE;
	if (!store_range_acquire(&store->ranges, &operation->range))
		return true;
	operation->waits_for = STORE_WAITS_NOT;
	operation->holds_range = true;
	return false;
}

/* What the plugin gets for it. */
static uint32_t translate(const struct store *store, const struct store_request *request)
{
	if (request->operation != TGTKIT_ZERO || store_can(store, TGTKIT_CAN_ZERO))
		return request->operation;
	if ((request->flags & TGTKIT_REQUEST_MAY_UNMAP) && store_can(store, TGTKIT_CAN_DISCARD) &&
	    store_can(store, TGTKIT_DISCARD_READS_ZERO))
		return TGTKIT_DISCARD;
	return TGTKIT_WRITE;
}

static void set_flags(struct store_operation *operation, const struct store *store, const struct store_request *request)
{
	bool is_change = operation->operation != TGTKIT_READ && operation->operation != TGTKIT_FLUSH;

	if (operation->operation == TGTKIT_ZERO)
		operation->flags = request->flags & TGTKIT_REQUEST_MAY_UNMAP;
	if (operation->operation == TGTKIT_FLUSH)
		operation->flush_after = true;
	if (!is_change || !(request->flags & TGTKIT_REQUEST_FUA))
		return;
	if (store_can(store, TGTKIT_CAN_FUA))
		operation->flags |= TGTKIT_REQUEST_FUA;
	else
		operation->flush_after = store_can(store, TGTKIT_CAN_FLUSH);
}

void store_operation_start(struct tgtkit_queue *queue, struct store_request *request)
{
	struct store_operation *operation = rt_slab_take(&queue->worker->steps);

	if (operation == NULL) {
		store_request_finish(request, -ENOMEM);
		return;
	}
	*operation = (struct store_operation){
	    .request = request,
	    .queue = queue,
	    .operation = translate(queue->store, request),
	};
	if (request->operation == TGTKIT_READ || request->operation == TGTKIT_WRITE) {
		operation->data.segments = request->segments;
		operation->data.count = request->segment_count;
	}
	set_flags(operation, queue->store, request);
	rt_list_init(&operation->ios);
	request->steps = operation;
	if (!wait_for_range(operation))
		store_operation_continue(operation);
}

void store_operation_cancel(struct store_operation *operation)
{
	struct tgtkit_queue *queue = operation->queue;
	bool is_out = false;

	operation->cancelled = true;
	switch (operation->waits_for) {
	case STORE_WAITS_FOR_RANGE:
		is_out = store_range_cancel(&queue->store->ranges, &operation->range);
		break;
	case STORE_WAITS_FOR_FLUSH:
		is_out = store_flush_gate_cancel(&queue->store->flushes, &operation->flush);
		break;
	case STORE_WAITS_FOR_MEMORY:
		rt_memory_cancel_wait(queue->worker->worker->memory, &operation->memory_waiter);
		is_out = true;
		break;
	case STORE_WAITS_NOT:
		break;
	}
	if (is_out) {
		store_operation_fail(operation, -ECANCELED);
		return;
	}
	/* Others may share this flush: they did not ask for its end. */
	if (operation->gated_flush)
		return;
	RT_LIST_FOR_EACH (node, &operation->ios)
		store_queue_cancel(queue, RT_CONTAINER_OF(node, struct store_io, in_steps));
}
