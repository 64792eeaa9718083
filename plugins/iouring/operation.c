/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>

#include "common/posix_error.h"
#include "operation.h"

/* ---- Counting and ending -------------------------------------------------------------------------------------------
 */

static bool has_room(const struct iouring_queue *queue)
{
	return queue->in_flight < queue->unit->queue_depth && queue->ring->in_flight < queue->ring->limit;
}

static void count_in(struct iouring_operation *operation)
{
	operation->is_counted = true;
	operation->queue->in_flight++;
	operation->queue->ring->in_flight++;
}

/* Whoever waits for the room is asked after this batch of completions. */
static void count_out(struct iouring_operation *operation)
{
	if (!operation->is_counted)
		return;
	operation->is_counted = false;
	operation->queue->in_flight--;
	operation->queue->ring->in_flight--;
}

void iouring_end(struct iouring_operation *operation, int status)
{
	struct iouring_unit *unit = operation->queue->unit;

	if (operation->stable_fd >= 0)
		posix_sync_return(&unit->sync, operation->stable_fd);
	count_out(operation);
	operation->place = IOURING_ENDED;
	unit->store.host->complete(operation->request, status);
}

void iouring_change_ended(struct iouring_operation *operation, int status)
{
	if (status == 0 && operation->flush_after)
		iouring_flush_start(operation);
	else
		iouring_end(operation, status);
}

/* ---- In the ring, and out of it
 * -------------------------------------------------------------------------------------- */

void iouring_push(struct iouring_operation *operation, void (*prepare)(struct iouring_entry *, struct io_uring_sqe *),
		  void (*completed)(struct iouring_entry *, int))
{
	operation->entry.prepare = prepare;
	operation->entry.completed = completed;
	iouring_ring_push(operation->queue->ring, &operation->entry);
}

void iouring_set_file(const struct iouring_operation *operation, struct io_uring_sqe *sqe)
{
	const struct iouring_queue *queue = operation->queue;

	sqe->fd = queue->slot >= 0 ? queue->slot : queue->unit->io_fd;
	if (queue->slot >= 0)
		sqe->flags |= IOSQE_FIXED_FILE;
}

void iouring_offload(struct iouring_operation *operation, void (*run)(struct tgtkit_work *work))
{
	struct posix_store *store = &operation->queue->unit->store;

	count_out(operation);
	operation->place = IOURING_ELSEWHERE;
	operation->work.run = run;
	store->host->offload(store->unit, &operation->work);
}

/* ---- Flush ----------------------------------------------------------------------------------------------------------
 */

static struct iouring_operation *flushing(struct posix_flush *flush)
{
	return (struct iouring_operation *)((char *)flush - offsetof(struct iouring_operation, flush));
}

static void prepare_flush(struct iouring_entry *entry, struct io_uring_sqe *sqe)
{
	struct iouring_operation *operation = iouring_operation_of(entry);

	io_uring_prep_fsync(sqe, operation->queue->unit->io_fd, IORING_FSYNC_DATASYNC);
	iouring_set_file(operation, sqe);
}

static void flush_completed(struct iouring_entry *entry, int result)
{
	struct iouring_operation *operation = iouring_operation_of(entry);
	struct iouring_unit *unit = operation->queue->unit;
	int status;

	if (result == -EINTR) {
		iouring_ring_push(operation->queue->ring, entry);
		return;
	}
	status = posix_sync_leave(&unit->sync, result);
	if (status != 0)
		posix_store_flush_failed(&unit->store, status);
	iouring_end(operation, status);
}

static void push_flush(struct iouring_operation *operation)
{
	operation->place = IOURING_ELSEWHERE;
	iouring_push(operation, prepare_flush, flush_completed);
}

/* The turn may have come on another worker: back to this operation's own. */
static void lead_on_worker(struct tgtkit_work *work)
{
	struct iouring_operation *operation = iouring_operation_at_work(work);

	push_flush(operation);
	iouring_ring_commit(operation->queue->ring);
}

