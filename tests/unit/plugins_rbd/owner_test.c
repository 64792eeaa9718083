/* SPDX-License-Identifier: Apache-2.0
 *
 * One client at a time: two units of one image stand for two hosts.
 */
#include <errno.h>
#include <string.h>

#include "rbd_test.h"

static struct fh_unit *first, *second;
static unsigned char data[64u << 10], seen[64u << 10];

static void open_both(void)
{
	first = create(8 * MIB, NULL);
	ck_assert_uint_eq(fh_event_count(first, TGTKIT_EVENT_STANDBY), 0);
	ck_status(try_open(&second, NULL, NULL, 0, 0), 0);
	ck_assert_uint_eq(fh_event_count(second, TGTKIT_EVENT_STANDBY), 1);
}

static int write_seed(struct fh_unit *unit, uint32_t seed)
{
	fill(data, sizeof(data), seed);
	return fh_write(unit, data, sizeof(data), 0, 0);
}

static void assert_seed(struct fh_unit *unit, uint32_t seed)
{
	fill(data, sizeof(data), seed);
	ck_status(fh_read(unit, seen, sizeof(seen), 0), 0);
	ck_assert_int_eq(memcmp(seen, data, sizeof(data)), 0);
}

START_TEST(who_comes_second_waits_until_the_first_has_closed)
{
	open_both();
	ck_status(write_seed(first, 1), 0);
	ck_status(write_seed(second, 2), -ESHUTDOWN);
	ck_status(fh_read(second, seen, sizeof(seen), 0), -ESHUTDOWN);
	ck_status(fh_refresh(second), 0);
	ck_assert_uint_eq(fh_event_count(second, TGTKIT_EVENT_ACTIVE), 0);
	ck_status(fh_resize(second, 16 * MIB, 0), -EBUSY);
	assert_seed(first, 1);
	ck_status(write_seed(first, 3), 0);
	fh_close(first);
	ck_status(fh_refresh(second), 0);
	ck_assert_uint_eq(fh_event_count(second, TGTKIT_EVENT_ACTIVE), 1);
	assert_seed(second, 3);
	ck_status(write_seed(second, 4), 0);
	fh_close(second);
}
END_TEST

START_TEST(a_take_over_shuts_the_other_out)
{
	open_both();
	ck_status(write_seed(first, 1), 0);
	ck_status(fh_take_over(second), 0);
	ck_assert_uint_eq(fh_event_count(second, TGTKIT_EVENT_ACTIVE), 1);
	ck_status(write_seed(second, 2), 0);
	ck_status(write_seed(first, 3), -ESHUTDOWN);
	ck_assert_uint_eq(fh_event_count(first, TGTKIT_EVENT_STANDBY), 1);
	/* It does not come back by itself, whatever becomes of the other. */
	ck_status(fh_refresh(first), 0);
	ck_status(fh_read(first, seen, sizeof(seen), 0), -ESHUTDOWN);
	assert_seed(second, 2);
	ck_status(fh_take_over(first), 0);
	ck_assert_uint_eq(fh_event_count(first, TGTKIT_EVENT_ACTIVE), 1);
	assert_seed(first, 2);
	ck_status(write_seed(first, 5), 0);
	ck_status(write_seed(second, 6), -ESHUTDOWN);
	assert_seed(first, 5);
	fh_close(second);
	fh_close(first);
}
END_TEST

START_TEST(an_idle_client_notices_that_it_was_shut_out)
{
	open_both();
	ck_status(fh_take_over(second), 0);
	ck_status(fh_refresh(first), 0);
	ck_assert_uint_eq(fh_event_count(first, TGTKIT_EVENT_STANDBY), 1);
	ck_assert_uint_eq(fh_capabilities(first)->size_bytes, 8 * MIB);
	fh_close(first);
	fh_close(second);
}
END_TEST

START_TEST(the_option_takes_over_when_the_image_is_opened)
{
	first = create(8 * MIB, NULL);
	ck_status(write_seed(first, 1), 0);
	ck_status(try_open(&second, NULL, OPTIONS({"take_over", "true"}), 0, 0), 0);
	ck_assert_uint_eq(fh_event_count(second, TGTKIT_EVENT_STANDBY), 0);
	assert_seed(second, 1);
	ck_status(write_seed(second, 2), 0);
	ck_status(write_seed(first, 3), -ESHUTDOWN);
	assert_seed(second, 2);
	fh_close(first);
	fh_close(second);
}
END_TEST

START_TEST(writes_under_way_at_a_take_over_never_land_late)
{
	enum { WRITES = 24, BYTES = 32u << 10 };
	static unsigned char old[WRITES][BYTES];
	struct fh_pending *pending[WRITES];

	open_both();
	for (uint32_t i = 0; i < WRITES; i++) {
		fill(old[i], BYTES, 100 + i);
		pending[i] = fh_start(first, TGTKIT_WRITE, old[i], BYTES, i * BYTES, 0);
	}
	ck_status(fh_take_over(second), 0);
	for (uint32_t i = 0; i < WRITES; i++) {
		fill(data, BYTES, 200 + i);
		ck_status(fh_write(second, data, BYTES, i * BYTES, 0), 0);
	}
	for (uint32_t i = 0; i < WRITES; i++) {
		int status = fh_wait(pending[i]);

		ck_assert_msg(status == 0 || status == -ESHUTDOWN, "an old write ended with %d", status);
	}
	for (uint32_t i = 0; i < WRITES; i++) {
		fill(data, BYTES, 200 + i);
		ck_status(fh_read(second, seen, BYTES, i * BYTES), 0);
		ck_assert_int_eq(memcmp(seen, data, BYTES), 0);
	}
	fh_close(first);
	fh_close(second);
}
END_TEST

TCase *owner_tests(void)
{
	TCase *tests = make_case("owner");

	tcase_add_test(tests, who_comes_second_waits_until_the_first_has_closed);
	tcase_add_test(tests, a_take_over_shuts_the_other_out);
	tcase_add_test(tests, an_idle_client_notices_that_it_was_shut_out);
	tcase_add_test(tests, the_option_takes_over_when_the_image_is_opened);
	tcase_add_test(tests, writes_under_way_at_a_take_over_never_land_late);
	return tests;
}
