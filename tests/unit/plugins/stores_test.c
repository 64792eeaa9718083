/* SPDX-License-Identifier: Apache-2.0
 *
 * What every store has to do, whatever it is made of: each test runs once per row of a table of stores.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stores_test.h"

#define SIZE_BYTES STORE_SIZE_BYTES
#define ROUNDS	   400
#define MOST_BYTES (128u << 10)

static const struct store_row *row;
static struct fh_spec spec;
static struct fh_unit *unit;
static unsigned char model[SIZE_BYTES], seen[SIZE_BYTES], data[MOST_BYTES];

/* TGTKIT_STORE in the environment: only rows whose name contains this. */
static bool set_up_row(int index)
{
	const char *wanted = getenv("TGTKIT_STORE");

	row = &store_rows[index];
	return (wanted == NULL || strstr(row->name, wanted) != NULL) && store_row_set_up(row, &spec);
}

static bool begin(int index)
{
	if (!set_up_row(index))
		return false;
	ck_status(fh_open(&spec, &unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, SIZE_BYTES);
	memset(model, 0, sizeof(model));
	return true;
}

static void end(void)
{
	fh_close(unit);
	store_row_tear_down();
	ck_assert_msg(fh_violations() == 0, "%s: %u rules broken", row->name, fh_violations());
}

static bool has(uint32_t flags)
{
	return (fh_capabilities(unit)->flags & flags) == flags;
}

static uint32_t larger(uint32_t one, uint32_t other)
{
	return one > other ? one : other;
}

/* The unit of READ and WRITE. */
static uint32_t grain(void)
{
	const struct tgtkit_capabilities *limits = fh_capabilities(unit);

	return larger(larger(limits->offset_alignment_bytes, limits->memory_alignment_bytes), 1);
}

/* What the host sends at least, as a logical block is no smaller. */
static uint32_t block(void)
{
	return larger(grain(), 512);
}

static uint32_t longest(void)
{
	const uint32_t limit = fh_capabilities(unit)->maximum_transfer_bytes;

	return limit == 0 || limit > MOST_BYTES ? MOST_BYTES : limit;
}

static uint32_t random_below(uint32_t limit)
{
	/* Any state will do, as long as it is the same in every run. */
	static uint32_t state = 12345;

	state = state * 1103515245u + 12345u;
	return (state >> 8) % limit;
}

/* A random range of whole `step`s of at most `most` bytes. */
static void random_range(uint32_t step, uint32_t most, uint64_t *offset, uint32_t *length)
{
	*length = (random_below(most / step) + 1) * step;
	*offset = (uint64_t)random_below((SIZE_BYTES - *length) / step + 1) * step;
}

static void read_all(unsigned char *bytes)
{
	for (uint32_t offset = 0; offset < SIZE_BYTES; offset += longest())
		ck_status(fh_read(unit, bytes + offset, longest(), offset), 0);
}

static void model_write(uint64_t offset, uint32_t length, const unsigned char *bytes)
{
	if (!(row->traits & STORE_FORGETS))
		memcpy(model + offset, bytes, length);
}

/* An assertion per byte would take minutes. */
static void assert_as_model(const char *when)
{
	uint32_t i = 0;

	read_all(seen);
	while (i < SIZE_BYTES && seen[i] == model[i])
		i++;
	ck_assert_msg(i == SIZE_BYTES, "%s, %s: byte %u is not as written", row->name, when, i);
}

/* ---- A random history against a model
 * ---------------------------------------------------------------------------------- */

static void random_write(uint32_t round)
{
	const uint32_t flags = has(TGTKIT_CAN_FUA) && random_below(4) == 0 ? TGTKIT_REQUEST_FUA : 0;
	uint64_t offset;
	uint32_t length;

	random_range(grain(), longest(), &offset, &length);
	fill(data, length, round);
	ck_status(fh_write(unit, data, length, offset, flags), 0);
	model_write(offset, length, data);
}

static void random_read(void)
{
	uint64_t offset;
	uint32_t length;

	random_range(grain(), longest(), &offset, &length);
	ck_status(fh_read(unit, data, length, offset), 0);
	ck_assert_msg(memcmp(data, model + offset, length) == 0, "%s: %u bytes at %llu are not what was written",
		      row->name, length, (unsigned long long)offset);
}

/* In logical blocks of 512 bytes, which need not be aligned to anything of the store's. */
static void random_clearing(void)
{
	const uint32_t fua = has(TGTKIT_CAN_FUA) && random_below(2) ? TGTKIT_REQUEST_FUA : 0;
	uint64_t offset;
	uint32_t length;

	random_range(512, MOST_BYTES, &offset, &length);
	if (has(TGTKIT_CAN_ZERO) && random_below(2))
		ck_status(fh_zero(unit, offset, length, fua | (random_below(2) ? TGTKIT_REQUEST_MAY_UNMAP : 0)), 0);
	else if (has(TGTKIT_DISCARD_READS_ZERO))
		ck_status(fh_discard(unit, offset, length, fua), 0);
	else
		return;
	memset(model + offset, 0, length);
}

START_TEST(a_random_history_reads_as_a_model_does)
{
	if (!begin(_i))
		return;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		switch (random_below(8)) {
		case 0:
		case 1:
		case 2:
			random_write(round);
			break;
		case 3:
		case 4:
		case 5:
			random_read();
			break;
		case 6:
			random_clearing();
			break;
		default:
			if (has(TGTKIT_CAN_FLUSH))
				ck_status(fh_flush(unit), 0);
		}
	}
	assert_as_model("at the end");
	end();
}
END_TEST

