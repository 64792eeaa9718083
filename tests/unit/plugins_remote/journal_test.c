/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal by itself: what it gives back is what a disk would hold, or it says that it does not know.
 */
#include <stdlib.h>
#include <string.h>

#include "../../../plugins/remote/journal.h"
#include "remote_test.h"

#define DISK_BYTES  4096u
#define RING_BYTES  (16u * KIB)
#define NEVER	    0xffu /* no byte that is written */
#define ROUNDS	    20000u

static void *allocate(size_t alignment, size_t size)
{
	(void)alignment;
	return malloc(size);
}

static const struct tgtkit_host allocator = {.aligned_alloc = allocate, .aligned_free = free};
static struct remote_journal journal;

static void set_up_journal(void)
{
	ck_assert_int_eq(remote_journal_init(&journal, &allocator, RING_BYTES), 0);
}

static void tear_down_journal(void)
{
	remote_journal_destroy(&journal, &allocator);
}

static void add(uint64_t sequence, uint32_t operation, uint64_t offset, uint64_t length, const void *data)
{
	const struct remote_record header = {.operation = operation, .offset = offset, .length = length};

	remote_journal_add(&journal, sequence, &header, data);
}

/* Writes what is in the journal to `disk`; fails if a byte is written twice. */
static void replay(unsigned char *disk)
{
	static bool seen[DISK_BYTES];
	const struct remote_record *record = NULL;

	memset(seen, 0, sizeof(seen));
	while ((record = remote_journal_next(&journal, record)) != NULL) {
		uint64_t offset = record->offset, length;

		while (remote_journal_piece(&journal, record, &offset, &length)) {
			ck_assert_uint_gt(length, 0);
			for (uint64_t i = offset; i < offset + length; i++) {
				if (seen[i]) /* ck_assert would be slow here */
					ck_abort_msg("byte %llu is written twice", (unsigned long long)i);
				seen[i] = true;
				disk[i] = record->operation == TGTKIT_WRITE ? record->data[i - record->offset] : 0;
			}
			offset += length;
		}
	}
}

START_TEST(a_replay_ends_with_the_newest_of_every_byte)
{
	static unsigned char expected[DISK_BYTES], disk[DISK_BYTES], flushed_disk[DISK_BYTES], data[512];
	uint64_t flushed = 0;
	unsigned compared = 0;

	for (uint64_t sequence = 1; sequence < ROUNDS; sequence++) {
		const uint32_t length = random_below(sizeof(data)) + 1, offset = random_below(DISK_BYTES - length + 1);
		const bool zeroes = random_below(5) == 0;

		memset(data, zeroes ? 0 : (int)(sequence % NEVER), length);
		memcpy(expected + offset, data, length);
		add(sequence, zeroes ? TGTKIT_ZERO : TGTKIT_WRITE, offset, length, zeroes ? NULL : data);
		if (random_below(40) == 0) {
			remote_journal_drop(&journal, sequence);
			memcpy(flushed_disk, expected, sizeof(expected));
			flushed = sequence;
		}
		if (random_below(10) != 0 || !remote_journal_is_complete(&journal, flushed))
			continue;
		memcpy(disk, flushed_disk, sizeof(disk));
		replay(disk);
		ck_assert_int_eq(memcmp(disk, expected, sizeof(disk)), 0);
		compared++;
	}
	ck_assert_uint_gt(compared, ROUNDS / 40);
}
END_TEST

START_TEST(a_flush_drops_what_it_covers_and_no_more)
{
	unsigned char data[100] = {1}, disk[DISK_BYTES] = {0};

	for (uint64_t sequence = 1; sequence <= 10; sequence++)
		add(sequence, TGTKIT_WRITE, sequence * 100, sizeof(data), data);
	remote_journal_drop(&journal, 7);
	ck_assert_uint_eq(remote_journal_next(&journal, NULL)->sequence, 8);
	replay(disk);
	ck_assert_uint_eq(disk[700], 0);
	ck_assert_uint_eq(disk[800], 1);
	remote_journal_drop(&journal, 10);
	ck_assert_ptr_null(remote_journal_next(&journal, NULL));
}
END_TEST

START_TEST(a_full_journal_says_so_until_a_flush_has_covered_the_gap)
{
	static unsigned char data[RING_BYTES];
	uint64_t sequence = 0;

	while (remote_journal_is_complete(&journal, 0))
		add(++sequence, TGTKIT_WRITE, 0, KIB, data);
	ck_assert_uint_gt(sequence, RING_BYTES / KIB / 2);
	ck_assert(remote_journal_wants_flush(&journal, 0));
	add(++sequence, TGTKIT_WRITE, 0, KIB, data);
	ck_assert(!remote_journal_is_complete(&journal, sequence - 2));
	/* The one that did not fit is flushed, the one after it is in here. */
	remote_journal_drop(&journal, sequence - 1);
	ck_assert(remote_journal_is_complete(&journal, sequence - 1));
	ck_assert_uint_eq(remote_journal_next(&journal, NULL)->sequence, sequence);
	add(++sequence, TGTKIT_WRITE, 0, sizeof(data), data);
	ck_assert(!remote_journal_is_complete(&journal, sequence - 1));
}
END_TEST

START_TEST(a_journal_of_no_size_is_never_complete_with_a_write)
{
	unsigned char data[16] = {0};

	remote_journal_destroy(&journal, &allocator);
	ck_assert_int_eq(remote_journal_init(&journal, &allocator, 0), 0);
	ck_assert(remote_journal_is_complete(&journal, 0));
	add(1, TGTKIT_WRITE, 0, sizeof(data), data);
	ck_assert(!remote_journal_is_complete(&journal, 0));
	ck_assert(!remote_journal_wants_flush(&journal, 0));
	ck_assert(remote_journal_is_complete(&journal, 1));
}
END_TEST

TCase *journal_tests(void)
{
	TCase *tests = tcase_create("journal");

	tcase_add_checked_fixture(tests, set_up_journal, tear_down_journal);
	tcase_add_test(tests, a_replay_ends_with_the_newest_of_every_byte);
	tcase_add_test(tests, a_flush_drops_what_it_covers_and_no_more);
	tcase_add_test(tests, a_full_journal_says_so_until_a_flush_has_covered_the_gap);
	tcase_add_test(tests, a_journal_of_no_size_is_never_complete_with_a_write);
	return tests;
}
