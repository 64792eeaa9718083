/* SPDX-License-Identifier: Apache-2.0
 *
 * Recognises sequential readers and fetches what they will ask for next, in large pieces, several at a time.
 */
#include <config.h>

#include "unit.h"

#define FETCH_BYTES  (4u << 20) /* of one read-ahead request */
#define HITS	     2u		/* in a row, then a reader counts as sequential */
#define FIRST_WINDOW (1u << 20)
#define TOLERANCE    (2u << 20) /* requests of a deep queue may come in some disorder */

static struct s3_stream *find_stream(struct s3_unit *unit, uint64_t offset, uint64_t length)
{
	struct s3_stream *oldest = &unit->streams[0];

	for (unsigned i = 0; i < S3_STREAMS; i++) {
		struct s3_stream *stream = &unit->streams[i];

		if (stream->used_at != 0 && offset <= stream->next_offset + TOLERANCE / 4 &&
		    offset + length + TOLERANCE > stream->next_offset)
			return stream;
		if (stream->used_at < oldest->used_at)
			oldest = stream;
	}
	*oldest = (struct s3_stream){.next_offset = offset + length, .used_at = ++unit->stream_clock};
	return NULL;
}

/* One piece of at most FETCH_BYTES, within a chunk.  False: no more now. */
static bool fetch_piece(struct s3_unit *unit, uint64_t offset, uint64_t *next)
{
	const uint64_t index = offset / unit->chunk_bytes;
	const uint32_t first = (uint32_t)(offset % unit->chunk_bytes);
	const uint32_t end = unit->chunk_bytes - first > FETCH_BYTES ? first + FETCH_BYTES : unit->chunk_bytes;
	struct s3_chunk *chunk = s3_chunk_find(unit, index);
	uint32_t missing_first, missing_end;

	*next = offset + (end - first);
	if (s3_chunk_stored_bytes(unit, index) == 0)
		return true;
	if (unit->fetches >= unit->fetch_slots || !s3_cache_room(unit, end - first))
		return false;
	/* Room may have been made of this very chunk. */
	chunk = s3_chunk_get(unit, index);
	if (chunk == NULL)
		return false;
	if (s3_chunk_missing(unit, chunk, first, end, &missing_first, &missing_end) &&
	    s3_fetch_start(unit, chunk, missing_first, missing_end, NULL, 0) != 0) {
		s3_chunk_settle(unit, chunk);
		return false;
	}
	s3_chunk_settle(unit, chunk);
	return true;
}

void s3_read_ahead(struct s3_unit *unit, uint64_t offset, uint64_t length)
{
	const uint64_t limit = unit->volume->settings.read_ahead_bytes,
		       device = atomic_load(&unit->volume->device_bytes);
	struct s3_stream *stream = limit == 0 ? NULL : find_stream(unit, offset, length);
	uint64_t at, target;

	if (stream == NULL)
		return;
	stream->used_at = ++unit->stream_clock;
	if (offset + length <= stream->next_offset)
		return;
	stream->next_offset = offset + length;
	/* Random readers come close to where they were now and then. */
	if (++stream->hits < HITS)
		return;
	stream->window = stream->window == 0 ? FIRST_WINDOW : stream->window * 2;
	if (stream->window > limit)
		stream->window = limit;
	at = stream->ahead_until > stream->next_offset ? stream->ahead_until : stream->next_offset;
	target = stream->next_offset + stream->window;
	if (target > device)
		target = device;
	while (at < target && fetch_piece(unit, at, &at))
		stream->ahead_until = at;
}