/* ---- Edges
 * --------------------------------------------------------------------------------------------------------------- */

static void write_and_read_back(uint64_t offset, uint32_t length, uint32_t seed)
{
	fill(data, length, seed);
	ck_status(fh_write(unit, data, length, offset, 0), 0);
	model_write(offset, length, data);
	memset(data, 0, length);
	ck_status(fh_read(unit, data, length, offset), 0);
	ck_assert_int_eq(memcmp(data, model + offset, length), 0);
}

START_TEST(first_and_last_bytes_are_within_reach)
{
	if (!begin(_i))
		return;
	write_and_read_back(0, grain(), 1);
	write_and_read_back(SIZE_BYTES - grain(), grain(), 2);
	write_and_read_back(0, longest(), 3);
	write_and_read_back(SIZE_BYTES - longest(), longest(), 4);
	write_and_read_back(grain(), grain(), 5);
	assert_as_model("after writes at the edges");
	if (has(TGTKIT_CAN_ZERO)) {
		ck_status(fh_zero(unit, 0, SIZE_BYTES, 0), 0);
		memset(model, 0, sizeof(model));
		assert_as_model("after zeroing all of it");
	}
	end();
}
END_TEST

/* ---- Several at a time ------------------------------------------------------------------------------------------- */

#define WRITERS 16

