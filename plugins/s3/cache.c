/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunks and pages in memory.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define FREE_BUFFERS  512u
#define FIRST_BUCKETS 256u
#define BUFFER_ALIGN  64u

/* ---- Buffers ------------------------------------------------------------------------------------------------------
 */

struct s3_buffer *s3_buffer_new(struct s3_unit *unit)
{
	struct s3_buffer *buffer = unit->free_buffers;

	if (buffer != NULL) {
		unit->free_buffers = buffer->next_free;
		unit->free_count--;
	} else {
		buffer = malloc(sizeof(*buffer));
		if (buffer != NULL)
			buffer->bytes = aligned_alloc(BUFFER_ALIGN, unit->page_bytes);
		if (buffer == NULL || buffer->bytes == NULL) {
			free(buffer);
			return NULL;
		}
	}
	buffer->references = 1;
	buffer->next_free = NULL;
	unit->used_bytes += unit->page_bytes;
	return buffer;
}

struct s3_buffer *s3_buffer_keep(struct s3_buffer *buffer)
{
	buffer->references++;
	return buffer;
}

void s3_buffer_release(struct s3_unit *unit, struct s3_buffer *buffer)
{
	if (buffer == NULL || --buffer->references > 0)
		return;
	unit->used_bytes -= unit->page_bytes;
	if (unit->free_count < FREE_BUFFERS) {
		buffer->next_free = unit->free_buffers;
		unit->free_buffers = buffer;
		unit->free_count++;
		return;
	}
	free(buffer->bytes);
	free(buffer);
}

/* ---- Chunks ---------------------------------------------------------------------------------------------------------
 */

static uint64_t chunk_cost(const struct s3_unit *unit)
{
	return sizeof(struct s3_chunk) + unit->page_count * sizeof(struct s3_page);
}

static size_t bucket_of(const struct s3_unit *unit, uint64_t index)
{
	return (size_t)((index * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (unit->bucket_count - 1);
}

struct s3_chunk *s3_chunk_find(struct s3_unit *unit, uint64_t index)
{
	struct s3_chunk *chunk = unit->bucket_count == 0 ? NULL : unit->buckets[bucket_of(unit, index)];

	while (chunk != NULL && chunk->index != index)
		chunk = chunk->next_in_bucket;
	return chunk;
}

static bool grow_buckets(struct s3_unit *unit)
{
	const size_t old_count = unit->bucket_count;
	struct s3_chunk **old = unit->buckets;
	const size_t wanted = old_count == 0 ? FIRST_BUCKETS : old_count * 2;

	unit->buckets = calloc(wanted, sizeof(*unit->buckets));
	if (unit->buckets == NULL) {
		unit->buckets = old;
		return old_count > 0;
	}
	unit->bucket_count = wanted;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i] != NULL) {
			struct s3_chunk *chunk = old[i];
			const size_t bucket = bucket_of(unit, chunk->index);

			old[i] = chunk->next_in_bucket;
			chunk->next_in_bucket = unit->buckets[bucket];
			unit->buckets[bucket] = chunk;
		}
	}
	free(old);
	return true;
}

struct s3_chunk *s3_chunk_get(struct s3_unit *unit, uint64_t index)
{
	struct s3_chunk *chunk = s3_chunk_find(unit, index);
	size_t bucket;

	if (chunk != NULL)
		return chunk;
	if (unit->chunk_count >= unit->bucket_count && !grow_buckets(unit))
		return NULL;
	chunk = calloc(1, chunk_cost(unit));
	if (chunk == NULL)
		return NULL;
	chunk->index = index;
	s3_list_init(&chunk->fetches);
	bucket = bucket_of(unit, index);
	chunk->next_in_bucket = unit->buckets[bucket];
	unit->buckets[bucket] = chunk;
	unit->chunk_count++;
	unit->used_bytes += chunk_cost(unit);
	return chunk;
}

void s3_chunk_free(struct s3_unit *unit, struct s3_chunk *chunk)
{
	struct s3_chunk **place = &unit->buckets[bucket_of(unit, chunk->index)];

	while (*place != chunk)
		place = &(*place)->next_in_bucket;
	*place = chunk->next_in_bucket;
	if (s3_list_holds(&chunk->link))
		s3_list_remove(&chunk->link);
	for (uint32_t i = 0; i < unit->page_count; i++)
		s3_buffer_release(unit, chunk->pages[i].buffer);
	for (size_t i = 0; i < chunk->tried_count; i++)
		free(chunk->tried[i]);
	free(chunk->tried);
	unit->chunk_count--;
	unit->used_bytes -= chunk_cost(unit);
	free(chunk);
}

static void insert_by_tick(struct s3_link *list, struct s3_chunk *chunk)
{
	struct s3_link *where = list;

	/* Nearly always the newest. */
	while (where->previous != list &&
	       S3_LIST_ENTRY(where->previous, struct s3_chunk, link)->dirty_tick > chunk->dirty_tick)
		where = where->previous;
	s3_list_insert_before(where, &chunk->link);
}

