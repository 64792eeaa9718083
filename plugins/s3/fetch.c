/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranged GETs into the cache.  What arrives never replaces what is valid: that is newer.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "unit.h"

#define RESTARTS 8u

struct s3_fetch {
	struct s3_call call;
	struct s3_unit *unit;
	struct s3_chunk *chunk;
	struct s3_link in_chunk, waiting;
	struct s3_link pieces;
	struct s3_name name;
	uint32_t first, end; /* whole pages; what is beyond the object is zeros */
	unsigned restarts;
	struct s3_buffer *buffers[];
};

static uint32_t page_count_of(const struct s3_fetch *fetch)
{
	return (fetch->end - fetch->first + fetch->unit->page_bytes - 1) / fetch->unit->page_bytes;
}

static void free_fetch(struct s3_fetch *fetch)
{
	for (uint32_t i = 0; i < page_count_of(fetch); i++)
		s3_buffer_release(fetch->unit, fetch->buffers[i]);
	if (s3_list_holds(&fetch->waiting))
		s3_list_remove(&fetch->waiting);
	s3_list_remove(&fetch->in_chunk);
	s3_call_free(&fetch->call);
	free(fetch);
}

/* ---- What comes in
 * ----------------------------------------------------------------------------------------------------- */

static void take_part(struct s3_call *call, uint64_t offset, const void *bytes, size_t length)
{
	struct s3_fetch *fetch = call->context;
	const uint32_t page_bytes = fetch->unit->page_bytes;
	const unsigned char *in = bytes;

	while (length > 0) {
		const uint32_t page = (uint32_t)(offset / page_bytes), start = (uint32_t)(offset % page_bytes);
		const size_t piece = length < page_bytes - start ? length : page_bytes - start;

		memcpy(fetch->buffers[page]->bytes + start, in, piece);
		in += piece;
		offset += piece;
		length -= piece;
	}
}

static bool check_blocks(const struct s3_fetch *fetch, const uint32_t *crcs)
{
	const struct s3_unit *unit = fetch->unit;
	const uint32_t got_end = fetch->first + (uint32_t)fetch->call.range_bytes;

	for (uint32_t at = fetch->first; at < got_end; at += unit->check_bytes) {
		const uint32_t end = got_end - at < unit->check_bytes ? got_end : at + unit->check_bytes;
		uint32_t crc = 0;

		for (uint32_t page = at; page < end; page += unit->page_bytes)
			crc = s3_crc32c(crc, fetch->buffers[(page - fetch->first) / unit->page_bytes]->bytes,
					end - page < unit->page_bytes ? end - page : unit->page_bytes);
		if (crc != crcs[at / unit->check_bytes])
			return false;
	}
	return true;
}

static bool verify(struct s3_call *call)
{
	struct s3_fetch *fetch = call->context;
	uint32_t crcs[S3_CHECK_BLOCKS];

	/* gotgt stored none. */
	if (fetch->name.kind == S3_NAME_ADOPTED)
		return call->object_bytes == fetch->name.sequence;
	return call->object_bytes == fetch->unit->chunk_bytes &&
	       s3_checksums_decode(call->checksums_found, crcs, s3_check_count(fetch->unit->chunk_bytes)) &&
	       check_blocks(fetch, crcs);
}

static void merge_page(struct s3_fetch *fetch, uint32_t number)
{
	struct s3_unit *unit = fetch->unit;
	struct s3_page *page = &fetch->chunk->pages[fetch->first / unit->page_bytes + number];
	uint64_t missing = s3_page_granules(unit, fetch->first / unit->page_bytes + number) & ~page->valid;

	if (page->buffer == NULL) {
		page->buffer = s3_buffer_keep(fetch->buffers[number]);
		page->valid = missing;
		return;
	}
	/* A page with gaps is never shared: uploads take whole ones only, and the zero page has none. */
	while (missing != 0) {
		const uint32_t granule = (uint32_t)__builtin_ctzll(missing);

		memcpy(page->buffer->bytes + granule * S3_GRANULE_BYTES,
		       fetch->buffers[number]->bytes + granule * S3_GRANULE_BYTES, S3_GRANULE_BYTES);
		missing &= missing - 1;
		page->valid |= UINT64_C(1) << granule;
	}
}

