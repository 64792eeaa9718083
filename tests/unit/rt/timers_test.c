/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rt/list.h"
#include "rt/loop.h"
#include "rt/worker.h"

#define TIMERS 1000

struct counted_timer {
	struct rt_timer timer;
	unsigned fired;
};

static struct rt_loop *loop;
static struct counted_timer timers[TIMERS];
static unsigned fired;
static uint64_t last_due_ns;

static void setup(void)
{
	ck_assert_int_eq(rt_loop_create(&loop, "test", 0), 0);
	memset(timers, 0, sizeof(timers));
	fired = 0;
	last_due_ns = 0;
}

static void teardown(void)
{
	rt_loop_destroy(loop);
}

static void count(struct rt_timer *self)
{
	struct counted_timer *timer = RT_CONTAINER_OF(self, struct counted_timer, timer);

	timer->fired++;
	fired++;
}

static void count_and_rearm(struct rt_timer *self)
{
	count(self);
	rt_timer_arm(loop, self, 0);
}

static void check_order(struct rt_timer *self)
{
	count(self);
	ck_assert_uint_ge(self->due_ns, last_due_ns);
	ck_assert_uint_ge(rt_loop_now_ns(loop), self->due_ns);
	last_due_ns = self->due_ns;
}

START_TEST(a_timer_fires_once_and_not_early)
{
	uint64_t start_ns = rt_clock_ns();

	timers[0].timer.expired = count;
	rt_timer_arm(loop, &timers[0].timer, 1500);
	ck_assert(rt_timer_is_armed(&timers[0].timer));
	while (fired == 0)
		rt_loop_turn(loop, -1);
	ck_assert_uint_ge(rt_clock_ns() - start_ns, 1500000);
	ck_assert(!rt_timer_is_armed(&timers[0].timer));
	rt_loop_turn(loop, 0);
	ck_assert_uint_eq(fired, 1);
}
END_TEST

START_TEST(a_loop_sleeps_to_the_microsecond_and_not_in_a_spin)
{
	unsigned turns = 0;

	timers[0].timer.expired = count;
	rt_timer_arm(loop, &timers[0].timer, 20300);
	for (; fired == 0; turns++)
		rt_loop_turn(loop, -1);
	ck_assert_uint_le(turns, 3);
}
END_TEST

START_TEST(many_timers_fire_in_order_of_time)
{
	srandom(1);
	for (unsigned i = 0; i < TIMERS; i++) {
		timers[i].timer.expired = check_order;
		rt_timer_arm(loop, &timers[i].timer, (uint64_t)random() % 5000);
	}
	/* Half of them again, some sooner and some later. */
	for (unsigned i = 0; i < TIMERS; i += 2)
		rt_timer_arm(loop, &timers[i].timer, (uint64_t)random() % 5000);
	while (fired < TIMERS)
		rt_loop_turn(loop, -1);
	for (unsigned i = 0; i < TIMERS; i++)
		ck_assert_uint_eq(timers[i].fired, 1);
}
END_TEST

START_TEST(cancelled_timers_do_not_fire_and_the_others_do)
{
	srandom(2);
	for (unsigned i = 0; i < TIMERS; i++) {
		timers[i].timer.expired = check_order;
		rt_timer_arm(loop, &timers[i].timer, (uint64_t)random() % 3000);
	}
	for (unsigned i = 0; i < TIMERS; i += 3) {
		rt_timer_cancel(&timers[i].timer);
		rt_timer_cancel(&timers[i].timer);
	}
	while (fired < TIMERS - (TIMERS + 2) / 3)
		rt_loop_turn(loop, -1);
	for (unsigned i = 0; i < TIMERS; i++)
		ck_assert_uint_eq(timers[i].fired, i % 3 != 0);
}
END_TEST

START_TEST(no_delay_means_the_next_turn)
{
	timers[0].timer.expired = count_and_rearm;
	rt_timer_arm(loop, &timers[0].timer, 0);
	for (unsigned turn = 1; turn <= 5; turn++) {
		rt_loop_turn(loop, -1);
		ck_assert_uint_eq(fired, turn);
	}
	rt_timer_cancel(&timers[0].timer);
}
END_TEST

START_TEST(an_endless_delay_does_not_overflow)
{
	timers[0].timer.expired = count;
	rt_timer_arm(loop, &timers[0].timer, UINT64_MAX);
	rt_loop_turn(loop, 1);
	ck_assert_uint_eq(fired, 0);
	ck_assert(rt_timer_is_armed(&timers[0].timer));
	rt_timer_cancel(&timers[0].timer);
}
END_TEST

static void cancel_the_other(struct rt_timer *self)
{
	fired++;
	rt_timer_cancel(self == &timers[0].timer ? &timers[1].timer : &timers[0].timer);
}

START_TEST(a_timer_cancelled_by_one_that_expired_with_it_does_not_fire)
{
	timers[0].timer.expired = timers[1].timer.expired = cancel_the_other;
	rt_timer_arm(loop, &timers[0].timer, 0);
	rt_timer_arm(loop, &timers[1].timer, 0);
	rt_loop_turn(loop, -1);
	rt_loop_turn(loop, 0);
	ck_assert_uint_eq(fired, 1);
}
END_TEST

Suite *timers_suite(void)
{
	Suite *suite = suite_create("timers");
	TCase *tests = tcase_create("timers");

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_timer_fires_once_and_not_early);
	tcase_add_test(tests, a_loop_sleeps_to_the_microsecond_and_not_in_a_spin);
	tcase_add_test(tests, many_timers_fire_in_order_of_time);
	tcase_add_test(tests, cancelled_timers_do_not_fire_and_the_others_do);
	tcase_add_test(tests, no_delay_means_the_next_turn);
	tcase_add_test(tests, an_endless_delay_does_not_overflow);
	tcase_add_test(tests, a_timer_cancelled_by_one_that_expired_with_it_does_not_fire);
	suite_add_tcase(suite, tests);
	return suite;
}
