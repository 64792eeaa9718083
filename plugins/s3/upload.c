/* SPDX-License-Identifier: Apache-2.0
 *
 * Write-back: which chunk goes up when, and one upload from the missing parts to the new name in force.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "unit.h"

#define DIRTY_AGE_NS	 (5 * S3_SECOND_NS) /* dirty data goes up after this without being asked for */
#define FILLING_NS	 (S3_SECOND_NS / 2)
#define RETRY_AFTER_NS	 (S3_SECOND_NS / 2)
#define RETRY_LIMIT_NS	 (8 * S3_SECOND_NS)
#define UPLOAD_ATTEMPTS	 4u
#define MERGE_LIMIT_NS	 (20 * S3_SECOND_NS)
#define MERGE_GAPS	 8u
#define MERGE_JOIN_BYTES (256u << 10) /* gaps closer than this are read as one */

struct s3_upload {
	struct s3_call call;
	struct s3_unit *unit;
	struct s3_chunk *chunk;
	struct s3_piece gaps[MERGE_GAPS];
	unsigned gaps_left;
	int gap_status;
	bool is_sent, is_zero;
	struct s3_name name;
	uint64_t serial, tick, dirty_since_ns;
	char checksums[S3_CHECKSUM_TEXT_BYTES];
	uint64_t *dirty;	    /* per page, what this upload takes */
	struct s3_buffer **buffers; /* per page */
	struct iovec *body;
};

/* ---- Dirty
 * -------------------------------------------------------------------------------------------------------------- */

void s3_mark_dirty(struct s3_unit *unit, struct s3_chunk *chunk, uint32_t page, uint64_t bits)
{
	const uint64_t all = s3_page_granules(unit, page);
	const bool was_full = chunk->pages[page].dirty == all;

	chunk->pages[page].dirty |= bits;
	if (!was_full && chunk->pages[page].dirty == all)
		chunk->full_pages++;
	if (chunk->dirty_tick == 0) {
		chunk->dirty_tick = unit->tick;
		chunk->dirty_since_ns = s3_now_ns();
	}
}

uint64_t s3_chunk_oldest_tick(const struct s3_chunk *chunk)
{
	uint64_t oldest = chunk->dirty_tick == 0 ? UINT64_MAX : chunk->dirty_tick;

	if (chunk->upload != NULL && chunk->upload->is_sent && chunk->upload->tick < oldest)
		oldest = chunk->upload->tick;
	return oldest;
}

/* What an upload took is dirty again. */
static void give_back(struct s3_upload *upload)
{
	struct s3_chunk *chunk = upload->chunk;
	const uint64_t newer = chunk->dirty_tick;

	if (!upload->is_sent)
		return;
	for (uint32_t i = 0; i < upload->unit->page_count; i++)
		if (upload->dirty[i] != 0)
			s3_mark_dirty(upload->unit, chunk, i, upload->dirty[i]);
	if (newer == 0 || upload->tick < newer) {
		chunk->dirty_tick = upload->tick;
		chunk->dirty_since_ns = upload->dirty_since_ns;
	}
}

/* ---- End
 * --------------------------------------------------------------------------------------------------------------------
 */

static void free_upload(struct s3_upload *upload)
{
	struct s3_unit *unit = upload->unit;

	for (uint32_t i = 0; upload->buffers != NULL && i < unit->page_count; i++)
		s3_buffer_release(unit, upload->buffers[i]);
	upload->chunk->upload = NULL;
	unit->uploads--;
	s3_call_free(&upload->call);
	free(upload->dirty);
	free(upload->buffers);
	free(upload->body);
	free(upload);
}

static void keep_tried(struct s3_chunk *chunk, char *key)
{
	char **tried = key == NULL ? NULL : realloc(chunk->tried, (chunk->tried_count + 1) * sizeof(*tried));

	if (tried == NULL) {
		free(key); /* an orphan at worst, which tgtkit-s3 check finds */
		return;
	}
	chunk->tried = tried;
	tried[chunk->tried_count++] = key;
}

static void forget_tried(struct s3_volume *volume, struct s3_chunk *chunk)
{
	for (size_t i = 0; i < chunk->tried_count; i++)
		s3_volume_add_garbage(volume, chunk->tried[i]);
	free(chunk->tried);
	chunk->tried = NULL;
	chunk->tried_count = 0;
}

/* The object is there, and our right to write held when we learnt it: nobody has taken over without seeing it.  Hence
 * the old one may go. */