static enum s3_chunk_place place_of(const struct s3_unit *unit, const struct s3_chunk *chunk)
{
	if (chunk->upload != NULL)
		return S3_CHUNK_UPLOADING;
	if (chunk->dirty_tick != 0)
		return chunk->is_urgent || chunk->full_pages == unit->page_count ? S3_CHUNK_READY : S3_CHUNK_DIRTY;
	return s3_list_is_empty(&chunk->fetches) ? S3_CHUNK_CLEAN : S3_CHUNK_BUSY;
}

static bool is_empty(const struct s3_unit *unit, const struct s3_chunk *chunk)
{
	for (uint32_t i = 0; i < unit->page_count; i++)
		if (chunk->pages[i].buffer != NULL)
			return false;
	return true;
}

void s3_chunk_settle(struct s3_unit *unit, struct s3_chunk *chunk)
{
	const enum s3_chunk_place place = place_of(unit, chunk);

	if (place == chunk->place && (s3_list_holds(&chunk->link) || place == S3_CHUNK_BUSY))
		return;
	if (s3_list_holds(&chunk->link))
		s3_list_remove(&chunk->link);
	chunk->place = place;
	switch (place) {
	case S3_CHUNK_UPLOADING:
		s3_list_append(&unit->uploading, &chunk->link);
		break;
	case S3_CHUNK_READY:
		s3_list_append(&unit->ready, &chunk->link);
		break;
	case S3_CHUNK_DIRTY:
		insert_by_tick(&unit->dirty, chunk);
		break;
	case S3_CHUNK_CLEAN:
		if (is_empty(unit, chunk))
			s3_chunk_free(unit, chunk);
		else
			s3_list_append(&unit->clean, &chunk->link);
		break;
	case S3_CHUNK_BUSY:
		break;
	}
}

void s3_chunk_touch(struct s3_unit *unit, struct s3_chunk *chunk)
{
	if (chunk->place != S3_CHUNK_CLEAN || !s3_list_holds(&chunk->link))
		return;
	s3_list_remove(&chunk->link);
	s3_list_append(&unit->clean, &chunk->link);
}

bool s3_cache_room(struct s3_unit *unit, uint64_t bytes)
{
	while (unit->used_bytes + bytes > unit->limit_bytes && !s3_list_is_empty(&unit->clean))
		s3_chunk_free(unit, S3_LIST_ENTRY(unit->clean.next, struct s3_chunk, link));
	return unit->used_bytes + bytes <= unit->limit_bytes;
}

void s3_cache_trim(struct s3_unit *unit)
{
	s3_cache_room(unit, 0);
}

/* ---- Granules
 * ---------------------------------------------------------------------------------------------------------- */

uint64_t s3_granule_bits(uint32_t first, uint32_t end)
{
	const uint32_t low = first / S3_GRANULE_BYTES, high = (end + S3_GRANULE_BYTES - 1) / S3_GRANULE_BYTES;
	const uint64_t below_high = high >= 64 ? UINT64_MAX : (UINT64_C(1) << high) - 1;

	return low >= 64 ? 0 : below_high & ~((UINT64_C(1) << low) - 1);
}

uint64_t s3_page_granules(const struct s3_unit *unit, uint32_t page)
{
	const uint32_t start = page * unit->page_bytes;

	if (unit->chunk_bytes - start >= unit->page_bytes)
		return unit->page_mask;
	return s3_granule_bits(0, unit->chunk_bytes - start);
}

uint32_t s3_chunk_stored_bytes(const struct s3_unit *unit, uint64_t index)
{
	const struct s3_name name = s3_table_get(&unit->volume->table, index);

	if (name.kind == S3_NAME_DATA)
		return unit->chunk_bytes;
	return name.kind == S3_NAME_ADOPTED ? name.sequence : 0;
}

bool s3_chunk_missing(const struct s3_unit *unit, const struct s3_chunk *chunk, uint32_t first, uint32_t end,
		      uint32_t *missing_first, uint32_t *missing_end)
{
	const uint32_t stored = s3_chunk_stored_bytes(unit, chunk->index);
	bool found = false;

	if (end > stored)
		end = stored;
	for (uint32_t page = first / unit->page_bytes; page * unit->page_bytes < end && first < end; page++) {
		const uint32_t start = page * unit->page_bytes;
		const uint32_t from = first > start ? first - start : 0;
		const uint32_t to = end - start < unit->page_bytes ? end - start : unit->page_bytes;
		const uint64_t missing = s3_granule_bits(from, to) & ~chunk->pages[page].valid;

		if (missing == 0)
			continue;
		if (!found)
			*missing_first = start + (uint32_t)__builtin_ctzll(missing) * S3_GRANULE_BYTES;
		*missing_end = start + (64 - (uint32_t)__builtin_clzll(missing)) * S3_GRANULE_BYTES;
		found = true;
	}
	return found;
}
