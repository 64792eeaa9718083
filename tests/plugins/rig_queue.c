/* SPDX-License-Identifier: Apache-2.0
 *
 * The rig's requests: taken, checked, kept until they are due, carried out or made to fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

uint64_t rig_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Carrying out --------------------------------------------------------------------------------------------------
 */

static void list_append(struct rig_list *list, struct rig_io *io)
{
	io->next = NULL;
	io->previous = list->last;
	if (list->last != NULL)
		list->last->next = io;
	else
		list->first = io;
	list->last = io;
	list->count++;
}

static void list_remove(struct rig_list *list, struct rig_io *io)
{
	if (io->next != NULL)
		io->next->previous = io->previous;
	else
		list->last = io->previous;
	if (io->previous != NULL)
		io->previous->next = io->next;
	else
		list->first = io->next;
	list->count--;
}

/* By a system call: a read through the mapping would fill the holes of a memory file. */
static int read_data(struct rig *rig, const struct tgtkit_request *request)
{
	uint64_t offset = request->offset;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct tgtkit_segment *segment = &request->segments[i];

		if (pread(rig->memory.fd, segment->address, segment->length, (off_t)offset) != (ssize_t)segment->length)
			return -EIO;
		offset += segment->length;
	}
	return 0;
}

static void write_data(struct rig *rig, const struct tgtkit_request *request)
{
	char *position = rig->memory.bytes + request->offset;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		memcpy(position, request->segments[i].address, request->segments[i].length);
		position += request->segments[i].length;
	}
	rig_memory_touch(&rig->memory, request->offset, request->length);
}

static int change(struct rig *rig, const struct tgtkit_request *request)
{
	int status = 0;

	if (request->operation == TGTKIT_WRITE)
		write_data(rig, request);
	else
		status = rig_memory_zero(&rig->memory, request->offset, request->length);
	if (status == 0 && (request->flags & TGTKIT_REQUEST_FUA))
		rig_memory_stabilise(&rig->memory, request->offset, request->length);
	return status;
}

static int carry_out(struct rig *rig, struct tgtkit_request *request)
{
	/* The size may have shrunk since the host looked. */
	if (request->offset > rig->memory.length || request->length > rig->memory.length - request->offset)
		return -EIO;
	switch (request->operation) {
	case TGTKIT_READ:
		return read_data(rig, request);
	case TGTKIT_FLUSH:
		rig_memory_stabilise(&rig->memory, 0, rig->memory.length);
		return 0;
	case TGTKIT_EXTENTS:
		return rig_memory_extents(&rig->memory, request);
	default:
		return change(rig, request);
	}
}

static void finish(struct rig *rig, struct tgtkit_request *request, int status)
{
	if (status == 0)
		rig->completed[request->operation]++;
	else
		rig->failed++;
	/* A failed flush of an ordinary cache loses what it was to write, as Linux's page cache does. */
	if (status != 0 && request->operation == TGTKIT_FLUSH && !(rig->flags & TGTKIT_RETAINS_DIRTY))
		rig_memory_forget_dirty(&rig->memory);
	rig->host->complete(request, status);
}

void rig_release(struct rig *rig)
{
	while (rig->hung.first != NULL) {
		struct rig_io *io = rig->hung.first;

		list_remove(&rig->hung, io);
		finish(rig, io->request, carry_out(rig, io->request));
	}
}

static struct rig_fault *fault_for(struct rig *rig, const struct tgtkit_request *request)
{
	for (size_t i = 0; i < RIG_FAULTS; i++) {
		struct rig_fault *fault = &rig->faults[i];
		const bool overlaps = fault->length == 0 || (request->offset < fault->offset + fault->length &&
							     fault->offset < request->offset + request->length);

		if (fault->count > 0 && overlaps && (fault->operation == 0 || fault->operation == request->operation))
			return fault;
	}
	return NULL;
}

static void run_one(struct rig *rig, struct rig_io *io)
{
	struct rig_fault *fault = fault_for(rig, io->request);

	list_remove(&rig->pending, io);
	if (fault == NULL) {
		finish(rig, io->request, carry_out(rig, io->request));
		return;
	}
	fault->count--;
	if (fault->action == RIG_HANG)
		list_append(&rig->hung, io);
	else
		finish(rig, io->request, fault->status);
}

uint64_t rig_run_due(struct rig *rig)
{
	const uint64_t now = rig_now_ns();
	uint64_t next_due = 0;

	for (struct rig_queue *queue = rig->queues; queue != NULL; queue = queue->next) {
		if (queue->owes_ready)
			rig->host->queue_ready(queue->queue);
		queue->owes_ready = false;
	}
	for (struct rig_io *io = rig->reorder ? rig->pending.last : rig->pending.first, *following; io != NULL;
	     io = following) {
		following = rig->reorder ? io->previous : io->next;
		if (io->due_ns <= now)
			run_one(rig, io);
		else if (next_due == 0 || io->due_ns < next_due)
			next_due = io->due_ns;
	}
	return next_due;
}

/* ---- What the host promised
 * ------------------------------------------------------------------------------------------ */