static bool put_in_force(struct s3_upload *upload)
{
	struct s3_volume *volume = upload->unit->volume;
	struct s3_chunk *chunk = upload->chunk;
	const struct s3_name old = s3_table_get(&volume->table, chunk->index);
	struct s3_text key = {0};

	if (s3_table_set(&volume->table, chunk->index, upload->name) != 0)
		return false;
	if (old.kind != S3_NAME_ABSENT) {
		s3_text_add(&key, volume->client.address.prefix);
		s3_key_chunk(&key, chunk->index, &old);
		s3_volume_add_garbage(volume, key.data);
	}
	forget_tried(volume, chunk);
	return true;
}

static void set_retry(struct s3_chunk *chunk)
{
	uint64_t delay_ns = RETRY_AFTER_NS;

	for (unsigned i = 0; i < chunk->failures && delay_ns < RETRY_LIMIT_NS; i++)
		delay_ns *= 2;
	chunk->failures++;
	chunk->retry_at_ns = s3_now_ns() + delay_ns;
}

static bool is_passing(int status)
{
	return status == -ETIMEDOUT || status == -ECANCELED || status == -ENOMEM || status == -ESHUTDOWN;
}

static void fail(struct s3_upload *upload, int status, bool was_refused_by_lease)
{
	struct s3_unit *unit = upload->unit;
	struct s3_chunk *chunk = upload->chunk;
	const uint64_t tick = upload->is_sent ? upload->tick : chunk->dirty_tick, serial = upload->serial;
	char sentence[400] = "its other parts could not be read";

	if (status != -ECANCELED && chunk->failures == 0) {
		if (upload->is_sent)
			s3_call_describe(&upload->call, sentence, sizeof(sentence));
		s3_log(unit->volume->unit, TGTKIT_LOG_WARNING,
		       "writing chunk %llu failed, its data is kept and retried: %s", (unsigned long long)chunk->index,
		       sentence);
	}
	give_back(upload);
	free_upload(upload);
	if (!was_refused_by_lease)
		set_retry(chunk);
	s3_chunk_settle(unit, chunk);
	/* Who came while it was under way gets an attempt of its own. */
	if (!is_passing(status) && s3_flush_fail(unit, chunk, tick, serial, status))
		chunk->retry_at_ns = 0;
	s3_unit_wake(unit);
}

static void succeed(struct s3_upload *upload)
{
	struct s3_unit *unit = upload->unit;
	struct s3_chunk *chunk = upload->chunk;

	chunk->failures = 0;
	chunk->retry_at_ns = 0;
	free_upload(upload);
	s3_chunk_settle(unit, chunk);
	s3_flush_check(unit);
	s3_upload_pump(unit);
	s3_io_turn(unit);
	s3_remove_pump(unit, false);
	s3_cache_trim(unit);
}

static void call_is_done(struct s3_call *call)
{
	struct s3_upload *upload = call->context;
	struct s3_unit *unit = upload->unit;
	const bool may_write = s3_volume_may_write(unit->volume);

	if (call->status == 0 && may_write && put_in_force(upload)) {
		succeed(upload);
		return;
	}
	if (call->was_sent)
		keep_tried(upload->chunk, strdup(call->key.data));
	fail(upload, call->status == 0 ? -ECANCELED : call->status, !may_write);
}

void s3_upload_abort(struct s3_unit *unit, struct s3_chunk *chunk)
{
	struct s3_upload *upload = chunk->upload;

	if (upload->call.http != NULL) {
		s3_http_cancel(&upload->call);
		if (upload->call.was_sent)
			keep_tried(chunk, strdup(upload->call.key.data));
	}
	give_back(upload);
	free_upload(upload);
	s3_chunk_settle(unit, chunk);
}

/* ---- Sending
 * ------------------------------------------------------------------------------------------------------------------ */

/* A name of its own for each attempt: one that was given up may still arrive. */
static bool name_attempt(struct s3_call *call)
{
	struct s3_upload *upload = call->context;
	struct s3_volume *volume = upload->unit->volume;

	if (!s3_volume_may_write(volume) || volume->sequence == UINT32_MAX)
		return false;
	if (call->was_sent)
		keep_tried(upload->chunk, strdup(call->key.data));
	upload->name = (struct s3_name){.kind = upload->is_zero ? S3_NAME_ZERO : S3_NAME_DATA,
					.generation = volume->lease.generation,
					.sequence = volume->sequence++};
	volume->has_uploaded = true;
	s3_text_clear(&call->key);
	s3_text_add(&call->key, volume->client.address.prefix);
	s3_key_chunk(&call->key, upload->chunk->index, &upload->name);
	return !call->key.failed;
}

