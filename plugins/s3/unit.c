/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdlib.h>

#include "log.h"
#include "unit.h"

#define TURN_US	       100000u
#define TURN_NS	       (UINT64_C(1000) * TURN_US)
#define CHUNKS_MINIMUM 8u

static void take_geometry(struct s3_unit *unit)
{
	const struct s3_settings *settings = &unit->volume->settings;
	uint64_t least;

	unit->chunk_bytes = unit->volume->metadata.chunk_bytes;
	unit->check_bytes = s3_check_bytes(unit->chunk_bytes);
	unit->page_bytes = unit->check_bytes < S3_PAGE_BYTES_MAXIMUM ? unit->check_bytes : S3_PAGE_BYTES_MAXIMUM;
	unit->page_count = (unit->chunk_bytes + unit->page_bytes - 1) / unit->page_bytes;
	unit->page_mask = s3_granule_bits(0, unit->page_bytes);
	least = (uint64_t)CHUNKS_MINIMUM * unit->chunk_bytes;
	unit->limit_bytes = settings->cache_bytes < least ? least : settings->cache_bytes;
	unit->fetch_slots = settings->max_requests;
	/* What uploads hold has to fit beside what is being written. */
	unit->upload_slots = (unsigned)(unit->limit_bytes / 2 / unit->chunk_bytes);
	if (unit->upload_slots > settings->max_requests)
		unit->upload_slots = settings->max_requests;
}

struct s3_unit *s3_unit_new(struct s3_volume *volume)
{
	struct s3_unit *unit = calloc(1, sizeof(*unit));

	if (unit == NULL)
		return NULL;
	unit->volume = volume;
	take_geometry(unit);
	s3_list_init(&unit->clean);
	s3_list_init(&unit->dirty);
	s3_list_init(&unit->ready);
	s3_list_init(&unit->uploading);
	s3_list_init(&unit->waiting_fetches);
	s3_list_init(&unit->reading);
	s3_list_init(&unit->blocked);
	s3_list_init(&unit->unacked);
	s3_list_init(&unit->flushing);
	unit->zeros = s3_buffer_new(unit);
	if (unit->zeros == NULL) {
		free(unit);
		return NULL;
	}
	for (uint32_t i = 0; i < unit->page_bytes; i++)
		unit->zeros->bytes[i] = 0;
	return unit;
}

void s3_unit_free(struct s3_unit *unit)
{
	struct s3_buffer *buffer;

	for (size_t i = 0; i < unit->bucket_count; i++)
		while (unit->buckets[i] != NULL)
			s3_chunk_free(unit, unit->buckets[i]);
	free(unit->buckets);
	s3_buffer_release(unit, unit->zeros);
	while ((buffer = unit->free_buffers) != NULL) {
		unit->free_buffers = buffer->next_free;
		free(buffer->bytes);
		free(buffer);
	}
	free(unit);
}

void s3_unit_attach(struct s3_unit *unit, struct s3_http *http)
{
	unit->http = http;
	s3_unit_wake(unit);
}

void s3_unit_detach(struct s3_unit *unit)
{
	s3_remove_abort(unit);
	for (size_t i = 0; i < unit->bucket_count; i++) {
		struct s3_chunk *chunk = unit->buckets[i];

		while (chunk != NULL) {
			struct s3_chunk *next = chunk->next_in_bucket;

			s3_fetch_cancel_all(unit, chunk);
			if (chunk->upload != NULL)
				s3_upload_abort(unit, chunk);
			else
				s3_chunk_settle(unit, chunk);
			chunk = next;
		}
	}
	unit->http = NULL;
	unit->flush_tick = 0;
}

static bool needs_turns(const struct s3_unit *unit)
{
	return !s3_list_is_empty(&unit->dirty) || !s3_list_is_empty(&unit->ready) ||
	       !s3_list_is_empty(&unit->reading) || !s3_list_is_empty(&unit->blocked) ||
	       !s3_list_is_empty(&unit->unacked) || !s3_list_is_empty(&unit->flushing) || unit->owes_ready ||
	       unit->volume->garbage_count > 0;
}

void s3_unit_wake(struct s3_unit *unit)
{
	if (unit->timer == NULL || unit->timer_is_armed || !needs_turns(unit))
		return;
	unit->timer_is_armed = true;
	s3_host->timer_arm(unit->timer, TURN_US);
}

/* What was not stored when another took over can never be: it is dropped. */
static void drop_dirty(struct s3_unit *unit)
{
	struct s3_http *http = unit->http;

	if (unit->was_fenced)
		return;
	unit->was_fenced = true;
	s3_unit_detach(unit);
	unit->http = http;
	for (size_t i = 0; i < unit->bucket_count; i++)
		while (unit->buckets[i] != NULL)
			s3_chunk_free(unit, unit->buckets[i]);
}

void s3_unit_turn(struct s3_unit *unit)
{
	s3_io_turn(unit);
	if (s3_volume_is_fenced(unit->volume)) {
		drop_dirty(unit);
	} else {
		s3_upload_pump(unit);
		s3_flush_check(unit);
		s3_remove_pump(unit, true);
	}
	s3_unit_wake(unit);
}

static bool is_drained(const struct s3_unit *unit)
{
	return s3_list_is_empty(&unit->dirty) && s3_list_is_empty(&unit->ready) && s3_list_is_empty(&unit->uploading);
}

bool s3_unit_drain(struct s3_unit *unit, uint64_t until_ns)
{
	while (s3_now_ns() < until_ns && !s3_volume_is_fenced(unit->volume) &&
	       (!is_drained(unit) || unit->volume->garbage_count > 0 || unit->removal != NULL)) {
		const uint64_t turn_ends_ns = s3_now_ns() + TURN_NS;

		unit->flush_tick = unit->tick;
		s3_unit_turn(unit);
		s3_http_run_until(unit->http, NULL, NULL, turn_ends_ns);
		if (unit->uploads == 0 && unit->removal == NULL && !is_drained(unit)) {
			const struct timespec pause = {.tv_nsec = TURN_NS / 4};

			nanosleep(&pause, NULL);
		}
	}
	return is_drained(unit) && !unit->was_fenced;
}
