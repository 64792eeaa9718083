/* SPDX-License-Identifier: Apache-2.0
 *
 * What is allocated: from the table and the cache, without a request to the server.
 */
#include <config.h>

#include "unit.h"

#define CHUNKS_AT_A_TIME 65536u

/* Answers nothing that is data: the cache may hold writes that no object has yet. */
static uint32_t flags_of(struct s3_unit *unit, uint64_t index)
{
	const struct s3_chunk *chunk = s3_chunk_find(unit, index);

	if (s3_chunk_stored_bytes(unit, index) != 0)
		return TGTKIT_EXTENT_DATA;
	if (chunk != NULL && (chunk->dirty_tick != 0 || chunk->upload != NULL))
		return TGTKIT_EXTENT_DATA;
	return TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO;
}

/* A chunk that was discarded whole and waits for its zero-length object. */
static bool is_discarded(struct s3_unit *unit, uint64_t index)
{
	const struct s3_chunk *chunk = s3_chunk_find(unit, index);

	if (chunk == NULL || (chunk->dirty_tick == 0 && chunk->upload == NULL))
		return false;
	for (uint32_t i = 0; i < unit->page_count; i++)
		if (chunk->pages[i].buffer != unit->zeros)
			return false;
	return true;
}

void s3_extents(struct s3_unit *unit, struct tgtkit_request *request)
{
	const uint64_t end = request->offset + request->length;
	uint64_t at = request->offset;
	unsigned looked_at = 0;

	request->extents_count = 0;
	while (at < end && looked_at++ < CHUNKS_AT_A_TIME) {
		const uint64_t index = at / unit->chunk_bytes, chunk_end = (index + 1) * unit->chunk_bytes;
		const uint64_t stop = chunk_end < end ? chunk_end : end;
		const uint32_t flags =
		    is_discarded(unit, index) ? TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO : flags_of(unit, index);
		struct tgtkit_extent *last =
		    request->extents_count == 0 ? NULL : &request->extents[request->extents_count - 1];

		if (last != NULL && last->flags == flags) {
			last->length += stop - at;
		} else if (request->extents_count == request->extents_capacity) {
			break;
		} else {
			request->extents[request->extents_count++] =
			    (struct tgtkit_extent){.offset = at, .length = stop - at, .flags = flags};
		}
		at = stop;
	}
}
