/* SPDX-License-Identifier: Apache-2.0
 *
 * The store on a real server: what is written is read, now and after the next opening.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lab.h"
#include "s3/lease.h"
#include "s3/names.h"
#include "s3/table.h"

#define KIB	1024u
#define MIB	(1024u * KIB)
#define CHUNK	(64u * KIB)
#define EXTENTS 64

static void assert_content(struct fh_unit *unit, uint64_t offset, size_t length, uint32_t seed)
{
	unsigned char *found = malloc(length), *expected = malloc(length);

	ck_assert(found != NULL && expected != NULL);
	lab_fill(expected, length, offset, seed);
	ck_assert_int_eq(fh_read(unit, found, length, offset), 0);
	ck_assert_mem_eq(found, expected, length);
	free(found);
	free(expected);
}

static void assert_zeros(struct fh_unit *unit, uint64_t offset, size_t length)
{
	unsigned char *found = malloc(length);

	ck_assert_ptr_nonnull(found);
	ck_assert_int_eq(fh_read(unit, found, length, offset), 0);
	for (size_t i = 0; i < length; i++)
		ck_assert_uint_eq(found[i], 0);
	free(found);
}

static void write_seed(struct fh_unit *unit, uint64_t offset, size_t length, uint32_t seed, uint32_t flags)
{
	unsigned char *buffer = malloc(length);

	ck_assert_ptr_nonnull(buffer);
	lab_fill(buffer, length, offset, seed);
	ck_assert_int_eq(fh_write(unit, buffer, length, offset, flags), 0);
	free(buffer);
}

START_TEST(a_new_volume_reads_zeros_and_has_the_given_size)
{
	struct lab_volume volume;
	struct fh_unit *unit;

	lab_volume(&volume, 10 * MIB + 512);
	unit = lab_create(&volume);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 10 * MIB + 512);
	ck_assert_uint_eq(strlen(fh_capabilities(unit)->identity), 36);
	ck_assert_uint_eq(fh_capabilities(unit)->flags & TGTKIT_READ_ONLY, 0);
	assert_zeros(unit, 0, MIB);
	assert_zeros(unit, 10 * MIB, 512);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(stored_sizes_win_over_the_options)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	char identity[64];

	lab_volume(&volume, 3 * MIB);
	unit = lab_create(&volume);
	strcpy(identity, fh_capabilities(unit)->identity);
	fh_close(unit);
	volume.spec.size_bytes = 9 * MIB;
	lab_option(&volume, "chunk_size", "1M");
	unit = lab_create(&volume);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 3 * MIB);
	ck_assert_uint_eq(fh_capabilities(unit)->discard_granularity_bytes, CHUNK);
	ck_assert_str_eq(identity, fh_capabilities(unit)->identity);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(what_was_written_is_there_after_a_clean_stop)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	struct lab_raw raw;

	lab_volume(&volume, 8 * MIB);
	unit = lab_create(&volume);
	write_seed(unit, 512, 3 * CHUNK, 1, 0);
	write_seed(unit, CHUNK + 4096, 512, 2, 0);
	assert_content(unit, CHUNK + 4096, 512, 2);
	fh_close(unit);
	unit = lab_open(&volume);
	assert_zeros(unit, 0, 512);
	assert_content(unit, 512, CHUNK, 1);
	assert_content(unit, CHUNK + 4096, 512, 2);
	assert_content(unit, CHUNK + 4096 + 512, 2 * CHUNK - 4096 - 512, 1);
	assert_zeros(unit, 3 * CHUNK + 512, CHUNK);
	/* Superseded objects are gone: one per chunk is left. */
	fh_close(unit);
	lab_raw_open(&raw, &volume);
	ck_assert_uint_eq(lab_count(&raw, "g"), 4);
	lab_raw_close(&raw);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(after_a_clean_stop_the_map_alone_tells_what_is_there)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	uint64_t requests;

	lab_volume(&volume, 160 * MIB);
	unit = lab_create(&volume);
	for (unsigned i = 0; i < 2100; i++)
		write_seed(unit, (uint64_t)i * CHUNK, 512, 3, 0);
	fh_close(unit);
	unit = lab_open(&volume);
	requests = lab_counter(unit, "requests");
	/* A list of 2100 chunks would be three pages, read twice. */
	ck_assert_uint_le(requests, 22);
	assert_content(unit, 2099ull * CHUNK, 512, 3);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* The map alone, as it would be after so many uploads of zeros. */
