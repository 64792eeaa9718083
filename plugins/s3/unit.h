/* SPDX-License-Identifier: Apache-2.0
 *
 * The data path of one volume: a write-back cache in front of its chunks.  All of it runs on one thread at a time: the
 * home worker while a queue is open, else the thread of a control verb.
 *
 * A chunk in the cache is an array of pages.  Per page two bit maps, a bit per 512 bytes: `valid` says which bytes are
 * known, `dirty` which of them no object in force holds yet.  A page's memory is counted by references: an upload keeps
 * the pages that it sends, and a write to one of them makes a copy, so what is under way never changes.
 */
#ifndef TGTKIT_S3_UNIT_H
#define TGTKIT_S3_UNIT_H

#include "http.h"
#include "list.h"
#include "volume.h"

#define S3_PAGE_BYTES_MAXIMUM (64u * S3_GRANULE_BYTES)

struct s3_buffer {
	uint32_t references;
	struct s3_buffer *next_free;
	unsigned char *bytes;
};

struct s3_page {
	struct s3_buffer *buffer; /* NULL: nothing is valid */
	uint64_t valid, dirty;
};

enum s3_chunk_place { S3_CHUNK_BUSY, S3_CHUNK_CLEAN, S3_CHUNK_DIRTY, S3_CHUNK_READY, S3_CHUNK_UPLOADING };

struct s3_chunk {
	struct s3_chunk *next_in_bucket;
	uint64_t index;
	struct s3_link link; /* in the list of its place */
	enum s3_chunk_place place;
	struct s3_link fetches; /* what keeps it from eviction */
	struct s3_upload *upload;
	uint64_t dirty_tick; /* of the oldest write that no upload has taken; 0: none */
	uint64_t dirty_since_ns, retry_at_ns;
	bool is_urgent;	     /* a write with FUA waits for it */
	uint32_t full_pages; /* dirty from end to end */
	unsigned failures;   /* uploads in a row */
	char **tried;	     /* keys of attempts whose outcome is not known */
	size_t tried_count;
	struct s3_page pages[];
};

enum { S3_STREAMS = 4 };

/* A sequential reader. */
struct s3_stream {
	uint64_t next_offset, ahead_until, window, used_at;
	unsigned hits;
};

struct s3_unit {
	struct s3_volume *volume;
	struct s3_http *http; /* NULL: detached */
	struct tgtkit_queue *queue;
	struct tgtkit_watch *watch;
	struct tgtkit_timer *timer;
	bool timer_is_armed, owes_ready, was_fenced;

	uint32_t chunk_bytes, page_bytes, page_count, check_bytes;
	uint64_t page_mask; /* all granules of a page */

	struct s3_chunk **buckets;
	size_t bucket_count, chunk_count;
	struct s3_link clean, dirty, ready, uploading; /* clean: least recently used first; dirty: by dirty_tick */
	struct s3_buffer *free_buffers, *zeros;
	unsigned free_count;
	uint64_t used_bytes, limit_bytes;

	uint64_t serial;	   /* of uploads and of who waits for them, as they come */
	uint64_t tick, flush_tick; /* of the newest write; up to which flushes want everything stored */
	unsigned uploads, upload_slots;
	unsigned fetches, fetch_slots;
	struct s3_link waiting_fetches;
	struct s3_link reading;	 /* s3_io: wait for fetches */
	struct s3_link blocked;	 /* s3_io: writes that wait for memory, in order */
	struct s3_link unacked;	 /* s3_io: done, but the lease has to be renewed before that may be said */
	struct s3_link flushing; /* s3_io: wait for uploads */
	unsigned blocked_count;
	struct s3_removal *removal;
	struct s3_stream streams[S3_STREAMS];
	uint64_t stream_clock;
};

/* A request under way, in its scratch area. */
struct s3_io {
	struct s3_link link;
	struct s3_unit *unit;
	struct tgtkit_request *request;
	uint64_t position; /* bytes dealt with */
	uint64_t tick, serial;
	unsigned pieces;	 /* of a read, still to be fetched */
	struct s3_link fetching; /* s3_piece.in_io: these */
	int status;
};

/* ---- unit.c -------------------------------------------------------------------------------------------------------
 */

struct s3_unit *s3_unit_new(struct s3_volume *volume);
/* Detached. */
void s3_unit_free(struct s3_unit *unit);
void s3_unit_attach(struct s3_unit *unit, struct s3_http *http);
/* Takes back every call; nothing dirty is lost. */
void s3_unit_detach(struct s3_unit *unit);
/* What waits for time, lease, memory: looks again. */
void s3_unit_turn(struct s3_unit *unit);
/* For a thread that may block: stores what is dirty.  True if nothing is left. */
bool s3_unit_drain(struct s3_unit *unit, uint64_t until_ns);
/* Sees to it that s3_unit_turn is called soon. */
void s3_unit_wake(struct s3_unit *unit);

/* ---- cache.c -------------------------------------------------------------------------------------------------------
 */

