/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "rt/memory.h"

/* A position in a segment list, never at the end of a segment unless there is nothing to come. */
struct cursor {
	const struct tgtkit_segment *segment, *end;
	size_t offset;
};

static struct cursor cursor_at(const struct tgtkit_segment *segments, uint32_t count, size_t offset)
{
	struct cursor cursor = {segments, segments + count, offset};

	while (cursor.segment < cursor.end && cursor.offset >= cursor.segment->length) {
		cursor.offset -= cursor.segment->length;
		cursor.segment++;
	}
	return cursor;
}

/* The next piece of at most `length` bytes; its length goes to `piece`. */
static uint8_t *next_piece(struct cursor *cursor, size_t length, size_t *piece)
{
	uint8_t *address;

	while (cursor->segment < cursor->end && cursor->offset == cursor->segment->length) {
		cursor->segment++;
		cursor->offset = 0;
	}
	assert(cursor->segment < cursor->end);
	address = (uint8_t *)cursor->segment->address + cursor->offset;
	*piece = cursor->segment->length - cursor->offset;
	if (*piece > length)
		*piece = length;
	cursor->offset += *piece;
	return address;
}

void rt_segments_write(const struct tgtkit_segment *segments, uint32_t count, size_t offset, const void *from,
		       size_t length)
{
	struct cursor cursor = cursor_at(segments, count, offset);
	const uint8_t *source = from;

	for (size_t piece; length > 0; length -= piece, source += piece) {
		uint8_t *address = next_piece(&cursor, length, &piece);

		memcpy(address, source, piece);
	}
}

void rt_segments_read(const struct tgtkit_segment *segments, uint32_t count, size_t offset, void *to, size_t length)
{
	struct cursor cursor = cursor_at(segments, count, offset);
	uint8_t *target = to;

	for (size_t piece; length > 0; length -= piece, target += piece) {
		const uint8_t *address = next_piece(&cursor, length, &piece);

		memcpy(target, address, piece);
	}
}

void rt_segments_zero(const struct tgtkit_segment *segments, uint32_t count, size_t offset, size_t length)
{
	struct cursor cursor = cursor_at(segments, count, offset);

	for (size_t piece; length > 0; length -= piece) {
		uint8_t *address = next_piece(&cursor, length, &piece);

		memset(address, 0, piece);
	}
}
