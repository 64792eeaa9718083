/* SPDX-License-Identifier: Apache-2.0
 *
 * Into the cache: data, or zeros for DISCARD and ZERO.
 */
#include <config.h>

#include <string.h>

#include "unit.h"

/* A page that may be written to, of which [first, end) is about to be.  NULL: no memory now. */
static struct s3_buffer *own_page(struct s3_unit *unit, struct s3_page *page, uint32_t first, uint32_t end)
{
	struct s3_buffer *old = page->buffer, *own;

	if (old != NULL && old->references == 1 && old != unit->zeros)
		return old;
	if (!s3_cache_room(unit, unit->page_bytes))
		return NULL;
	own = s3_buffer_new(unit);
	if (own == NULL)
		return NULL;
	/* What is valid beside the range comes along. */
	if (old != NULL && end - first < unit->page_bytes)
		memcpy(own->bytes, old->bytes, unit->page_bytes);
	s3_buffer_release(unit, old);
	page->buffer = own;
	return own;
}

static bool write_page(struct s3_io *io, struct s3_chunk *chunk, uint32_t number, uint32_t first, uint32_t end)
{
	struct s3_unit *unit = io->unit;
	struct s3_page *page = &chunk->pages[number];
	const uint64_t bits = s3_granule_bits(first, end);
	const bool is_data = io->request->operation == TGTKIT_WRITE;

	if (!is_data && bits == s3_page_granules(unit, number)) {
		s3_buffer_release(unit, page->buffer);
		page->buffer = s3_buffer_keep(unit->zeros);
	} else {
		struct s3_buffer *buffer = own_page(unit, page, first, end);

		if (buffer == NULL)
			return false;
		if (is_data)
			s3_io_copy_in(io, io->position, buffer->bytes + first, end - first);
		else
			memset(buffer->bytes + first, 0, end - first);
	}
	page->valid |= bits;
	s3_mark_dirty(unit, chunk, number, bits);
	return true;
}

/* Zeros over zeros change nothing. */
static bool is_zero_already(const struct s3_unit *unit, const struct s3_chunk *chunk, uint64_t index)
{
	return s3_chunk_stored_bytes(unit, index) == 0 &&
	       (chunk == NULL || (chunk->dirty_tick == 0 && chunk->upload == NULL));
}

/* Pages of one chunk, until the request or the chunk ends.  False: no memory now. */
static bool write_chunk(struct s3_io *io, uint64_t index, uint32_t first, uint32_t end)
{
	struct s3_unit *unit = io->unit;
	struct s3_chunk *chunk = s3_chunk_find(unit, index);
	bool good = true;

	if (io->request->operation != TGTKIT_WRITE && is_zero_already(unit, chunk, index)) {
		io->position += end - first;
		return true;
	}
	if (chunk == NULL && s3_cache_room(unit, unit->page_count * sizeof(struct s3_page)))
		chunk = s3_chunk_get(unit, index);
	if (chunk == NULL)
		return false;
	/* Out of the list of what may be evicted, before room is made. */
	if (chunk->place == S3_CHUNK_CLEAN && s3_list_holds(&chunk->link)) {
		s3_list_remove(&chunk->link);
		chunk->place = S3_CHUNK_BUSY;
	}
	while (first < end && good) {
		const uint32_t number = first / unit->page_bytes, start = number * unit->page_bytes;
		const uint32_t stop = end - start < unit->page_bytes ? end : start + unit->page_bytes;

		good = write_page(io, chunk, number, first - start, stop - start);
		if (good) {
			io->position += stop - first;
			first = stop;
		}
	}
	s3_chunk_settle(unit, chunk);
	return good;
}

bool s3_write(struct s3_io *io)
{
	const struct tgtkit_request *request = io->request;
	struct s3_unit *unit = io->unit;

	unit->tick++;
	while (io->position < request->length) {
		const uint64_t offset = request->offset + io->position, left = request->length - io->position;
		const uint32_t first = (uint32_t)(offset % unit->chunk_bytes);
		const uint32_t end = left < unit->chunk_bytes - first ? first + (uint32_t)left : unit->chunk_bytes;

		if (!write_chunk(io, offset / unit->chunk_bytes, first, end)) {
			io->tick = unit->tick;
			return false;
		}
	}
	io->tick = unit->tick;
	return true;
}