static void merge(struct s3_fetch *fetch)
{
	const uint64_t got = fetch->call.range_bytes;
	const uint32_t page_bytes = fetch->unit->page_bytes;

	for (uint32_t i = 0; i < page_count_of(fetch); i++) {
		const uint64_t start = (uint64_t)i * page_bytes;

		if (start >= got)
			memset(fetch->buffers[i]->bytes, 0, page_bytes);
		else if (got - start < page_bytes)
			memset(fetch->buffers[i]->bytes + (got - start), 0, page_bytes - (size_t)(got - start));
		merge_page(fetch, i);
	}
}

/* ---- Life
 * ------------------------------------------------------------------------------------------------------------------ */

static void send_call(struct s3_fetch *fetch);

static int read_errno(int status)
{
	return status == -ENOENT || status == -EACCES || status == -EEXIST || status == -ENXIO || status == -ENOSYS
		   ? -EIO
		   : status;
}

static void finish(struct s3_fetch *fetch, int status, bool has_data)
{
	struct s3_unit *unit = fetch->unit;
	struct s3_chunk *chunk = fetch->chunk;
	struct s3_link pieces = fetch->pieces;
	char sentence[400];

	if (has_data) {
		merge(fetch);
	} else if (status != 0) {
		s3_call_describe(&fetch->call, sentence, sizeof(sentence));
		s3_log(unit->volume->unit, s3_list_is_empty(&fetch->pieces) ? TGTKIT_LOG_DEBUG : TGTKIT_LOG_WARNING,
		       "reading chunk %llu failed: %s", (unsigned long long)chunk->index, sentence);
	}
	if (s3_list_is_empty(&fetch->pieces)) {
		s3_list_init(&pieces);
	} else {
		pieces.next->previous = &pieces;
		pieces.previous->next = &pieces;
	}
	/* The chunk stays while `pieces` read from it: settle it after them. */
	while (!s3_list_is_empty(&pieces)) {
		struct s3_piece *piece = S3_LIST_ENTRY(pieces.next, struct s3_piece, link);

		s3_list_remove(&piece->link);
		piece->fetched(piece, read_errno(status));
	}
	free_fetch(fetch);
	s3_chunk_settle(unit, chunk);
	s3_fetch_start_waiting(unit);
	s3_cache_trim(unit);
	s3_unit_wake(unit);
}

static void call_is_done(struct s3_call *call)
{
	struct s3_fetch *fetch = call->context;
	const struct s3_name now = s3_table_get(&fetch->unit->volume->table, fetch->chunk->index);

	uint32_t missing_first, missing_end;

	fetch->unit->fetches--;
	if (call->status != 0 &&
	    !s3_chunk_missing(fetch->unit, fetch->chunk, fetch->first, fetch->end, &missing_first, &missing_end)) {
		finish(fetch, 0, false); /* all of it was written in the meantime */
		return;
	}
	/* Superseded and deleted while we asked for it. */
	if (call->status == -ENOENT && fetch->restarts < RESTARTS && now.kind == S3_NAME_DATA &&
	    memcmp(&now, &fetch->name, sizeof(now)) != 0) {
		fetch->restarts++;
		send_call(fetch);
		return;
	}
	finish(fetch, call->status, call->status == 0);
}

static void send_call(struct s3_fetch *fetch)
{
	struct s3_unit *unit = fetch->unit;
	struct s3_text key = {0};
	uint32_t stored = s3_chunk_stored_bytes(unit, fetch->chunk->index);
	const uint64_t deadline_ns = fetch->call.deadline_ns;

	fetch->name = s3_table_get(&unit->volume->table, fetch->chunk->index);
	s3_key_chunk(&key, fetch->chunk->index, &fetch->name);
	s3_call_free(&fetch->call);
	s3_call_init(&fetch->call, &unit->volume->client, "GET", key.data == NULL ? "" : key.data);
	fetch->call.key.failed |= key.failed;
	s3_text_free(&key);
	if (stored > fetch->end)
		stored = fetch->end;
	fetch->call.range_first = fetch->first;
	fetch->call.range_bytes = stored - fetch->first;
	fetch->call.deadline_ns = deadline_ns;
	fetch->call.context = fetch;
	fetch->call.body_part = take_part;
	fetch->call.verify = verify;
	fetch->call.done = call_is_done;
	unit->fetches++;
	s3_http_start(unit->http, &fetch->call);
}