static bool is_zero_page(const struct s3_unit *unit, const struct s3_buffer *buffer, uint32_t length)
{
	return buffer == unit->zeros ||
	       (buffer->bytes[0] == 0 && memcmp(buffer->bytes, buffer->bytes + 1, length - 1) == 0);
}

static uint32_t page_length(const struct s3_unit *unit, uint32_t page)
{
	const uint32_t left = unit->chunk_bytes - page * unit->page_bytes;

	return left < unit->page_bytes ? left : unit->page_bytes;
}

/* What no object holds is zeros. */
static void fill_with_zeros(struct s3_unit *unit, struct s3_chunk *chunk)
{
	for (uint32_t i = 0; i < unit->page_count; i++) {
		struct s3_page *page = &chunk->pages[i];
		uint64_t missing = s3_page_granules(unit, i) & ~page->valid;

		if (page->buffer == NULL)
			page->buffer = s3_buffer_keep(unit->zeros);
		else
			for (; missing != 0; missing &= missing - 1)
				memset(page->buffer->bytes + (uint32_t)__builtin_ctzll(missing) * S3_GRANULE_BYTES, 0,
				       S3_GRANULE_BYTES);
		page->valid = s3_page_granules(unit, i);
	}
}

static void take_pages(struct s3_upload *upload)
{
	const struct s3_unit *unit = upload->unit;
	struct s3_chunk *chunk = upload->chunk;

	upload->is_zero = true;
	for (uint32_t i = 0; i < unit->page_count; i++) {
		struct s3_page *page = &chunk->pages[i];

		upload->buffers[i] = s3_buffer_keep(page->buffer);
		upload->dirty[i] = page->dirty;
		page->dirty = 0;
		upload->body[i] = (struct iovec){.iov_base = page->buffer->bytes, .iov_len = page_length(unit, i)};
		if (upload->is_zero)
			upload->is_zero = is_zero_page(unit, page->buffer, page_length(unit, i));
	}
	upload->tick = chunk->dirty_tick;
	upload->dirty_since_ns = chunk->dirty_since_ns;
	upload->is_sent = true;
	chunk->dirty_tick = 0;
	chunk->full_pages = 0;
	chunk->is_urgent = false;
}

static void make_checksums(struct s3_upload *upload)
{
	const struct s3_unit *unit = upload->unit;
	const uint32_t pages_per_block = unit->check_bytes / unit->page_bytes;
	uint32_t crcs[S3_CHECK_BLOCKS] = {0};

	for (uint32_t i = 0; i < unit->page_count; i++)
		crcs[i / pages_per_block] =
		    s3_crc32c(crcs[i / pages_per_block], upload->body[i].iov_base, upload->body[i].iov_len);
	s3_checksums_encode(crcs, s3_check_count(unit->chunk_bytes), upload->checksums);
}

static void send_chunk(struct s3_upload *upload)
{
	struct s3_unit *unit = upload->unit;
	uint32_t missing_first, missing_end;

	/* Never zeros for what an object holds. */
	if (s3_chunk_missing(unit, upload->chunk, 0, unit->chunk_bytes, &missing_first, &missing_end)) {
		fail(upload, -EIO, false);
		return;
	}
	fill_with_zeros(unit, upload->chunk);
	take_pages(upload);
	s3_call_init(&upload->call, &unit->volume->client, "PUT", "");
	if (!upload->is_zero) {
		make_checksums(upload);
		upload->call.checksums = upload->checksums;
		upload->call.body = upload->body;
		upload->call.body_count = unit->page_count;
		upload->call.body_bytes = unit->chunk_bytes;
	}
	upload->call.attempts = UPLOAD_ATTEMPTS;
	upload->call.context = upload;
	upload->call.begin = name_attempt;
	upload->call.done = call_is_done;
	s3_http_start(unit->http, &upload->call);
}

/* ---- The parts that were not written
 * ---------------------------------------------------------------------------------------------- */

static void gap_is_filled(struct s3_piece *piece, int status)
{
	struct s3_upload *upload = piece->context;

	if (status != 0)
		upload->gap_status = status;
	if (--upload->gaps_left > 0)
		return;
	if (upload->gap_status != 0)
		fail(upload, upload->gap_status, false);
	else
		send_chunk(upload);
}

