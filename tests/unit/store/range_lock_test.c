/* SPDX-License-Identifier: Apache-2.0 */
#include "store/range_lock.h"

#include "unit/runner.h"

static struct store_range_lock lock;

struct waiter {
	struct store_range range;
	bool granted;
};

static void note(struct store_range *self)
{
	RT_CONTAINER_OF(self, struct waiter, range)->granted = true;
}

static bool acquire(struct waiter *waiter, uint64_t start, uint64_t end)
{
	*waiter = (struct waiter){.range = {.start = start, .end = end, .granted = note}};
	return store_range_acquire(&lock, &waiter->range);
}

static void release(struct waiter *waiter)
{
	store_range_release(&lock, &waiter->range);
}

START_TEST(ranges_that_do_not_touch_are_held_at_once)
{
	struct waiter a, b, c;

	store_range_lock_init(&lock);
	ck_assert(acquire(&a, 10, 20));
	ck_assert(acquire(&b, 20, 30));
	ck_assert(acquire(&c, 0, 10));
	release(&a);
	release(&b);
	release(&c);
	store_range_lock_destroy(&lock);
}
END_TEST

START_TEST(an_overlapping_range_waits_for_all_that_it_overlaps)
{
	struct waiter a, b, c;

	store_range_lock_init(&lock);
	ck_assert(acquire(&a, 0, 10));
	ck_assert(acquire(&b, 10, 20));
	ck_assert(!acquire(&c, 9, 11));
	release(&a);
	ck_assert(!c.granted);
	release(&b);
	ck_assert(c.granted);
	release(&c);
	store_range_lock_destroy(&lock);
}
END_TEST

START_TEST(nobody_overtakes_one_that_waits_for_the_same_bytes)
{
	struct waiter a, b, c, d;

	store_range_lock_init(&lock);
	ck_assert(acquire(&a, 0, 10));
	ck_assert(!acquire(&b, 5, 25));
	ck_assert(!acquire(&c, 20, 30));
	ck_assert(acquire(&d, 30, 40));
	release(&a);
	ck_assert(b.granted);
	ck_assert(!c.granted);
	release(&b);
	ck_assert(c.granted);
	release(&c);
	release(&d);
	store_range_lock_destroy(&lock);
}
END_TEST

START_TEST(one_that_gives_up_lets_those_behind_it_through)
{
	struct waiter a, b, c;

	store_range_lock_init(&lock);
	ck_assert(acquire(&a, 0, 10));
	ck_assert(!acquire(&b, 5, 25));
	ck_assert(!acquire(&c, 20, 30));
	ck_assert(store_range_cancel(&lock, &b.range));
	ck_assert(!b.granted);
	ck_assert(c.granted);
	ck_assert(!store_range_cancel(&lock, &c.range));
	release(&a);
	release(&c);
	store_range_lock_destroy(&lock);
}
END_TEST

Suite *range_lock_suite(void)
{
	Suite *suite = suite_create("range_lock");
	TCase *tests = tcase_create("ranges");

	tcase_add_test(tests, ranges_that_do_not_touch_are_held_at_once);
	tcase_add_test(tests, an_overlapping_range_waits_for_all_that_it_overlaps);
	tcase_add_test(tests, nobody_overtakes_one_that_waits_for_the_same_bytes);
	tcase_add_test(tests, one_that_gives_up_lets_those_behind_it_through);
	suite_add_tcase(suite, tests);
	return suite;
}
