/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/buddy.h"
#include "unit/runner.h"

#define UNITS 1024u
#define BLOCK (1u << RT_BUDDY_LARGEST_ORDER)

static struct rt_buddy buddy;

static void setup(void)
{
	ck_assert_int_eq(rt_buddy_init(&buddy, UNITS, RT_BUDDY_LARGEST_ORDER), 0);
}

static void teardown(void)
{
	rt_buddy_destroy(&buddy);
}

/* Proves that nothing is lost and all has merged: every largest block can be had again. */
static void assert_whole(void)
{
	uint32_t first[UNITS / BLOCK], more;

	for (unsigned i = 0; i < UNITS / BLOCK; i++) {
		ck_assert_uint_eq(rt_buddy_take(&buddy, BLOCK, &first[i]), BLOCK);
		ck_assert_uint_eq(first[i] % BLOCK, 0);
	}
	ck_assert_uint_eq(rt_buddy_take(&buddy, 1, &more), 0);
	for (unsigned i = 0; i < UNITS / BLOCK; i++)
		rt_buddy_give(&buddy, first[i], BLOCK);
}

START_TEST(a_run_is_exact_and_the_rest_stays_free)
{
	uint32_t first, other;

	ck_assert_uint_eq(rt_buddy_take(&buddy, 3, &first), 3);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 1, &other), 1);
	ck_assert_uint_eq(other, first + 3);
	rt_buddy_give(&buddy, first, 3);
	rt_buddy_give(&buddy, other, 1);
	assert_whole();
}
END_TEST

START_TEST(a_long_wish_is_cut_to_the_largest_block)
{
	uint32_t first;

	ck_assert_uint_eq(rt_buddy_take(&buddy, BLOCK + 44, &first), BLOCK);
	rt_buddy_give(&buddy, first, BLOCK);
}
END_TEST

START_TEST(the_unit_given_last_is_taken_first)
{
	uint32_t a, b, again;

	rt_buddy_take(&buddy, 1, &a);
	rt_buddy_take(&buddy, 1, &b);
	rt_buddy_give(&buddy, b, 1);
	rt_buddy_give(&buddy, a, 1);
	rt_buddy_take(&buddy, 1, &again);
	ck_assert_uint_eq(again, a);
	rt_buddy_take(&buddy, 1, &again);
	ck_assert_uint_eq(again, b);
	rt_buddy_give(&buddy, a, 1);
	rt_buddy_give(&buddy, b, 1);
}
END_TEST

START_TEST(cached_units_merge_when_a_run_needs_them)
{
	uint32_t unit;

	for (unsigned i = 0; i < UNITS; i++)
		ck_assert_uint_eq(rt_buddy_take(&buddy, 1, &unit), 1);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 1, &unit), 0);
	for (unsigned i = 0; i < UNITS; i++)
		rt_buddy_give(&buddy, i, 1);
	assert_whole();
}
END_TEST

START_TEST(fragments_are_handed_out_largest_first)
{
	uint32_t first;

	for (unsigned i = 0; i < UNITS / BLOCK; i++)
		rt_buddy_take(&buddy, BLOCK, &first);
	rt_buddy_give(&buddy, 5, 1);
	rt_buddy_give(&buddy, 16, 4);
	rt_buddy_give(&buddy, 40, 2);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 8, &first), 4);
	ck_assert_uint_eq(first, 16);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 8, &first), 2);
	ck_assert_uint_eq(first, 40);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 8, &first), 1);
	ck_assert_uint_eq(first, 5);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 8, &first), 0);
}
END_TEST

START_TEST(parts_of_a_run_can_be_given_back_in_any_order)
{
	uint32_t first;

	ck_assert_uint_eq(rt_buddy_take(&buddy, 100, &first), 100);
	rt_buddy_give(&buddy, first + 90, 10);
	rt_buddy_give(&buddy, first, 1);
	rt_buddy_give(&buddy, first + 37, 53);
	rt_buddy_give(&buddy, first + 1, 36);
	assert_whole();
}
END_TEST

static void give_back_twice(void)
{
	uint32_t first;

	rt_buddy_take(&buddy, 1, &first);
	rt_buddy_give(&buddy, first, 1);
	rt_buddy_give(&buddy, first, 1);
}

START_TEST(giving_back_twice_is_caught)
{
	unit_expect_abort(give_back_twice);
}
END_TEST

struct run {
	uint32_t first, count;
};

static uint8_t in_use[UNITS];

/* Whether no unit of the run had that value before. */
static bool set_in_use(const struct run *run, uint8_t value)
{
	bool changed_all = true;

	for (uint32_t i = 0; i < run->count; i++) {
		changed_all &= in_use[run->first + i] != value;
		in_use[run->first + i] = value;
	}
	return changed_all;
}

/* Random takes and gives against a plain map of what is in use. */
START_TEST(runs_never_overlap_and_nothing_is_lost)
{
	static struct run runs[UNITS];
	unsigned count = 0, used = 0;
	bool sound = true;

	memset(in_use, 0, sizeof(in_use));
	srandom(1);
	for (unsigned step = 0; step < 200000; step++) {
		struct run *run = &runs[count];

		if (count > 0 && (random() % 2 == 0 || used == UNITS)) {
			run = &runs[(unsigned)random() % count];
			sound &= set_in_use(run, 0);
			used -= run->count;
			rt_buddy_give(&buddy, run->first, run->count);
			*run = runs[--count];
			continue;
		}
		run->count = rt_buddy_take(&buddy, 1 + (unsigned)random() % 40, &run->first);
		sound &= run->count > 0 && set_in_use(run, 1);
		used += run->count;
		count++;
	}
	ck_assert(sound);
	while (count-- > 0)
		rt_buddy_give(&buddy, runs[count].first, runs[count].count);
	assert_whole();
}
END_TEST

START_TEST(a_smaller_largest_order_is_kept)
{
	uint32_t first;

	rt_buddy_destroy(&buddy);
	ck_assert_int_eq(rt_buddy_init(&buddy, 32, 4), 0);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 32, &first), 16);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 32, &first), 16);
	ck_assert_uint_eq(rt_buddy_take(&buddy, 32, &first), 0);
}
END_TEST

Suite *buddy_suite(void)
{
	Suite *suite = suite_create("buddy");
	TCase *tests = tcase_create("buddy");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_run_is_exact_and_the_rest_stays_free);
	tcase_add_test(tests, a_long_wish_is_cut_to_the_largest_block);
	tcase_add_test(tests, the_unit_given_last_is_taken_first);
	tcase_add_test(tests, cached_units_merge_when_a_run_needs_them);
	tcase_add_test(tests, fragments_are_handed_out_largest_first);
	tcase_add_test(tests, parts_of_a_run_can_be_given_back_in_any_order);
	tcase_add_test(tests, giving_back_twice_is_caught);
	tcase_add_test(tests, runs_never_overlap_and_nothing_is_lost);
	tcase_add_test(tests, a_smaller_largest_order_is_kept);
	suite_add_tcase(suite, tests);
	return suite;
}