/* The gaps as few ranges; whatever lies between two close ones is read along. */
static void find_gaps(struct s3_upload *upload)
{
	const struct s3_unit *unit = upload->unit;
	uint32_t first = 0, gap_first, gap_end;

	for (uint32_t page = 0; page < unit->page_count; page++) {
		const uint32_t start = page * unit->page_bytes;
		struct s3_piece *last = upload->gaps_left == 0 ? NULL : &upload->gaps[upload->gaps_left - 1];

		first = start;
		if (!s3_chunk_missing(unit, upload->chunk, first, start + page_length(unit, page), &gap_first,
				      &gap_end))
			continue;
		if (last != NULL && (gap_first - last->end < MERGE_JOIN_BYTES || upload->gaps_left == MERGE_GAPS)) {
			last->end = gap_end;
			continue;
		}
		upload->gaps[upload->gaps_left++] = (struct s3_piece){.fetched = gap_is_filled,
								      .context = upload,
								      .chunk = upload->chunk,
								      .first = gap_first,
								      .end = gap_end};
	}
}

static void start(struct s3_upload *upload)
{
	const uint64_t deadline_ns = s3_now_ns() + MERGE_LIMIT_NS;
	unsigned gaps;

	find_gaps(upload);
	gaps = upload->gaps_left;
	if (gaps == 0) {
		send_chunk(upload);
		return;
	}
	for (unsigned i = 0; i < gaps; i++) {
		struct s3_piece *gap = &upload->gaps[i];

		if (s3_fetch_start(upload->unit, upload->chunk, gap->first, gap->end, gap, deadline_ns) != 0) {
			upload->gap_status = -ENOMEM;
			upload->gaps_left -= 1;
		}
	}
	if (upload->gaps_left == 0)
		fail(upload, -ENOMEM, false);
}

static bool start_upload(struct s3_unit *unit, struct s3_chunk *chunk)
{
	struct s3_upload *upload = calloc(1, sizeof(*upload));

	if (upload == NULL)
		return false;
	upload->dirty = calloc(unit->page_count, sizeof(*upload->dirty));
	upload->buffers = calloc(unit->page_count, sizeof(struct s3_buffer *));
	upload->body = calloc(unit->page_count, sizeof(*upload->body));
	if (upload->dirty == NULL || upload->buffers == NULL || upload->body == NULL) {
		free(upload->dirty);
		free(upload->buffers);
		free(upload->body);
		free(upload);
		return false;
	}
	upload->unit = unit;
	upload->chunk = chunk;
	upload->serial = ++unit->serial;
	chunk->upload = upload;
	unit->uploads++;
	s3_chunk_settle(unit, chunk);
	start(upload);
	return true;
}

/* ---- Choice
 * ----------------------------------------------------------------------------------------------------------------------
 */

static struct s3_chunk *first_due(struct s3_link *list, uint64_t now_ns)
{
	S3_LIST_FOR_EACH(link, list)
	{
		struct s3_chunk *chunk = S3_LIST_ENTRY(link, struct s3_chunk, link);

		if (chunk->retry_at_ns <= now_ns)
			return chunk;
	}
	return NULL;
}

/* Memory is short.  A chunk that is being filled is left alone while others are on their way: it may become full, and
 * then needs no merge and goes up once. */
static bool is_pressed(const struct s3_unit *unit, const struct s3_chunk *chunk, uint64_t now_ns)
{
	if (s3_list_is_empty(&unit->blocked) && unit->used_bytes <= unit->limit_bytes / 4 * 3)
		return false;
	return unit->uploads == 0 || now_ns - chunk->dirty_since_ns > FILLING_NS;
}

/* Of the chunks that are not full: the oldest, if a flush, a full cache or its age wants it. */
static struct s3_chunk *choose(struct s3_unit *unit)
{
	const uint64_t now_ns = s3_now_ns();
	struct s3_chunk *chunk = first_due(&unit->ready, now_ns);

	if (chunk != NULL)
		return chunk;
	chunk = first_due(&unit->dirty, now_ns);
	if (chunk == NULL || chunk->dirty_tick <= unit->flush_tick || is_pressed(unit, chunk, now_ns) ||
	    now_ns - chunk->dirty_since_ns > DIRTY_AGE_NS)
		return chunk;
	return NULL;
}

void s3_upload_pump(struct s3_unit *unit)
{
	struct s3_chunk *chunk;

	while (unit->http != NULL && unit->uploads < unit->upload_slots && s3_volume_may_write(unit->volume)) {
		chunk = choose(unit);
		if (chunk == NULL || !start_upload(unit, chunk))
			break;
	}
	if (!s3_list_is_empty(&unit->dirty) || !s3_list_is_empty(&unit->ready))
		s3_unit_wake(unit);
}
