/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits until data is stored: SYNCHRONIZE CACHE for all that was written before it, FUA for its own chunks.
 */
#include <config.h>

#include <errno.h>

#include "unit.h"

static bool is_flush(const struct s3_io *io)
{
	return io->request->operation == TGTKIT_FLUSH;
}

static uint64_t oldest_of(const struct s3_link *list)
{
	uint64_t oldest = UINT64_MAX;

	S3_LIST_FOR_EACH(link, list)
	{
		const uint64_t tick = s3_chunk_oldest_tick(S3_LIST_ENTRY(link, struct s3_chunk, link));

		if (tick < oldest)
			oldest = tick;
	}
	return oldest;
}

/* The oldest write of the unit that is not stored. */
static uint64_t oldest_tick(const struct s3_unit *unit)
{
	const uint64_t ready = oldest_of(&unit->ready), uploading = oldest_of(&unit->uploading);
	uint64_t oldest = ready < uploading ? ready : uploading;

	if (!s3_list_is_empty(&unit->dirty)) {
		const uint64_t dirty = S3_LIST_ENTRY(unit->dirty.next, struct s3_chunk, link)->dirty_tick;

		oldest = dirty < oldest ? dirty : oldest;
	}
	return oldest;
}

static uint64_t oldest_in_range(const struct s3_io *io)
{
	struct s3_unit *unit = io->unit;
	const uint64_t last = (io->request->offset + io->request->length - 1) / unit->chunk_bytes;
	uint64_t oldest = UINT64_MAX;

	for (uint64_t index = io->request->offset / unit->chunk_bytes; index <= last; index++) {
		const struct s3_chunk *chunk = s3_chunk_find(unit, index);
		const uint64_t tick = chunk == NULL ? UINT64_MAX : s3_chunk_oldest_tick(chunk);

		if (tick < oldest)
			oldest = tick;
	}
	return oldest;
}

/* Does the request cover this write to this chunk? */
static bool waits_for(const struct s3_io *io, const struct s3_chunk *chunk, uint64_t tick)
{
	const uint64_t start = chunk->index * io->unit->chunk_bytes;

	if (tick > io->tick)
		return false;
	return is_flush(io) || (io->request->offset < start + io->unit->chunk_bytes &&
				io->request->offset + io->request->length > start);
}

void s3_flush_check(struct s3_unit *unit)
{
	const uint64_t oldest = s3_list_is_empty(&unit->flushing) ? 0 : oldest_tick(unit);
	struct s3_link *link = unit->flushing.next;

	while (link != &unit->flushing) {
		struct s3_io *io = S3_LIST_ENTRY(link, struct s3_io, link);

		link = link->next;
		if ((is_flush(io) ? oldest : oldest_in_range(io)) <= io->tick)
			continue;
		s3_list_remove(&io->link);
		s3_io_finish(io, 0);
	}
}

bool s3_flush_fail(struct s3_unit *unit, const struct s3_chunk *chunk, uint64_t tick, uint64_t serial, int status)
{
	struct s3_link *link = unit->flushing.next;
	bool is_wanted = false;

	while (link != &unit->flushing) {
		struct s3_io *io = S3_LIST_ENTRY(link, struct s3_io, link);

		link = link->next;
		if (!waits_for(io, chunk, tick))
			continue;
		if (io->serial > serial) {
			is_wanted = true;
			continue;
		}
		s3_list_remove(&io->link);
		s3_io_finish(io, status == -ENOSPC ? status : -EIO);
	}
	return is_wanted;
}

/* Somebody waits now: no chunk rests after a failure. */
static void hurry(struct s3_link *list)
{
	S3_LIST_FOR_EACH(link, list)
	S3_LIST_ENTRY(link, struct s3_chunk, link)->retry_at_ns = 0;
}

static void wait_for_uploads(struct s3_io *io)
{
	struct s3_unit *unit = io->unit;

	io->serial = ++unit->serial;
	s3_list_append(&unit->flushing, &io->link);
	hurry(&unit->dirty);
	hurry(&unit->ready);
	s3_upload_pump(unit);
	s3_flush_check(unit);
	s3_unit_wake(unit);
}

void s3_flush(struct s3_io *io)
{
	io->tick = io->unit->tick;
	if (io->unit->flush_tick < io->tick)
		io->unit->flush_tick = io->tick;
	wait_for_uploads(io);
}

void s3_flush_range(struct s3_io *io)
{
	struct s3_unit *unit = io->unit;
	const uint64_t last = (io->request->offset + io->request->length - 1) / unit->chunk_bytes;

	for (uint64_t index = io->request->offset / unit->chunk_bytes; index <= last; index++) {
		struct s3_chunk *chunk = s3_chunk_find(unit, index);

		if (chunk == NULL || chunk->dirty_tick == 0)
			continue;
		chunk->is_urgent = true;
		s3_chunk_settle(unit, chunk);
	}
	wait_for_uploads(io);
}