START_TEST(every_byte_of_overlapping_writes_is_from_one_of_them)
{
	static unsigned char patterns[WRITERS][MOST_BYTES];
	struct fh_pending *pending[WRITERS];
	uint32_t span;

	if (!begin(_i))
		return;
	span = longest() / 2 / block() * block();
	for (unsigned i = 0; i < WRITERS; i++) {
		memset(patterns[i], (int)i + 1, MOST_BYTES);
		if (i % 5 == 4 && has(TGTKIT_CAN_ZERO))
			pending[i] = fh_start(unit, TGTKIT_ZERO, NULL, span, (uint64_t)(i % 4) * block(), 0);
		else
			pending[i] = fh_start(unit, TGTKIT_WRITE, patterns[i], span, (uint64_t)(i % 4) * block(), 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		ck_status(fh_wait(pending[i]), 0);
	ck_status(fh_read(unit, seen, span, 0), 0);
	for (uint32_t i = 0; i < span; i++) {
		/* Zeros come from those that zero, or were there before the last whole blocks. */
		const bool may_be_zero = (row->traits & STORE_FORGETS) || has(TGTKIT_CAN_ZERO);

		if (seen[i] > WRITERS || (seen[i] == 0 && !may_be_zero))
			ck_abort_msg("%s: byte %u is %02x", row->name, i, seen[i]);
	}
	end();
}
END_TEST

#define READERS 32

START_TEST(reads_and_writes_apart_do_not_disturb_each_other)
{
	static unsigned char buffers[READERS][4096], written[4096];
	struct fh_pending *pending[READERS];
	uint32_t piece;

	if (!begin(_i))
		return;
	piece = block();
	fill(data, longest(), 77);
	ck_status(fh_write(unit, data, longest(), 0, 0), 0);
	model_write(0, longest(), data);
	fill(written, piece, 78);
	for (uint32_t i = 0; i < READERS; i++) {
		const bool reads = i % 2 == 0;
		const uint64_t offset = (uint64_t)(i % 8) * piece + (reads ? 0 : SIZE_BYTES / 2);

		pending[i] =
		    fh_start(unit, reads ? TGTKIT_READ : TGTKIT_WRITE, reads ? buffers[i] : written, piece, offset, 0);
	}
	for (uint32_t i = 0; i < READERS; i++) {
		ck_status(fh_wait(pending[i]), 0);
		if (i % 2 == 0)
			ck_assert_int_eq(memcmp(buffers[i], model + (i % 8) * piece, piece), 0);
		else
			model_write(SIZE_BYTES / 2 + (i % 8) * piece, piece, written);
	}
	assert_as_model("after all of it");
	end();
}
END_TEST

START_TEST(what_is_cancelled_completes_once)
{
	static unsigned char buffers[WRITERS][4096];
	struct fh_pending *pending[WRITERS];
	uint32_t piece;
	int status;

	if (!begin(_i))
		return;
	piece = block();
	fill(data, (size_t)piece * WRITERS, 5);
	for (uint32_t i = 0; i < WRITERS; i++)
		pending[i] = fh_start(unit, TGTKIT_WRITE, data + i * piece, piece, (uint64_t)i * piece, 0);
	for (uint32_t i = 0; i < WRITERS; i += 2)
		fh_cancel(pending[i]);
	for (uint32_t i = 0; i < WRITERS; i++) {
		status = fh_wait(pending[i]);
		ck_assert_msg(status == 0 || (status == -ECANCELED && i % 2 == 0), "%s: request %u ended with %d",
			      row->name, i, status);
		ck_status(fh_read(unit, buffers[i], piece, (uint64_t)i * piece), 0);
		/* Cancelled, it may have been carried out, but not by half: all of it is one grain. */
		if (status == 0)
			model_write((uint64_t)i * piece, piece, data + i * piece);
		else
			memcpy(model + i * piece, buffers[i], piece);
	}
	assert_as_model("after some were cancelled");
	end();
}
END_TEST

/* ---- Faults
 * ------------------------------------------------------------------------------------------------------------------ */

static int run_one(enum tgtkit_operation operation)
{
	if (operation == TGTKIT_FLUSH)
		return has(TGTKIT_CAN_FLUSH) ? fh_flush(unit) : 0;
	return operation == TGTKIT_READ ? fh_read(unit, seen, grain(), 0) : fh_write(unit, data, grain(), 0, 0);
}

static void reopen(void)
{
	fh_close(unit);
	ck_status(fh_open(&spec, &unit), 0);
}

START_TEST(what_fails_is_told_and_is_well_again_afterwards)
{
	static const enum tgtkit_operation operations[] = {TGTKIT_READ, TGTKIT_WRITE, TGTKIT_FLUSH};
	bool has_flush_failed = false;

	if (!begin(_i))
		return;
	if (row->set_broken == NULL) {
		end();
		return;
	}
	fill(data, longest(), 6);
	ck_status(fh_write(unit, data, longest(), 0, 0), 0);
	row->set_broken(true);
	for (unsigned i = 0; i < 3; i++) {
		const bool fails =
		    row->fails & (1u << operations[i]) && (operations[i] != TGTKIT_FLUSH || has(TGTKIT_CAN_FLUSH));
		const int status = run_one(operations[i]);

		ck_assert_msg(!fails || status == -EIO, "%s: operation %d returned %d", row->name, operations[i],
			      status);
		has_flush_failed |= fails && operations[i] == TGTKIT_FLUSH;
	}
	row->set_broken(false);
	/* A flush that failed once: whether it may be repeated is what the store declares. */
	if (has_flush_failed && has(TGTKIT_RETAINS_DIRTY)) {
		ck_status(fh_flush(unit), 0);
		ck_status(fh_read(unit, seen, longest(), 0), 0);
		ck_assert_int_eq(memcmp(seen, data, longest()), 0);
	} else if (has_flush_failed) {
		reopen();
	}
	write_and_read_back(0, longest(), 7);
	ck_status(run_one(TGTKIT_FLUSH), 0);
	end();
}
END_TEST

/* ---- Capabilities
 * ------------------------------------------------------------------------------------------------------------ */

static bool reads_zero(uint64_t offset, uint64_t length)
{
	for (uint64_t i = offset; i < offset + length; i++)
		if (seen[i] != 0)
			return false;
	return true;
}

START_TEST(extents_tell_the_truth)
{
	struct tgtkit_extent extents[32];
	uint64_t offset = 0;
	uint32_t count, holes = 0;

	if (!begin(_i))
		return;
	if (!has(TGTKIT_CAN_EXTENTS)) {
		end();
		return;
	}
	for (uint32_t i = 0; i < 4; i++) {
		fill(data, 65536, i);
		ck_status(fh_write(unit, data, 65536, i * (SIZE_BYTES / 4), 0), 0);
	}
	ck_status(fh_discard(unit, SIZE_BYTES / 2, 32768, 0), 0);
	read_all(seen);
	while (offset < SIZE_BYTES) {
		/* Few at a time, so that a query has to go on where the last one ended. */
		ck_status(fh_extents(unit, offset, SIZE_BYTES - offset, extents, 2, &count), 0);
		for (uint32_t i = 0; i < count; i++) {
			const bool is_zero = extents[i].flags & TGTKIT_EXTENT_ZERO;

			ck_assert(!is_zero || reads_zero(extents[i].offset, extents[i].length));
			holes += (extents[i].flags & TGTKIT_EXTENT_HOLE) != 0;
			offset = extents[i].offset + extents[i].length;
		}
	}
	ck_assert_msg(holes >= 1, "%s: no hole in a store that is mostly empty", row->name);
	end();
}
END_TEST

START_TEST(what_is_declared_works)
{
	if (!begin(_i))
		return;
	ck_assert_msg(has(row->expected_flags), "%s declares only %x of %x", row->name, fh_capabilities(unit)->flags,
		      row->expected_flags);
	fill(data, longest(), 9);
	ck_status(fh_write(unit, data, longest(), 0, 0), 0);
	model_write(0, longest(), data);
	if (has(TGTKIT_CAN_FUA)) {
		ck_status(fh_write(unit, data, grain(), SIZE_BYTES / 2, TGTKIT_REQUEST_FUA), 0);
		model_write(SIZE_BYTES / 2, grain(), data);
	}
	if (has(TGTKIT_CAN_FLUSH))
		ck_status(fh_flush(unit), 0);
	if (has(TGTKIT_CAN_ZERO)) {
		ck_status(fh_zero(unit, 512, 1024, 0), 0);
		ck_status(fh_zero(unit, 4096, 8192, TGTKIT_REQUEST_MAY_UNMAP), 0);
		memset(model + 512, 0, 1024);
		memset(model + 4096, 0, 8192);
	}
	if (has(TGTKIT_CAN_DISCARD))
		ck_status(fh_discard(unit, 32768, 4096, 0), 0);
	if (has(TGTKIT_CAN_DISCARD) && !has(TGTKIT_DISCARD_READS_ZERO)) {
		/* Anything may be there now; give it a content again. */
		ck_status(fh_write(unit, data, 4096, 32768, 0), 0);
		model_write(32768, 4096, data);
	} else if (has(TGTKIT_CAN_DISCARD)) {
		memset(model + 32768, 0, 4096);
	}
	assert_as_model("after one of each");
	end();
}
END_TEST

/* The host has cut its requests to what was declared first. */
START_TEST(what_is_declared_stays_so)
{
	struct tgtkit_capabilities first;

	if (!begin(_i))
		return;
	first = *fh_capabilities(unit);
	if (spec.plugin->refresh != NULL)
		ck_status(fh_refresh(unit), 0);
	ck_assert_int_eq(memcmp(&first, fh_capabilities(unit), sizeof(first)), 0);
	reopen();
	ck_assert_int_eq(memcmp(&first, fh_capabilities(unit), sizeof(first)), 0);
	end();
}
END_TEST

START_TEST(a_read_only_unit_says_so)
{
	if (!begin(_i))
		return;
	fh_close(unit);
	spec.flags = TGTKIT_OPEN_READ_ONLY;
	ck_status(fh_check(&spec), 0);
	ck_status(fh_open(&spec, &unit), 0);
	ck_assert(has(TGTKIT_READ_ONLY) || (row->traits & STORE_SERVES_ANY));
	assert_as_model("read-only");
	end();
}
END_TEST

/* ---- Opening
 * ---------------------------------------------------------------------------------------------------------------- */

START_TEST(data_is_there_after_a_reopen)
{
	if (!begin(_i))
		return;
	fill(data, longest(), 4711);
	ck_status(fh_write(unit, data, longest(), 0, 0), 0);
	if (row->traits & STORE_PERSISTS)
		model_write(0, longest(), data);
	fh_close(unit);
	ck_status(fh_check(&spec), 0);
	ck_status(fh_open(&spec, &unit), 0);
	assert_as_model("after a reopen");
	end();
}
END_TEST

#define OPENS	       1000
#define THREADS_END_MS 60000

/* With the sanitizer each takes many times as long, and what a few leave behind its search for leaks finds. */
#ifdef __SANITIZE_ADDRESS__
#define FEW_OPENS 100
#else
#define FEW_OPENS OPENS
#endif

/* Where each takes long, all of them only when asked for. */
static unsigned opens_of(const struct store_row *of)
{
	if (getenv("TGTKIT_LONG") != NULL)
		return OPENS;
	return of->opens > 0 ? of->opens : FEW_OPENS;
}

/* Those that nobody joins end a little later. */
static void await_threads(unsigned at_most)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	for (unsigned waited_ms = 0; running_threads() > at_most; waited_ms++) {
		ck_assert_msg(waited_ms < THREADS_END_MS, "%s: %u threads are left, not %u", row->name,
			      running_threads(), at_most);
		nanosleep(&moment, NULL);
	}
}

START_TEST(a_thousand_opens_leave_nothing_behind)
{
	const unsigned opens = opens_of(&store_rows[_i]);
	unsigned descriptors = 0, threads = 0;
	size_t bytes = 0;

	if (!begin(_i))
		return;
	for (unsigned i = 0; i < opens; i++) {
		if (has(TGTKIT_CAN_FUA))
			ck_status(fh_write(unit, data, grain(), 0, TGTKIT_REQUEST_FUA), 0);
		fh_close(unit);
		/* The first tenth fills what caches there are. */
		if (i == opens / 10) {
			descriptors = open_descriptors();
			threads = running_threads();
			bytes = allocated_bytes();
		}
		if (i == opens - 1) {
			ck_assert_uint_le(open_descriptors(), descriptors);
			await_threads(threads);
			ck_assert_msg(allocated_bytes() < bytes + 65536, "%s: %zu bytes more", row->name,
				      allocated_bytes() - bytes);
		}
		ck_status(fh_open(&spec, &unit), 0);
	}
	end();
}
END_TEST

static TCase *make_case(const char *name)
{
	TCase *tests = tcase_create(name);

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down_scratch);
	tcase_set_timeout(tests, 120);
	return tests;
}