static void put_map(const struct lab_volume *volume, uint32_t generation, uint64_t chunks)
{
	struct tgtkit_error error;
	struct s3_text bytes = {0};
	struct s3_table table;
	struct lab_raw raw;
	char name[32];

	s3_table_init(&table, chunks);
	for (uint64_t i = 0; i < chunks; i++)
		ck_assert_int_eq(
		    s3_table_set(
			&table, i,
			(struct s3_name){.kind = S3_NAME_ZERO, .generation = generation, .sequence = (uint32_t)i + 1}),
		    0);
	s3_map_encode(&table, generation, CHUNK, &bytes);
	lab_raw_open(&raw, volume);
	snprintf(name, sizeof(name), "_map.%08x", generation);
	ck_assert_int_eq(s3_object_put(&raw.session, name, bytes.data, bytes.length, false, &error), 0);
	lab_raw_close(&raw);
	s3_text_free(&bytes);
	s3_table_free(&table);
}

START_TEST(a_map_of_100000_chunks_costs_no_more_requests)
{
	enum { CHUNKS = 100000 };
	uint64_t requests[2];
	struct lab_volume volume;
	struct fh_unit *unit;

	lab_volume(&volume, (uint64_t)CHUNKS * CHUNK);
	fh_close(lab_create(&volume));
	for (unsigned i = 0; i < 2; i++) {
		if (i == 1)
			put_map(&volume, 2, CHUNKS);
		unit = lab_open(&volume);
		requests[i] = lab_counter(unit, "requests");
		assert_zeros(unit, (uint64_t)(CHUNKS - 1) * CHUNK, CHUNK);
		/* None of them is asked for.  (Requests are made all the time: the lease, what is cleared away.) */
		ck_assert_uint_eq(lab_counter(unit, "cache_misses"), 0);
		if (i == 1)
			write_seed(unit, (uint64_t)(CHUNKS - 1) * CHUNK, CHUNK, 3, 0);
		fh_close(unit);
	}
	ck_assert_uint_le(requests[1], requests[0] + 2);
	unit = lab_open(&volume);
	assert_content(unit, (uint64_t)(CHUNKS - 1) * CHUNK, CHUNK, 3);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

static const struct {
	const char *text;
	uint32_t bytes;
} chunk_sizes[] = {{"64K", 64 * KIB}, {"512K", 512 * KIB}, {"4M", 4 * MIB}, {"16M", 16 * MIB}, {"64M", 64 * MIB}};

START_TEST(chunks_of_every_size)
{
	const uint32_t chunk = chunk_sizes[_i].bytes;
	struct lab_volume volume;
	struct fh_unit *unit;

	lab_volume(&volume, 2 * (uint64_t)chunk);
	lab_option(&volume, "chunk_size", chunk_sizes[_i].text);
	lab_option(&volume, "region", "eu-north-7");
	unit = lab_create(&volume);
	write_seed(unit, chunk - 20 * KIB, 40 * KIB, 11, 0);
	ck_assert_int_eq(fh_flush(unit), 0);
	write_seed(unit, 512, 512, 12, 0);
	ck_assert_int_eq(fh_discard(unit, chunk, 1536, 0), 0);
	fh_close(unit);
	/* Another size is wanted: that of the volume counts. */
	lab_option(&volume, "chunk_size", "128K");
	unit = lab_open(&volume);
	ck_assert_uint_eq(fh_capabilities(unit)->discard_granularity_bytes, chunk);
	/* Into a chunk that is not in the cache. */
	write_seed(unit, 2 * (uint64_t)chunk - 512, 512, 13, TGTKIT_REQUEST_FUA);
	fh_close(unit);
	unit = lab_open(&volume);
	assert_zeros(unit, 0, 512);
	assert_content(unit, 512, 512, 12);
	assert_content(unit, chunk - 20 * KIB, 20 * KIB, 11);
	assert_zeros(unit, chunk, 1536);
	assert_content(unit, chunk + 1536, 20 * KIB - 1536, 11);
	assert_content(unit, 2 * (uint64_t)chunk - 512, 512, 13);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(discards_read_zero_to_the_byte_and_become_holes)
{
	struct tgtkit_extent extents[EXTENTS];
	struct lab_volume volume;
	struct fh_unit *unit;
	struct lab_raw raw;
	uint32_t count;

	lab_volume(&volume, 2 * MIB);
	unit = lab_create(&volume);
	write_seed(unit, 0, MIB, 4, 0);
	ck_assert_int_eq(fh_flush(unit), 0);
	ck_assert_int_eq(fh_discard(unit, 512, 3 * CHUNK, 0), 0);
	ck_assert_int_eq(fh_zero(unit, 8 * CHUNK, CHUNK + 1024, TGTKIT_REQUEST_MAY_UNMAP), 0);
	for (int round = 0; round < 2; round++) {
		assert_content(unit, 0, 512, 4);
		assert_zeros(unit, 512, 3 * CHUNK);
		assert_content(unit, 3 * CHUNK + 512, 5 * CHUNK - 512, 4);
		assert_zeros(unit, 8 * CHUNK, CHUNK + 1024);
		assert_content(unit, 9 * CHUNK + 1024, 7 * CHUNK - 1024, 4);
		ck_assert_int_eq(fh_extents(unit, 0, 2 * MIB, extents, EXTENTS, &count), 0);
		ck_assert_uint_eq(count, 6);
		ck_assert_uint_eq(extents[1].offset, CHUNK);
		ck_assert_uint_eq(extents[1].length, 2 * CHUNK);
		ck_assert_uint_eq(extents[1].flags, TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO);
		ck_assert_uint_eq(extents[3].offset, 8 * CHUNK);
		ck_assert_uint_eq(extents[5].length, MIB);
		fh_close(unit);
		unit = lab_open(&volume);
	}
	fh_close(unit);
	lab_raw_open(&raw, &volume);
	ck_assert_uint_eq(lab_count(&raw, "g"), 16); /* zeros are objects of no length */
	lab_raw_close(&raw);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(growth_keeps_the_data_and_adds_zeros)
{
	struct lab_volume volume;
	struct fh_unit *unit;

	lab_volume(&volume, MIB + 512);
	unit = lab_create(&volume);
	write_seed(unit, MIB, 512, 5, 0);
	ck_assert_int_eq(fh_resize(unit, 5 * MIB, 0), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 5 * MIB);
	write_seed(unit, 4 * MIB, CHUNK, 6, 0);
	ck_assert_int_ne(fh_resize(unit, MIB, TGTKIT_RESIZE_SHRINK), 0);
	fh_close(unit);
	unit = lab_open(&volume);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 5 * MIB);
	assert_content(unit, MIB, 512, 5);
	assert_zeros(unit, MIB + 512, CHUNK);
	assert_content(unit, 4 * MIB, CHUNK, 6);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* As that of an owner that was paused in the middle of a resize, and fenced. */
START_TEST(a_size_that_arrives_late_changes_nothing)
{
	struct lab_volume volume;
	struct fh_unit *unit;
	struct s3_text late = {0}, now = {0};
	struct tgtkit_error error;
	struct lab_raw raw;
	uint64_t size_bytes = 0;

	lab_volume(&volume, MIB);
	unit = lab_create(&volume);
	lab_raw_open(&raw, &volume);
	ck_assert_int_eq(s3_object_get(&raw.session, S3_KEY_METADATA_NAME, &late, &error), 0);
	ck_assert_int_eq(fh_resize(unit, 5 * MIB, 0), 0);
	/* From here on, also if the owner is killed. */
	ck_assert_int_eq(s3_lease_find_size(&raw.session, &size_bytes, &error), 0);
	ck_assert_uint_eq(size_bytes, 5 * MIB);
	write_seed(unit, 4 * MIB, CHUNK, 6, 0);
	fh_close(unit);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(
		    s3_object_put(&raw.session, S3_KEY_METADATA_NAME, late.data, late.length, false, &error), 0);
		volume.spec.flags = i == 0 ? TGTKIT_OPEN_READ_ONLY : 0;
		unit = lab_open(&volume);
		ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 5 * MIB);
		assert_content(unit, 4 * MIB, CHUNK, 6);
		fh_close(unit);
	}
	ck_assert_int_eq(s3_object_get(&raw.session, S3_KEY_METADATA_NAME, &now, &error), 0);
	ck_assert_ptr_nonnull(strstr(now.data, "\"deviceSize\":5242880"));
	s3_text_free(&late);
	s3_text_free(&now);
	lab_raw_close(&raw);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(a_reader_beside_the_owner_sees_what_was_flushed)
{
	struct lab_volume volume;
	struct fh_unit *owner, *reader;

	lab_volume(&volume, MIB);
	owner = lab_create(&volume);
	write_seed(owner, 0, CHUNK, 7, 0);
	ck_assert_int_eq(fh_flush(owner), 0);
	volume.spec.flags = TGTKIT_OPEN_READ_ONLY;
	reader = lab_open(&volume);
	ck_assert_uint_ne(fh_capabilities(reader)->flags & TGTKIT_READ_ONLY, 0);
	assert_content(reader, 0, CHUNK, 7);
	fh_close(reader);
	fh_close(owner);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(an_absent_volume_or_bucket_is_named)
{
	struct lab_volume volume;
	struct fh_unit *unit;

	lab_volume(&volume, MIB);
	volume.spec.plugin = fh_load(S3_PLUGIN);
	ck_assert_int_eq(fh_open(&volume.spec, &unit), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fh_error(), "there is no volume"));
	ck_assert_int_eq(fh_check(&volume.spec), -ENOENT);
	volume.spec.path = "no-such-bucket-here/x";
	ck_assert_int_lt(fh_open(&volume.spec, &unit), 0);
	ck_assert_ptr_nonnull(strstr(fh_error(), "the bucket does not exist"));
	volume.spec.path = volume.path;
	lab_option(&volume, "access_key", "NOSUCHKEY");
	ck_assert_int_lt(fh_open(&volume.spec, &unit), 0);
	/* A radosgw that also gives out session tokens says no more of a key that it does not know. */
	ck_assert_msg(strstr(fh_error(), "does not accept these credentials") != NULL, "%s", fh_error());
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(the_bucket_may_stand_in_the_host_name)
{
	char host_style[64];
	struct lab_volume volume;
	struct fh_unit *unit;

	lab_volume(&volume, MIB);
	snprintf(host_style, sizeof(host_style), "http://s3.localhost:%s", strrchr(lab_endpoint, ':') + 1);
	unit = lab_create(&volume);
	write_seed(unit, 0, CHUNK, 8, 0);
	fh_close(unit);
	lab_option(&volume, "endpoint", host_style);
	lab_option(&volume, "path_style", "false");
	unit = lab_open(&volume);
	assert_content(unit, 0, CHUNK, 8);
	write_seed(unit, CHUNK, CHUNK, 9, TGTKIT_REQUEST_FUA);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* ---- Against a model
 * -------------------------------------------------------------------------------------------------- */

#define MODEL_BYTES (4u * MIB)

static uint32_t random_state;

static uint32_t next_random(uint32_t limit)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(random_state >> 8) * limit) >> 24);
}

static void model_step(struct fh_unit *unit, unsigned char *model, unsigned char *buffer)
{
	const uint32_t what = next_random(100), most = next_random(4) == 0 ? 4 * CHUNK : 16 * KIB;
	const uint32_t length = (next_random(most / 512) + 1) * 512,
		       offset = next_random((MODEL_BYTES - length) / 512) * 512;

	if (what < 45) {
		lab_fill(buffer, length, offset, next_random(1u << 20));
		memcpy(model + offset, buffer, length);
		ck_assert_int_eq(fh_write(unit, buffer, length, offset, what < 3 ? TGTKIT_REQUEST_FUA : 0), 0);
	} else if (what < 55) {
		memset(model + offset, 0, length);
		ck_assert_int_eq(fh_discard(unit, offset, length, 0), 0);
	} else if (what < 58) {
		memset(model + offset, 0, length);
		ck_assert_int_eq(fh_zero(unit, offset, length, 0), 0);
	} else if (what < 60) {
		ck_assert_int_eq(fh_flush(unit), 0);
	} else {
		ck_assert_int_eq(fh_read(unit, buffer, length, offset), 0);
		ck_assert_mem_eq(buffer, model + offset, length);
	}
}

START_TEST(random_work_agrees_with_a_model)
{
	static const char *const model_chunk_sizes[] = {"64K", "128K", "1M"};
	unsigned char *model = calloc(1, MODEL_BYTES), *buffer = malloc(MODEL_BYTES);
	struct lab_volume volume;
	struct fh_unit *unit;

	random_state = (uint32_t)_i + 77;
	lab_volume(&volume, MODEL_BYTES);
	lab_option(&volume, "chunk_size", model_chunk_sizes[_i % 3]);
	lab_option(&volume, "cache_size", "1M");
	lab_option(&volume, "read_ahead", _i % 2 == 0 ? "256K" : "0");
	unit = lab_create(&volume);
	for (unsigned opening = 0; opening < 4; opening++) {
		for (unsigned step = 0; step < 400; step++)
			model_step(unit, model, buffer);
		fh_close(unit);
		unit = lab_open(&volume);
		ck_assert_int_eq(fh_read(unit, buffer, MODEL_BYTES / 2, 0), 0);
		ck_assert_mem_eq(buffer, model, MODEL_BYTES / 2);
		ck_assert_int_eq(fh_read(unit, buffer, MODEL_BYTES / 2, MODEL_BYTES / 2), 0);
		ck_assert_mem_eq(buffer, model + MODEL_BYTES / 2, MODEL_BYTES / 2);
	}
	fh_close(unit);
	free(model);
	free(buffer);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(many_requests_at_a_time_agree_too)
{
	enum { DEPTH = 24, PIECE = 32 * KIB };
	static unsigned char buffers[DEPTH][PIECE];
	struct fh_pending *pending[DEPTH];
	struct lab_volume volume;
	struct fh_unit *unit;

	lab_volume(&volume, 16 * MIB);
	lab_option(&volume, "cache_size", "1M");
	unit = lab_create(&volume);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < DEPTH; i++) {
			lab_fill(buffers[i], PIECE, (uint64_t)(round * DEPTH + i) * PIECE, 9);
			pending[i] =
			    fh_start(unit, TGTKIT_WRITE, buffers[i], PIECE, (uint64_t)(round * DEPTH + i) * PIECE, 0);
		}
		for (uint32_t i = 0; i < DEPTH; i++)
			ck_assert_int_eq(fh_wait(pending[i]), 0);
	}
	ck_assert_int_eq(fh_flush(unit), 0);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < DEPTH; i++)
			pending[i] =
			    fh_start(unit, TGTKIT_READ, buffers[i], PIECE, (uint64_t)(round * DEPTH + i) * PIECE, 0);
		for (uint32_t i = 0; i < DEPTH; i++) {
			static unsigned char expected[PIECE];

			ck_assert_int_eq(fh_wait(pending[i]), 0);
			lab_fill(expected, PIECE, (uint64_t)(round * DEPTH + i) * PIECE, 9);
			ck_assert_mem_eq(buffers[i], expected, PIECE);
		}
	}
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