static bool is_declared(const struct rig *rig, const struct tgtkit_request *request)
{
	static const uint32_t needed[] = {
	    [TGTKIT_FLUSH] = TGTKIT_CAN_FLUSH,
	    [TGTKIT_DISCARD] = TGTKIT_CAN_DISCARD,
	    [TGTKIT_ZERO] = TGTKIT_CAN_ZERO,
	    [TGTKIT_EXTENTS] = TGTKIT_CAN_EXTENTS,
	    [TGTKIT_COMPARE_AND_WRITE] = TGTKIT_CAN_COMPARE_AND_WRITE,
	    [TGTKIT_COPY] = TGTKIT_CAN_COPY,
	};
	uint32_t needs;

	if (request->operation == 0 || request->operation > TGTKIT_COPY || request->payload != TGTKIT_PAYLOAD_CORE)
		return false;
	needs = needed[request->operation] | (request->flags & TGTKIT_REQUEST_FUA ? TGTKIT_CAN_FUA : 0);
	if (request->operation != TGTKIT_READ && request->operation != TGTKIT_EXTENTS &&
	    request->operation != TGTKIT_FLUSH && (rig->flags & TGTKIT_READ_ONLY))
		return false;
	return (rig->flags & needs) == needs;
}

static bool is_multiple(uint64_t value, uint32_t alignment)
{
	return alignment == 0 || value % alignment == 0;
}

static bool keeps_limits(const struct rig *rig, const struct tgtkit_request *request)
{
	uint64_t total = 0;

	if (request->operation != TGTKIT_READ && request->operation != TGTKIT_WRITE)
		return true;
	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct tgtkit_segment *segment = &request->segments[i];

		if (!is_multiple((uintptr_t)segment->address, rig->memory_alignment) ||
		    !is_multiple(segment->length, rig->memory_alignment))
			return false;
		total += segment->length;
	}
	return total == request->length && total > 0 && is_multiple(request->offset, rig->offset_alignment) &&
	       is_multiple(request->length, rig->offset_alignment) &&
	       (rig->maximum_transfer == 0 || total <= rig->maximum_transfer) &&
	       (rig->maximum_segments == 0 || request->segment_count <= rig->maximum_segments);
}

/* ---- Queues --------------------------------------------------------------------------------------------------------
 */

static int rig_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	struct rig *rig = handle;
	struct rig_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return -ENOMEM;
	queue->rig = rig;
	queue->queue = args->queue;
	pthread_mutex_lock(&rig->lock);
	queue->next = rig->queues;
	rig->queues = queue;
	pthread_mutex_unlock(&rig->lock);
	*queue_context = queue;
	return 0;
}

static void rig_queue_close(void *queue_context)
{
	struct rig_queue *queue = queue_context, **link = &queue->rig->queues;

	pthread_mutex_lock(&queue->rig->lock);
	while (*link != queue)
		link = &(*link)->next;
	*link = queue->next;
	pthread_mutex_unlock(&queue->rig->lock);
	free(queue);
}

/* With the lock. */
static int take(struct rig_queue *queue, struct tgtkit_request *request)
{
	struct rig *rig = queue->rig;
	struct rig_io *io = request->scratch;

	rig->submitted++;
	if (rig->again_every != 0 && rig->submitted % rig->again_every == 0) {
		rig->refused++;
		queue->owes_ready = true;
		rig_control_wake(rig);
		return -EAGAIN;
	}
	if (!is_declared(rig, request) || !keeps_limits(rig, request)) {
		rig->violations++;
		rig->host->log(rig->unit, TGTKIT_LOG_ERROR,
			       "the host broke its promise: operation %" PRIu32 ", flags %" PRIu32 ", offset %" PRIu64
			       ", length %" PRIu64 ", %" PRIu32 " segments",
			       request->operation, request->flags, request->offset, request->length,
			       request->segment_count);
		rig->host->complete(request, -EINVAL);
		return 0;
	}
	io->request = request;
	io->due_ns = rig->delay_us == 0 ? 0 : rig_now_ns() + rig->delay_us * 1000;
	list_append(&rig->pending, io);
	return 0;
}

static int rig_submit(void *queue_context, struct tgtkit_request *request)
{
	struct rig_queue *queue = queue_context;
	int status;

	pthread_mutex_lock(&queue->rig->lock);
	status = take(queue, request);
	pthread_mutex_unlock(&queue->rig->lock);
	return status;
}

static void rig_commit(void *context)
{
	struct rig_queue *queue = context;

	rig_control_wake(queue->rig);
}

static bool holds(const struct rig_list *list, const struct tgtkit_request *request)
{
	for (const struct rig_io *io = list->first; io != NULL; io = io->next)
		if (io->request == request)
			return true;
	return false;
}

static void rig_cancel(void *queue_context, struct tgtkit_request *request)
{
	struct rig_queue *queue = queue_context;
	struct rig *rig = queue->rig;
	struct rig_list *list;

	pthread_mutex_lock(&rig->lock);
	list = holds(&rig->pending, request) ? &rig->pending : holds(&rig->hung, request) ? &rig->hung : NULL;
	if (rig->cancellable && list != NULL) {
		list_remove(list, request->scratch);
		finish(rig, request, -ECANCELED);
	}
	pthread_mutex_unlock(&rig->lock);
}

const struct tgtkit_async rig_async = {
    .size = sizeof(rig_async),
    .queue_open = rig_queue_open,
    .submit = rig_submit,
    .commit = rig_commit,
    .cancel = rig_cancel,
    .queue_close = rig_queue_close,
};