TCase *stores_tests(void)
{
	TCase *tests = make_case("every store");

	tcase_add_loop_test(tests, a_random_history_reads_as_a_model_does, 0, store_row_count);
	tcase_add_loop_test(tests, first_and_last_bytes_are_within_reach, 0, store_row_count);
	tcase_add_loop_test(tests, every_byte_of_overlapping_writes_is_from_one_of_them, 0, store_row_count);
	tcase_add_loop_test(tests, reads_and_writes_apart_do_not_disturb_each_other, 0, store_row_count);
	tcase_add_loop_test(tests, what_is_cancelled_completes_once, 0, store_row_count);
	tcase_add_loop_test(tests, what_fails_is_told_and_is_well_again_afterwards, 0, store_row_count);
	tcase_add_loop_test(tests, extents_tell_the_truth, 0, store_row_count);
	tcase_add_loop_test(tests, what_is_declared_works, 0, store_row_count);
	tcase_add_loop_test(tests, what_is_declared_stays_so, 0, store_row_count);
	tcase_add_loop_test(tests, a_read_only_unit_says_so, 0, store_row_count);
	tcase_add_loop_test(tests, data_is_there_after_a_reopen, 0, store_row_count);
	return tests;
}

TCase *stores_opening_tests(void)
{
	TCase *tests = make_case("every store, opened again and again");

	tcase_add_loop_test(tests, a_thousand_opens_leave_nothing_behind, 0, store_row_count);
	return tests;
}