static void lead(struct posix_flush *self)
{
	struct iouring_operation *operation = flushing(self);

	operation->work.run = lead_on_worker;
	operation->queue->unit->store.host->post(operation->queue->worker, &operation->work);
}

static void done_along(struct posix_flush *self, int status)
{
	struct iouring_operation *operation = flushing(self);

	operation->queue->unit->store.host->complete(operation->request, status);
}

/* Counts no more: another worker may do this flush along, and then ends it there. */
void iouring_flush_start(struct iouring_operation *operation)
{
	count_out(operation);
	operation->flush = (struct posix_flush){.lead = lead, .done = done_along};
	operation->place = IOURING_WAITS_FOR_FLUSH;
	if (posix_sync_enter(&operation->queue->unit->sync, &operation->flush))
		push_flush(operation);
}

/* ---- Submit and cancel
 * ----------------------------------------------------------------------------------------------- */

static void init(struct iouring_operation *operation, struct iouring_queue *queue, struct tgtkit_request *request)
{
	operation->queue = queue;
	operation->request = request;
	operation->place = IOURING_IN_RING;
	operation->is_counted = operation->is_cancelled = operation->flush_after = operation->may_wait = false;
	operation->stable_fd = -1;
}

static bool is_known(const struct tgtkit_request *request)
{
	return (request->flags & ~(uint32_t)(TGTKIT_REQUEST_FUA | TGTKIT_REQUEST_MAY_UNMAP)) == 0 &&
	       request->payload == TGTKIT_PAYLOAD_CORE && request->segment_count <= IOURING_SEGMENTS;
}

static bool retry(struct iouring_waiter *waiter)
{
	struct iouring_queue *queue = (struct iouring_queue *)((char *)waiter - offsetof(struct iouring_queue, waiter));

	if (!has_room(queue))
		return false;
	queue->unit->store.host->queue_ready(queue->host_queue);
	return true;
}

static int refuse_for_now(struct iouring_queue *queue)
{
	queue->waiter.retry = retry;
	iouring_ring_wait(queue->ring, &queue->waiter);
	return -EAGAIN;
}

int iouring_submit(void *queue_context, struct tgtkit_request *request)
{
	struct iouring_queue *queue = queue_context;
	struct iouring_operation *operation = request->scratch;
	const bool is_limited = request->operation != TGTKIT_FLUSH && request->operation != TGTKIT_EXTENTS;

	if (is_limited && !has_room(queue))
		return refuse_for_now(queue);
	init(operation, queue, request);
	if (is_limited)
		count_in(operation);
	if (!is_known(request)) {
		iouring_end(operation, -EINVAL);
		return 0;
	}
	switch (request->operation) {
	case TGTKIT_READ:
	case TGTKIT_WRITE:
		iouring_transfer_start(operation);
		break;
	case TGTKIT_FLUSH:
		iouring_flush_start(operation);
		break;
	case TGTKIT_DISCARD:
	case TGTKIT_ZERO:
		iouring_range_start(operation);
		break;
	case TGTKIT_EXTENTS:
		iouring_extents_start(operation);
		break;
	default:
		iouring_end(operation, -EOPNOTSUPP);
	}
	return 0;
}

void iouring_cancel(void *queue_context, struct tgtkit_request *request)
{
	struct iouring_queue *queue = queue_context;
	struct iouring_operation *operation = request->scratch;

	switch (operation->place) {
	case IOURING_IN_RING:
		operation->is_cancelled = true;
		iouring_ring_cancel(queue->ring, &operation->entry);
		break;
	case IOURING_WAITS_FOR_FLUSH:
		if (posix_sync_cancel(&queue->unit->sync, &operation->flush))
			iouring_end(operation, -ECANCELED);
		break;
	case IOURING_ELSEWHERE:
	case IOURING_ENDED:
		break;
	}
}
