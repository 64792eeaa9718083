/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts data to pieces that a plugin takes: no longer, in no more segments and no less aligned than it declared.
 */
#include <stdalign.h>

#include "rt/bytes.h"
#include "store/operation.h"
#include "store/queue.h"

#define ZERO_BYTES (256u << 10)

/* Where written zeros come from. */
static alignas(RT_MEMORY_PAGE_BYTES) unsigned char zero_memory[ZERO_BYTES];

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct tgtkit_segment segment_at(const struct store_cursor *cursor)
{
	const struct tgtkit_segment *segment;

	if (cursor->segments == NULL)
		return (struct tgtkit_segment){zero_memory, ZERO_BYTES, TGTKIT_NO_REGION};
	segment = &cursor->segments[cursor->index];
	return (struct tgtkit_segment){(char *)segment->address + cursor->offset, segment->length - cursor->offset,
				       segment->region};
}

void store_cursor_advance(struct store_cursor *cursor, uint64_t bytes)
{
	while (cursor->segments != NULL && bytes > 0) {
		uint32_t left = cursor->segments[cursor->index].length - cursor->offset;

		if (bytes < left) {
			cursor->offset += (uint32_t)bytes;
			return;
		}
		bytes -= left;
		cursor->index++;
		cursor->offset = 0;
	}
}

/* Puts aligned segments for up to `limit` bytes into `list`.  Returns their number; all but the last are whole. */
static uint32_t gather(const struct store_limits *limits, struct store_cursor cursor, uint64_t limit,
		       struct tgtkit_segment *list, uint32_t capacity)
{
	uint32_t count = 0;

	while (limit > 0 && count < capacity && (cursor.segments == NULL || cursor.index < cursor.count)) {
		struct tgtkit_segment segment = segment_at(&cursor);
		uint32_t whole = segment.length;

		if ((uintptr_t)segment.address & limits->address_mask)
			break;
		segment.length = (uint32_t)smaller(segment.length, limit) & ~limits->length_mask;
		if (segment.length == 0 && whole != 0)
			break;
		if (segment.length != 0)
			list[count++] = segment;
		if (segment.length != whole)
			break;
		limit -= segment.length;
		store_cursor_advance(&cursor, segment.length);
		if (whole == 0)
			cursor.index++;
	}
	return count;
}

/* Shortens the list to a multiple of the alignment.  Returns its length in bytes. */
static uint64_t trim(struct tgtkit_segment *list, uint32_t *count, uint32_t alignment_bytes)
{
	uint64_t total = 0, wanted, excess;

	for (uint32_t i = 0; i < *count; i++)
		total += list[i].length;
	wanted = rt_round_down(total, alignment_bytes);
	for (excess = total - wanted; excess > 0;) {
		struct tgtkit_segment *last = &list[*count - 1];
		uint32_t cut = (uint32_t)smaller(excess, last->length);

		last->length -= cut;
		excess -= cut;
		if (last->length == 0)
			--*count;
	}
	return wanted;
}

/* One request, of segments that it puts into `list`.  Returns its bytes; 0: what stands there is not aligned. */
static uint64_t transfer_one(struct store_operation *operation, uint32_t what, uint64_t offset, uint64_t length,
			     struct store_cursor *cursor, struct tgtkit_segment *list, uint32_t *count)
{
	const struct store_limits *limits = &operation->queue->store->limits;
	uint64_t bytes;

	*count = gather(limits, *cursor, smaller(length, limits->maximum_transfer_bytes), list, *count);
	bytes = trim(list, count, limits->offset_alignment_bytes);
	if (bytes == 0)
		return 0;
	store_operation_submit(operation, what, offset, bytes, list, *count);
	store_cursor_advance(cursor, bytes);
	return bytes;
}

uint64_t store_operation_transfer(struct store_operation *operation, uint32_t what, uint64_t offset, uint64_t length,
				  struct store_cursor *cursor)
{
	const struct store_limits *limits = &operation->queue->store->limits;
	uint32_t most =
	    limits->maximum_segments < STORE_STEP_SEGMENTS / 2 ? limits->maximum_segments : STORE_STEP_SEGMENTS / 2;
	uint32_t used = 0;
	uint64_t done = 0;

	if (offset & (limits->offset_alignment_bytes - 1))
		return 0;
	while (done < length && operation->outstanding < STORE_STEP_REQUESTS && operation->status == 0 &&
	       STORE_STEP_SEGMENTS - used >= most) {
		uint32_t count = most;
		uint64_t bytes = transfer_one(operation, what, offset + done, length - done, cursor,
					      operation->segments + used, &count);

		if (bytes == 0)
			break;
		used += count;
		done += bytes;
	}
	return done;
}
