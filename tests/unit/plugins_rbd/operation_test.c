/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, writes, discards and sizes, against a model in memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rbd_test.h"

#define IMAGE_BYTES (8 * MIB)
#define LONGEST	    (256u << 10)
#define AT_A_TIME   8

static struct fh_unit *unit;
static unsigned char model[IMAGE_BYTES], seen[IMAGE_BYTES];

static void assert_model(void)
{
	for (uint64_t at = 0; at < IMAGE_BYTES; at += MIB)
		ck_status(fh_read(unit, seen + at, MIB, at), 0);
	ck_assert_int_eq(memcmp(seen, model, IMAGE_BYTES), 0);
}

/* One random change, begun; a part of the image for each, so that those under way do not overlap. */
static struct fh_pending *begin(unsigned part)
{
	const uint32_t part_bytes = IMAGE_BYTES / AT_A_TIME;
	const uint32_t length = 512 * (1 + random_below(LONGEST / 512));
	const uint64_t offset = part * part_bytes + 512ull * random_below((part_bytes - length) / 512 + 1);

	switch (random_below(6)) {
	case 0:
		memset(model + offset, 0, length);
		return fh_start(unit, TGTKIT_DISCARD, NULL, length, offset, 0);
	case 1:
		memset(model + offset, 0, length);
		return fh_start(unit, TGTKIT_ZERO, NULL, length, offset,
				random_below(2) ? TGTKIT_REQUEST_MAY_UNMAP : 0);
	case 2:
		memset(seen + offset, 0xee, length);
		return fh_start(unit, TGTKIT_READ, seen + offset, length, offset, 0);
	}
	fill(model + offset, length, random_below(1u << 30));
	return fh_start(unit, TGTKIT_WRITE, model + offset, length, offset, 0);
}

static void change_at_random(unsigned rounds)
{
	for (unsigned round = 0; round < rounds; round++) {
		struct fh_pending *pending[AT_A_TIME];

		for (unsigned i = 0; i < AT_A_TIME; i++)
			pending[i] = begin(i);
		for (unsigned i = 0; i < AT_A_TIME; i++)
			ck_status(fh_wait(pending[i]), 0);
		ck_status(fh_flush(unit), 0);
	}
}

static const struct {
	const char *cache;
	uint32_t present, absent;
} caches[] = {
    {"none", TGTKIT_CAN_FUA | TGTKIT_RETAINS_DIRTY, TGTKIT_VOLATILE_CACHE},
    {"writethrough", TGTKIT_CAN_FUA | TGTKIT_RETAINS_DIRTY, TGTKIT_VOLATILE_CACHE},
    {"writeback", TGTKIT_VOLATILE_CACHE, TGTKIT_CAN_FUA | TGTKIT_RETAINS_DIRTY},
    {"writearound", TGTKIT_VOLATILE_CACHE, TGTKIT_CAN_FUA | TGTKIT_RETAINS_DIRTY},
};

START_TEST(random_changes_are_read_back_with_every_cache)
{
	const uint32_t always = TGTKIT_CAN_FLUSH | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO;

	unit = create(IMAGE_BYTES, OPTIONS({"cache", caches[_i].cache}, {"object_size", "1M"}));
	ck_assert_uint_eq(fh_capabilities(unit)->flags & (always | caches[_i].present), always | caches[_i].present);
	ck_assert_uint_eq(fh_capabilities(unit)->flags & caches[_i].absent, 0);
	change_at_random(16);
	assert_model();
	fh_close(unit);
	ck_status(try_open(&unit, NULL, NULL, TGTKIT_OPEN_READ_ONLY, 0), 0);
	assert_model();
	fh_close(unit);
}
END_TEST

START_TEST(a_discard_zeroes_every_byte_of_its_range_and_no_other)
{
	unit = create(IMAGE_BYTES, OPTIONS({"object_size", "1M"}));
	fill(model, sizeof(model), 1);
	for (uint64_t at = 0; at < IMAGE_BYTES; at += MIB)
		ck_status(fh_write(unit, model + at, MIB, at, 0), 0);
	/* Half of an object, two whole ones, and a piece of one that is no multiple of anything but 512. */
	ck_status(fh_discard(unit, 512 * 1025, 3 * MIB + 512, 0), 0);
	memset(model + 512 * 1025, 0, 3 * MIB + 512);
	ck_status(fh_zero(unit, 6 * MIB - 1536, 4096, 0), 0);
	memset(model + 6 * MIB - 1536, 0, 4096);
	assert_model();
	fh_close(unit);
}
END_TEST

START_TEST(a_snapshot_stays_as_it_was)
{
	char path[80];

	unit = create(IMAGE_BYTES, NULL);
	fill(model, MIB, 2);
	ck_status(fh_write(unit, model, MIB, 0, 0), 0);
	ck_status(fh_flush(unit), 0);
	cluster_shell("$RBD snap create $IMAGE@then");
	fill(seen, MIB, 3);
	ck_status(fh_write(unit, seen, MIB, 0, 0), 0);
	fh_close(unit);
	snprintf(path, sizeof(path), "%s@then", image_name);
	ck_status(try_open(&unit, path, NULL, 0, 0), 0);
	ck_assert(fh_capabilities(unit)->flags & TGTKIT_READ_ONLY);
	assert_model();
	fh_close(unit);
}
END_TEST

START_TEST(a_size_changed_elsewhere_is_an_event)
{
	unit = create(IMAGE_BYTES, NULL);
	cluster_shell("$RBD resize --no-progress --size 16M $IMAGE");
	fh_wait_event(unit, TGTKIT_EVENT_CAPACITY_CHANGED, 1);
	ck_status(fh_refresh(unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 16 * MIB);
	fill(model, MIB, 4);
	ck_status(fh_write(unit, model, MIB, 15 * MIB, 0), 0);
	ck_status(fh_read(unit, seen, MIB, 15 * MIB), 0);
	ck_assert_int_eq(memcmp(seen, model, MIB), 0);
	fh_close(unit);
}
END_TEST

START_TEST(the_size_is_changed_here)
{
	unit = create(IMAGE_BYTES, NULL);
	ck_status(fh_resize(unit, 12 * MIB, 0), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 12 * MIB);
	ck_assert_int_lt(fh_resize(unit, 4 * MIB, 0), 0);
	ck_status(fh_resize(unit, 4 * MIB, TGTKIT_RESIZE_SHRINK), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 4 * MIB);
	fh_close(unit);
}
END_TEST

TCase *operation_tests(void)
{
	TCase *tests = make_case("operations");

	tcase_add_loop_test(tests, random_changes_are_read_back_with_every_cache, 0,
			    sizeof(caches) / sizeof(caches[0]));
	tcase_add_test(tests, a_discard_zeroes_every_byte_of_its_range_and_no_other);
	tcase_add_test(tests, a_snapshot_stays_as_it_was);
	tcase_add_test(tests, a_size_changed_elsewhere_is_an_event);
	tcase_add_test(tests, the_size_is_changed_here);
	return tests;
}