void s3_fetch_start_waiting(struct s3_unit *unit)
{
	while (unit->fetches < unit->fetch_slots && !s3_list_is_empty(&unit->waiting_fetches)) {
		struct s3_fetch *fetch = S3_LIST_ENTRY(unit->waiting_fetches.next, struct s3_fetch, waiting);

		s3_list_remove(&fetch->waiting);
		send_call(fetch);
	}
}

static struct s3_fetch *new_fetch(struct s3_unit *unit, struct s3_chunk *chunk, uint32_t first, uint32_t end)
{
	const uint32_t step = unit->check_bytes; /* a multiple of a page */
	struct s3_fetch *fetch;
	uint32_t pages;

	first -= first % step;
	end = (end + step - 1) / step * step;
	if (end > unit->chunk_bytes)
		end = unit->chunk_bytes;
	pages = (end - first + unit->page_bytes - 1) / unit->page_bytes;
	fetch = calloc(1, sizeof(*fetch) + pages * sizeof(fetch->buffers[0]));
	if (fetch == NULL)
		return NULL;
	fetch->unit = unit;
	fetch->chunk = chunk;
	fetch->first = first;
	fetch->end = end;
	s3_list_init(&fetch->pieces);
	s3_list_append(&chunk->fetches, &fetch->in_chunk);
	for (uint32_t i = 0; i < pages; i++) {
		fetch->buffers[i] = s3_buffer_new(unit);
		if (fetch->buffers[i] == NULL) {
			free_fetch(fetch);
			return NULL;
		}
	}
	return fetch;
}

static struct s3_fetch *find_covering(struct s3_chunk *chunk, uint32_t first, uint32_t end)
{
	S3_LIST_FOR_EACH(link, &chunk->fetches)
	{
		struct s3_fetch *fetch = S3_LIST_ENTRY(link, struct s3_fetch, in_chunk);

		if (fetch->first <= first && fetch->end >= end)
			return fetch;
	}
	return NULL;
}

int s3_fetch_start(struct s3_unit *unit, struct s3_chunk *chunk, uint32_t first, uint32_t end, struct s3_piece *piece,
		   uint64_t deadline_ns)
{
	struct s3_fetch *fetch = find_covering(chunk, first, end);
	const bool is_new = fetch == NULL;

	if (is_new)
		fetch = new_fetch(unit, chunk, first, end);
	if (fetch == NULL)
		return -ENOMEM;
	if (piece != NULL)
		s3_list_append(&fetch->pieces, &piece->link);
	if (!is_new) {
		/* Whoever waits has a deadline of his own; the last one counts here. */
		if (fetch->call.deadline_ns != 0 && fetch->call.deadline_ns < deadline_ns)
			fetch->call.deadline_ns = deadline_ns;
		return 0;
	}
	fetch->call.deadline_ns = deadline_ns;
	s3_chunk_settle(unit, chunk);
	if (unit->fetches < unit->fetch_slots)
		send_call(fetch);
	else
		s3_list_append(&unit->waiting_fetches, &fetch->waiting);
	return 0;
}

void s3_fetch_cancel_all(struct s3_unit *unit, struct s3_chunk *chunk)
{
	while (!s3_list_is_empty(&chunk->fetches)) {
		struct s3_fetch *fetch = S3_LIST_ENTRY(chunk->fetches.next, struct s3_fetch, in_chunk);

		if (fetch->call.http != NULL) {
			s3_http_cancel(&fetch->call);
			unit->fetches--;
		}
		while (!s3_list_is_empty(&fetch->pieces)) {
			struct s3_piece *piece = S3_LIST_ENTRY(fetch->pieces.next, struct s3_piece, link);

			s3_list_remove(&piece->link);
			piece->fetched(piece, -ESHUTDOWN);
		}
		free_fetch(fetch);
	}
}
