/* SPDX-License-Identifier: Apache-2.0
 *
 * Out of the cache, after fetching what is not in it.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "unit.h"

#define READ_LIMIT_NS (20 * S3_SECOND_NS) /* of a request that has no deadline */

/* Every byte of [first, end) is valid, or zeros. */
static void copy_chunk(const struct s3_io *io, const struct s3_chunk *chunk, uint64_t position, uint32_t first,
		       uint32_t end)
{
	const struct s3_unit *unit = io->unit;

	while (first < end) {
		const uint32_t number = first / unit->page_bytes, inside = first % unit->page_bytes;
		const struct s3_page *page = &chunk->pages[number];
		uint32_t stop = end - (first - inside) < unit->page_bytes ? end - (first - inside) : unit->page_bytes;
		const uint64_t bits = s3_granule_bits(inside, stop);

		if ((page->valid & bits) == bits) {
			s3_io_copy_out(io, position, page->buffer->bytes + inside, stop - inside);
		} else {
			stop = inside + S3_GRANULE_BYTES;
			if (page->valid & s3_granule_bits(inside, stop))
				s3_io_copy_out(io, position, page->buffer->bytes + inside, S3_GRANULE_BYTES);
			else
				s3_io_zero_out(io, position, S3_GRANULE_BYTES);
		}
		position += stop - inside;
		first += stop - inside;
	}
}

static void piece_is_fetched(struct s3_piece *piece, int status)
{
	struct s3_io *io = piece->context;
	const uint64_t position = piece->chunk->index * io->unit->chunk_bytes + piece->first - io->request->offset;

	if (status == 0)
		copy_chunk(io, piece->chunk, position, piece->first, piece->end);
	else if (io->status == 0)
		io->status = status;
	s3_list_remove(&piece->in_io);
	free(piece);
	if (--io->pieces > 0)
		return;
	s3_list_remove(&io->link);
	s3_io_finish(io, io->status);
}

void s3_read_give_up(struct s3_io *io, int status)
{
	while (!s3_list_is_empty(&io->fetching)) {
		struct s3_piece *piece = S3_LIST_ENTRY(io->fetching.next, struct s3_piece, in_io);

		s3_list_remove(&piece->in_io);
		s3_list_remove(&piece->link);
		free(piece);
	}
	s3_list_remove(&io->link);
	s3_host->complete(io->request, status);
}

static int fetch_piece(struct s3_io *io, struct s3_chunk *chunk, uint32_t first, uint32_t end, uint32_t missing_first,
		       uint32_t missing_end)
{
	const uint64_t deadline_ns =
	    io->request->deadline_ns != 0 ? io->request->deadline_ns : s3_now_ns() + READ_LIMIT_NS;
	struct s3_piece *piece = malloc(sizeof(*piece));
	int status;

	if (piece == NULL)
		return -ENOMEM;
	*piece =
	    (struct s3_piece){.fetched = piece_is_fetched, .context = io, .chunk = chunk, .first = first, .end = end};
	io->pieces++;
	status = s3_fetch_start(io->unit, chunk, missing_first, missing_end, piece, deadline_ns);
	if (status != 0) {
		io->pieces--;
		free(piece);
	} else {
		s3_list_append(&io->fetching, &piece->in_io);
	}
	return status;
}

static int read_chunk(struct s3_io *io, uint64_t index, uint32_t first, uint32_t end)
{
	struct s3_unit *unit = io->unit;
	struct s3_chunk *chunk = s3_chunk_find(unit, index);
	uint32_t missing_first, missing_end;
	int status;

	if (chunk == NULL && s3_chunk_stored_bytes(unit, index) == 0) {
		s3_io_zero_out(io, io->position, end - first);
		return 0;
	}
	chunk = s3_chunk_get(unit, index);
	if (chunk == NULL)
		return -ENOMEM;
	if (s3_chunk_missing(unit, chunk, first, end, &missing_first, &missing_end)) {
		s3_client_count(&unit->volume->client, S3_COUNT_CACHE_MISSES, 1);
		status = fetch_piece(io, chunk, first, end, missing_first, missing_end);
		s3_chunk_settle(unit, chunk);
		return status;
	}
	s3_client_count(&unit->volume->client, S3_COUNT_CACHE_HITS, 1);
	copy_chunk(io, chunk, io->position, first, end);
	s3_chunk_touch(unit, chunk);
	s3_chunk_settle(unit, chunk);
	return 0;
}

void s3_read(struct s3_io *io)
{
	const struct tgtkit_request *request = io->request;
	struct s3_unit *unit = io->unit;
	int status = 0;

	s3_list_init(&io->fetching);
	io->pieces = 1; /* ours, until all is under way */
	while (io->position < request->length && status == 0) {
		const uint64_t offset = request->offset + io->position, left = request->length - io->position;
		const uint32_t first = (uint32_t)(offset % unit->chunk_bytes);
		const uint32_t end = left < unit->chunk_bytes - first ? first + (uint32_t)left : unit->chunk_bytes;

		status = read_chunk(io, offset / unit->chunk_bytes, first, end);
		io->position += end - first;
	}
	s3_read_ahead(unit, request->offset, request->length);
	if (status != 0)
		io->status = status;
	if (--io->pieces == 0) {
		s3_io_finish(io, io->status);
	} else {
		s3_list_append(&unit->reading, &io->link);
		s3_unit_wake(unit);
	}
}