Suite *store_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *tests = tcase_create("store");

	tcase_add_unchecked_fixture(tests, lab_set_up, NULL);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_new_volume_reads_zeros_and_has_the_given_size);
	tcase_add_test(tests, stored_sizes_win_over_the_options);
	tcase_add_test(tests, what_was_written_is_there_after_a_clean_stop);
	tcase_add_test(tests, after_a_clean_stop_the_map_alone_tells_what_is_there);
	tcase_add_test(tests, a_map_of_100000_chunks_costs_no_more_requests);
	tcase_add_loop_test(tests, chunks_of_every_size, 0, sizeof(chunk_sizes) / sizeof(chunk_sizes[0]));
	tcase_add_test(tests, discards_read_zero_to_the_byte_and_become_holes);
	tcase_add_test(tests, growth_keeps_the_data_and_adds_zeros);
	tcase_add_test(tests, a_size_that_arrives_late_changes_nothing);
	tcase_add_test(tests, a_reader_beside_the_owner_sees_what_was_flushed);
	tcase_add_test(tests, an_absent_volume_or_bucket_is_named);
	tcase_add_test(tests, the_bucket_may_stand_in_the_host_name);
	tcase_add_loop_test(tests, random_work_agrees_with_a_model, 0, 6);
	tcase_add_test(tests, many_requests_at_a_time_agree_too);
	suite_add_tcase(suite, tests);
	return suite;
}