struct s3_chunk *s3_chunk_find(struct s3_unit *unit, uint64_t index);
/* Finds it or makes it; NULL: no memory. */
struct s3_chunk *s3_chunk_get(struct s3_unit *unit, uint64_t index);
/* Puts the chunk where its state says; an idle one without data goes away. */
void s3_chunk_settle(struct s3_unit *unit, struct s3_chunk *chunk);
void s3_chunk_touch(struct s3_unit *unit, struct s3_chunk *chunk);
void s3_chunk_free(struct s3_unit *unit, struct s3_chunk *chunk);
/* Makes room among what is clean.  False: there is not that much. */
bool s3_cache_room(struct s3_unit *unit, uint64_t bytes);
/* Back to the limit, as far as what is clean allows. */
void s3_cache_trim(struct s3_unit *unit);

struct s3_buffer *s3_buffer_new(struct s3_unit *unit);
struct s3_buffer *s3_buffer_keep(struct s3_buffer *buffer);
void s3_buffer_release(struct s3_unit *unit, struct s3_buffer *buffer);

/* Granules that exist in this page: the last page of a chunk may be a short one. */
uint64_t s3_page_granules(const struct s3_unit *unit, uint32_t page);
/* How many bytes the object in force has, from the start of the chunk: beyond are zeros. */
uint32_t s3_chunk_stored_bytes(const struct s3_unit *unit, uint64_t index);
/* The part of [first, end) that neither cache nor zeros can give; false: there is none. */
bool s3_chunk_missing(const struct s3_unit *unit, const struct s3_chunk *chunk, uint32_t first, uint32_t end,
		      uint32_t *missing_first, uint32_t *missing_end);
/* Bits of the granules of [first, end), both relative to the page. */
uint64_t s3_granule_bits(uint32_t first, uint32_t end);

/* ---- fetch.c: ranged GETs
 * --------------------------------------------------------------------------------------------- */

/* Whoever waits for a fetch. */
struct s3_piece {
	struct s3_link link, in_io;
	void (*fetched)(struct s3_piece *piece, int status);
	void *context;
	struct s3_chunk *chunk;
	uint32_t first, end; /* within the chunk */
};

/* Brings [first, end) of the chunk, which is not all there.  `piece` NULL: read-ahead.  0, or -ENOMEM. */
int s3_fetch_start(struct s3_unit *unit, struct s3_chunk *chunk, uint32_t first, uint32_t end, struct s3_piece *piece,
		   uint64_t deadline_ns);
void s3_fetch_cancel_all(struct s3_unit *unit, struct s3_chunk *chunk);
void s3_fetch_start_waiting(struct s3_unit *unit);

/* ---- read.c, write.c, extents.c, read_ahead.c
 * ---------------------------------------------------------------------------- */

void s3_read(struct s3_io *io);
/* Completes a read that waits for fetches; these go on, for the cache. */
void s3_read_give_up(struct s3_io *io, int status);
/* WRITE, DISCARD, ZERO.  False: has to wait for memory; goes on where it stopped when called again. */
bool s3_write(struct s3_io *io);
void s3_extents(struct s3_unit *unit, struct tgtkit_request *request);
void s3_read_ahead(struct s3_unit *unit, uint64_t offset, uint64_t length);

/* ---- upload.c: write-back
 * ------------------------------------------------------------------------------------------------- */

/* Notes that [first, end) of a page is newer than any object. */
void s3_mark_dirty(struct s3_unit *unit, struct s3_chunk *chunk, uint32_t page, uint64_t bits);
/* Starts what uploads are due. */
void s3_upload_pump(struct s3_unit *unit);
/* Back to dirty, without an answer. */
void s3_upload_abort(struct s3_unit *unit, struct s3_chunk *chunk);
/* The tick of the oldest write to this chunk that is not stored; UINT64_MAX: none. */
uint64_t s3_chunk_oldest_tick(const struct s3_chunk *chunk);

/* ---- flush.c
 * ------------------------------------------------------------------------------------------------------------------ */

void s3_flush(struct s3_io *io);
/* FUA: stored before completion. */
void s3_flush_range(struct s3_io *io);
/* After an upload: who has all that it waited for? */
void s3_flush_check(struct s3_unit *unit);
/* The upload `serial` was refused: whoever waited for it when it began is told.  True if somebody came later. */
bool s3_flush_fail(struct s3_unit *unit, const struct s3_chunk *chunk, uint64_t tick, uint64_t serial, int status);

/* ---- io.c
 * --------------------------------------------------------------------------------------------------------------------
 */

int s3_io_submit(struct s3_unit *unit, struct tgtkit_request *request);
void s3_io_cancel(struct s3_unit *unit, struct tgtkit_request *request);
/* Completes, as soon as the lease allows to say so. */
void s3_io_finish(struct s3_io *io, int status);
/* Looks again at what is blocked, unacknowledged, or past its deadline. */
void s3_io_turn(struct s3_unit *unit);
/* Copies between the request's segments, from `position` on, and memory. */
void s3_io_copy_out(const struct s3_io *io, uint64_t position, const void *bytes, size_t length);
void s3_io_zero_out(const struct s3_io *io, uint64_t position, size_t length);
void s3_io_copy_in(const struct s3_io *io, uint64_t position, void *bytes, size_t length);

/* ---- remove.c
 * ------------------------------------------------------------------------------------------------------------------ */

/* Deletes garbage behind. */
void s3_remove_pump(struct s3_unit *unit, bool all);
void s3_remove_abort(struct s3_unit *unit);

#endif
