/* SPDX-License-Identifier: Apache-2.0
 *
 * Data by way of aligned memory: for segments that the plugin cannot take, for reads that begin or end inside an
 * alignment unit, and (read, modify, write) for writes that do.  One window at a time, small enough for the memory's
 * bounce class.
 */
#include <errno.h>
#include <stdlib.h>

#include "rt/bytes.h"
#include "store/operation.h"
#include "store/queue.h"

#define WINDOW_BYTES (256u << 10)

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct rt_memory *memory_of(const struct store_operation *operation)
{
	return operation->queue->worker->worker->memory;
}

static bool is_read(const struct store_operation *operation)
{
	return operation->operation == TGTKIT_READ;
}

void store_bounce_free(struct store_operation *operation)
{
	if (operation->contiguous != NULL) {
		free(operation->contiguous);
		operation->contiguous = NULL;
		operation->bounce = (struct rt_buffer){0};
		return;
	}
	rt_memory_give(memory_of(operation), &operation->bounce);
}

/* ---- Copies between the window and the caller's data --------------------------------------------------------------
 */

static void copy_piece(const struct store_operation *operation, char *address, uint64_t request_offset, size_t length)
{
	const struct store_request *request = operation->request;

	if (is_read(operation))
		rt_segments_write(request->segments, request->segment_count, request_offset, address, length);
	else
		rt_segments_read(request->segments, request->segment_count, request_offset, address, length);
}

static void copy_window(struct store_operation *operation)
{
	const struct rt_buffer *bounce = &operation->bounce;
	uint64_t request_offset = operation->done_bytes;
	uint32_t skip = operation->window_skip, left = operation->window_used_bytes;

	if (!is_read(operation) && operation->data.segments == NULL) {
		rt_segments_zero(bounce->segments, bounce->segment_count, skip, left);
		return;
	}
	for (uint32_t i = 0; i < bounce->segment_count && left > 0; i++) {
		const struct tgtkit_segment *segment = &bounce->segments[i];
		uint32_t length;

		if (skip >= segment->length) {
			skip -= segment->length;
			continue;
		}
		length = (uint32_t)smaller(segment->length - skip, left);
		copy_piece(operation, (char *)segment->address + skip, request_offset, length);
		request_offset += length;
		left -= length;
		skip = 0;
	}
}

/* ---- Steps ---------------------------------------------------------------------------------------------------------
 */

static void start_window(struct store_operation *operation, bool read);

static void window_transferred(struct store_operation *operation)
{
	if (operation->window_is_read) {
		copy_window(operation);
		if (!is_read(operation)) {
			start_window(operation, false);
			return;
		}
	}
	store_bounce_free(operation);
	store_cursor_advance(&operation->data, operation->window_used_bytes);
	operation->done_bytes += operation->window_used_bytes;
	store_operation_continue(operation);
}

static void window_step(struct store_operation *operation)
{
	uint32_t what = operation->window_is_read ? TGTKIT_READ : TGTKIT_WRITE;

	if (store_operation_has_ended(operation))
		return;
	if (operation->window_done_bytes == operation->window_bytes) {
		window_transferred(operation);
		return;
	}
	operation->next_step = window_step;
	operation->window_done_bytes += (uint32_t)store_operation_transfer(
	    operation, what, operation->window_offset + operation->window_done_bytes,
	    operation->window_bytes - operation->window_done_bytes, &operation->window);
	if (operation->outstanding == 0)
		store_operation_fail(operation, operation->status != 0 ? operation->status : -EIO);
}

static void start_window(struct store_operation *operation, bool read)
{
	operation->window_is_read = read;
	operation->window_done_bytes = 0;
	operation->window = (struct store_cursor){
	    .segments = operation->bounce.segments,
	    .count = operation->bounce.segment_count,
	};
	window_step(operation);
}

static void memory_taken(struct store_operation *operation)
{
	bool is_partial = operation->window_used_bytes < operation->window_bytes;

	if (is_read(operation) || is_partial) {
		start_window(operation, true);
		return;
	}
	copy_window(operation);
	start_window(operation, false);
}

/* ---- Memory --------------------------------------------------------------------------------------------------------
 */

static void wait_for_memory(struct store_operation *operation);

static void room(struct rt_memory_waiter *self)
{
	struct store_operation *operation = RT_CONTAINER_OF(self, struct store_operation, memory_waiter);
	int status =
	    rt_memory_take_first(memory_of(operation), RT_MEMORY_BOUNCE, operation->window_bytes, &operation->bounce);

	operation->waits_for = STORE_WAITS_NOT;
	if (status == 0)
		memory_taken(operation);
	else if (status == -ENOMEM)
		wait_for_memory(operation);
	else
		store_operation_fail(operation, status);
}

static void wait_for_memory(struct store_operation *operation)
{
	operation->waits_for = STORE_WAITS_FOR_MEMORY;
	operation->memory_waiter.room = room;
	rt_memory_wait(memory_of(operation), RT_MEMORY_BOUNCE, &operation->memory_waiter);
}

static void take_contiguous(struct store_operation *operation)
{
	operation->contiguous = aligned_alloc(RT_MEMORY_PAGE_BYTES, operation->window_bytes);
	if (operation->contiguous == NULL) {
		store_operation_fail(operation, -ENOMEM);
		return;
	}
	operation->bounce.segments[0] =
	    (struct tgtkit_segment){operation->contiguous, operation->window_bytes, TGTKIT_NO_REGION};
	operation->bounce.segment_count = 1;
	operation->bounce.length_bytes = operation->window_bytes;
	memory_taken(operation);
}

static void take_memory(struct store_operation *operation)
{
	int status =
	    rt_memory_take(memory_of(operation), RT_MEMORY_BOUNCE, operation->window_bytes, &operation->bounce);

	if (status == 0)
		memory_taken(operation);
	else if (status == -ENOMEM)
		wait_for_memory(operation);
	else
		store_operation_fail(operation, status);
}

static void set_window(struct store_operation *operation)
{
	const struct store_request *request = operation->request;
	uint32_t alignment = operation->queue->store->limits.offset_alignment_bytes;
	uint64_t offset = request->offset + operation->done_bytes;
	uint64_t left = request->length - operation->done_bytes;
	uint64_t most = alignment > WINDOW_BYTES ? alignment : WINDOW_BYTES;
	uint64_t bytes;

	operation->window_offset = rt_round_down(offset, alignment);
	operation->window_skip = (uint32_t)(offset - operation->window_offset);
	if (is_read(operation))
		bytes = smaller(rt_round_up(offset + left, alignment) - operation->window_offset, most);
	else if (operation->window_skip > 0 || left < alignment)
		bytes = alignment; /* read, modify, write: as little as can be */
	else
		bytes = smaller(rt_round_down(left, alignment), most);
	operation->window_bytes = (uint32_t)bytes;
	operation->window_used_bytes = (uint32_t)smaller(bytes - operation->window_skip, left);
}

void store_bounce_start(struct store_operation *operation)
{
	set_window(operation);
	if (operation->queue->store->limits.contiguous_bounce)
		take_contiguous(operation);
	else
		take_memory(operation);
}
