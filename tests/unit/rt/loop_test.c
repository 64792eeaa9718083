/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/loop.h"
#include "rt/worker.h"

#define NANOSECONDS_PER_MS UINT64_C(1000000)

/* One end of a socket pair, and what was reported for it. */
struct end {
	struct rt_fd watched;
	int other_fd;
	unsigned calls;
	uint32_t events;
	struct end *victim;
};

static struct rt_loop *loop;
static struct end ends[2];
static unsigned calls;
static char trace[32];

static void count(struct rt_fd *self, uint32_t events)
{
	struct end *end = RT_CONTAINER_OF(self, struct end, watched);

	end->calls++;
	end->events = events;
	calls++;
}

static void setup(void)
{
	ck_assert_int_eq(rt_loop_create(&loop, "test", 0), 0);
	memset(ends, 0, sizeof(ends));
	memset(trace, 0, sizeof(trace));
	calls = 0;
	for (unsigned i = 0; i < 2; i++) {
		int pair[2];

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		ends[i].watched = (struct rt_fd){.fd = pair[0], .ready = count};
		ends[i].other_fd = pair[1];
		ends[i].victim = &ends[1 - i];
	}
}

static void teardown(void)
{
	for (unsigned i = 0; i < 2; i++) {
		rt_fd_remove(&ends[i].watched);
		close(ends[i].watched.fd);
		if (ends[i].other_fd >= 0)
			close(ends[i].other_fd);
	}
	rt_loop_destroy(loop);
}

static void make_readable(struct end *end)
{
	ck_assert_int_eq(write(end->other_fd, "x", 1), 1);
}

static void note(char mark)
{
	trace[strlen(trace)] = mark;
}

/* ---- Descriptors ---------------------------------------------------------------------------------------------- */

START_TEST(readiness_is_reported_as_long_as_it_lasts)
{
	char byte;

	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, RT_FD_READ), 0);
	rt_loop_turn(loop, 0);
	ck_assert_uint_eq(calls, 0);
	make_readable(&ends[0]);
	rt_loop_turn(loop, -1);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(calls, 2);
	ck_assert_uint_eq(ends[0].events, RT_FD_READ);
	ck_assert_int_eq(read(ends[0].watched.fd, &byte, 1), 1);
	rt_loop_turn(loop, 0);
	ck_assert_uint_eq(calls, 2);
}
END_TEST

START_TEST(interest_can_change)
{
	make_readable(&ends[0]);
	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, RT_FD_READ | RT_FD_WRITE), 0);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(ends[0].events, RT_FD_READ | RT_FD_WRITE);
	ck_assert_int_eq(rt_fd_modify(&ends[0].watched, RT_FD_WRITE), 0);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(ends[0].events, RT_FD_WRITE);
	ck_assert_int_eq(rt_fd_modify(&ends[0].watched, 0), 0);
	rt_loop_turn(loop, 0);
	ck_assert_uint_eq(calls, 2);
}
END_TEST

START_TEST(a_hang_up_is_reported_without_being_asked_for)
{
	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, 0), 0);
	close(ends[0].other_fd);
	ends[0].other_fd = -1;
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(ends[0].events, RT_FD_ERROR);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_watched_is_refused)
{
	struct rt_fd closed = {.fd = -1, .ready = count};

	ck_assert_int_eq(rt_fd_add(loop, &closed, RT_FD_READ), -EBADF);
	rt_fd_remove(&closed);
	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, RT_FD_READ), 0);
	closed.fd = ends[0].watched.fd;
	ck_assert_int_eq(rt_fd_add(loop, &closed, RT_FD_READ), -EEXIST);
}
END_TEST

static void remove_victim(struct rt_fd *self, uint32_t events)
{
	count(self, events);
	rt_fd_remove(&RT_CONTAINER_OF(self, struct end, watched)->victim->watched);
}

/* Both are in the same fetch, so whichever comes first has to stop the other. */
static void turn_with_both_ready(void (*ready)(struct rt_fd *, uint32_t))
{
	for (unsigned i = 0; i < 2; i++) {
		make_readable(&ends[i]);
		ends[i].watched.ready = ready;
		ck_assert_int_eq(rt_fd_add(loop, &ends[i].watched, RT_FD_READ), 0);
	}
	rt_loop_turn(loop, -1);
}

START_TEST(a_removed_descriptor_is_not_called_for_an_event_already_fetched)
{
	turn_with_both_ready(remove_victim);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

static void remove_victim_and_free_it(struct rt_fd *self, uint32_t events)
{
	struct end *end = RT_CONTAINER_OF(self, struct end, watched);

	count(self, events);
	rt_fd_remove(&end->victim->watched);
	free(end->victim);
}

START_TEST(the_memory_of_a_removed_descriptor_is_not_touched)
{
	struct end *heap_end = malloc(sizeof(*heap_end));

	*heap_end = ends[1];
	heap_end->watched.ready = count;
	make_readable(heap_end);
	/* Reported in the order in which they became ready. */
	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, RT_FD_WRITE), 0);
	ck_assert_int_eq(rt_fd_add(loop, &heap_end->watched, RT_FD_READ), 0);
	ends[0].watched.ready = remove_victim_and_free_it;
	ends[0].victim = heap_end;
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

static void remove_itself(struct rt_fd *self, uint32_t events)
{
	count(self, events);
	rt_fd_remove(self);
}

START_TEST(a_descriptor_may_remove_itself_and_come_back)
{
	turn_with_both_ready(remove_itself);
	ck_assert_uint_eq(calls, 2);
	rt_loop_turn(loop, 0);
	ck_assert_uint_eq(calls, 2);
	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, RT_FD_READ), 0);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(ends[0].calls, 2);
}
END_TEST

static void take_interest_from_victim(struct rt_fd *self, uint32_t events)
{
	count(self, events);
	rt_fd_modify(&RT_CONTAINER_OF(self, struct end, watched)->victim->watched, 0);
}

START_TEST(an_event_already_fetched_is_dropped_when_nobody_wants_it_any_more)
{
	turn_with_both_ready(take_interest_from_victim);
	ck_assert_uint_eq(calls, 1);
}
END_TEST

/* ---- Phases --------------------------------------------------------------------------------------------------- */

static struct rt_deferred complete, commit, send_out, second_send;

static void note_complete(struct rt_deferred *self)
{
	(void)self;
	note('1');
}

static void note_commit(struct rt_deferred *self)
{
	(void)self;
	note('2');
}

static void note_send(struct rt_deferred *self)
{
	(void)self;
	note('3');
}

static void note_send_and_complete_more(struct rt_deferred *self)
{
	(void)self;
	note('4');
	rt_loop_defer(loop, RT_PHASE_COMPLETE, &complete);
	rt_loop_defer(loop, RT_PHASE_COMMIT, &commit);
	rt_loop_defer(loop, RT_PHASE_SEND, &send_out);
}

static void setup_phases(void)
{
	complete = (struct rt_deferred){.run = note_complete};
	commit = (struct rt_deferred){.run = note_commit};
	send_out = (struct rt_deferred){.run = note_send};
	second_send = (struct rt_deferred){.run = note_send_and_complete_more};
}

START_TEST(phases_run_in_order_and_each_work_once)
{
	rt_loop_defer(loop, RT_PHASE_SEND, &send_out);
	rt_loop_defer(loop, RT_PHASE_COMMIT, &commit);
	rt_loop_defer(loop, RT_PHASE_COMPLETE, &complete);
	rt_loop_defer(loop, RT_PHASE_COMPLETE, &complete);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "123");
	rt_loop_turn(loop, 0);
	ck_assert_str_eq(trace, "123");
}
END_TEST

START_TEST(later_phases_wait_for_work_that_arises_in_earlier_ones)
{
	rt_loop_defer(loop, RT_PHASE_SEND, &second_send);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "4123");
}
END_TEST

START_TEST(cancelled_work_does_not_run)
{
	rt_loop_defer(loop, RT_PHASE_COMPLETE, &complete);
	rt_loop_defer(loop, RT_PHASE_COMMIT, &commit);
	rt_deferred_cancel(&complete);
	rt_deferred_cancel(&complete);
	rt_deferred_cancel(&send_out);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "2");
	rt_loop_defer(loop, RT_PHASE_COMPLETE, &complete);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "21");
}
END_TEST

static void cancel_and_free_the_rest(struct rt_deferred *self)
{
	struct rt_deferred *others = self;

	note('5');
	rt_deferred_cancel(&others[1]);
	free(self);
}

START_TEST(work_may_cancel_and_free_what_runs_with_it)
{
	struct rt_deferred *works = calloc(2, sizeof(*works));

	works[0].run = works[1].run = cancel_and_free_the_rest;
	rt_loop_defer(loop, RT_PHASE_SEND, &works[0]);
	rt_loop_defer(loop, RT_PHASE_SEND, &works[1]);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "5");
}
END_TEST

/* ---- Pollers -------------------------------------------------------------------------------------------------- */

static struct rt_poller pollers[2];

static void note_poll(struct rt_poller *self)
{
	note(self == &pollers[0] ? 'a' : 'b');
}

static void note_poll_and_remove_the_other(struct rt_poller *self)
{
	note_poll(self);
	rt_poller_remove(self == &pollers[0] ? &pollers[1] : &pollers[0]);
}

static void note_poll_and_remove_itself(struct rt_poller *self)
{
	note_poll(self);
	rt_poller_remove(self);
}

static void add_pollers(void (*poll)(struct rt_poller *))
{
	for (unsigned i = 0; i < 2; i++) {
		pollers[i] = (struct rt_poller){.poll = poll};
		rt_poller_add(loop, &pollers[i]);
	}
}

START_TEST(pollers_run_in_every_turn_and_keep_the_loop_awake)
{
	add_pollers(note_poll);
	rt_loop_turn(loop, -1);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "abab");
	rt_poller_remove(&pollers[0]);
	rt_poller_remove(&pollers[0]);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "ababb");
}
END_TEST

START_TEST(a_poller_may_remove_another)
{
	add_pollers(note_poll_and_remove_the_other);
	rt_loop_turn(loop, -1);
	rt_loop_turn(loop, -1);
	ck_assert_str_eq(trace, "aa");
}
END_TEST

START_TEST(a_poller_may_remove_itself)
{
	add_pollers(note_poll_and_remove_itself);
	rt_loop_turn(loop, -1);
	rt_loop_turn(loop, 0);
	ck_assert_str_eq(trace, "ab");
}
END_TEST

/* ---- Turns ---------------------------------------------------------------------------------------------------- */

static uint64_t noted_now_ns;
static struct rt_loop *noted_loop;

static void note_time(struct rt_fd *self, uint32_t events)
{
	uint64_t start_ns = rt_clock_ns();

	count(self, events);
	noted_loop = rt_loop_current();
	noted_now_ns = rt_loop_now_ns(loop);
	while (rt_clock_ns() == start_ns)
		;
	ck_assert_uint_eq(rt_loop_now_ns(loop), noted_now_ns);
}

START_TEST(time_stands_still_within_a_turn)
{
	uint64_t before_ns = rt_clock_ns();

	ends[0].watched.ready = note_time;
	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, RT_FD_WRITE), 0);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_ge(noted_now_ns, before_ns);
	ck_assert_uint_ge(rt_loop_now_ns(loop), noted_now_ns);
}
END_TEST

START_TEST(the_current_loop_is_known_inside_a_turn_only)
{
	ends[0].watched.ready = note_time;
	ck_assert_int_eq(rt_fd_add(loop, &ends[0].watched, RT_FD_WRITE), 0);
	ck_assert_ptr_null(rt_loop_current());
	rt_loop_turn(loop, -1);
	ck_assert_ptr_eq(noted_loop, loop);
	ck_assert_ptr_null(rt_loop_current());
}
END_TEST

START_TEST(a_turn_waits_no_longer_than_told)
{
	uint64_t start_ns = rt_clock_ns();

	rt_loop_turn(loop, 5);
	ck_assert_uint_ge(rt_clock_ns() - start_ns, 5 * NANOSECONDS_PER_MS);
}
END_TEST

static void fire(struct rt_timer *self)
{
	(void)self;
	calls++;
}

/* Turns after an event return at once for the busy time, and then one sleeps until the timer. */
START_TEST(busy_polling_lasts_as_long_as_set_and_no_longer)
{
	struct rt_timer timer = {.expired = fire};
	uint64_t longest_ns = 0;
	unsigned turns = 0;

	rt_loop_destroy(loop);
	ck_assert_int_eq(rt_loop_create(&loop, "busy", 20000), 0);
	rt_timer_arm(loop, &timer, 0);
	rt_loop_turn(loop, -1);
	rt_timer_arm(loop, &timer, 200000);
	for (calls = 0; calls == 0; turns++) {
		uint64_t start_ns = rt_clock_ns();

		rt_loop_turn(loop, -1);
		if (rt_clock_ns() - start_ns > longest_ns)
			longest_ns = rt_clock_ns() - start_ns;
	}
	ck_assert_uint_gt(turns, 10);
	ck_assert_uint_ge(longest_ns, 100 * NANOSECONDS_PER_MS);
}
END_TEST

static void add_descriptor_tests(Suite *suite)
{
	TCase *tests = tcase_create("descriptors");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, readiness_is_reported_as_long_as_it_lasts);
	tcase_add_test(tests, interest_can_change);
	tcase_add_test(tests, a_hang_up_is_reported_without_being_asked_for);
	tcase_add_test(tests, a_descriptor_that_cannot_be_watched_is_refused);
	tcase_add_test(tests, a_removed_descriptor_is_not_called_for_an_event_already_fetched);
	tcase_add_test(tests, the_memory_of_a_removed_descriptor_is_not_touched);
	tcase_add_test(tests, a_descriptor_may_remove_itself_and_come_back);
	tcase_add_test(tests, an_event_already_fetched_is_dropped_when_nobody_wants_it_any_more);
	suite_add_tcase(suite, tests);
}

static void add_phase_tests(Suite *suite)
{
	TCase *tests = tcase_create("phases");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_checked_fixture(tests, setup_phases, NULL);
	tcase_add_test(tests, phases_run_in_order_and_each_work_once);
	tcase_add_test(tests, later_phases_wait_for_work_that_arises_in_earlier_ones);
	tcase_add_test(tests, cancelled_work_does_not_run);
	tcase_add_test(tests, work_may_cancel_and_free_what_runs_with_it);
	suite_add_tcase(suite, tests);
}

static void add_turn_tests(Suite *suite)
{
	TCase *tests = tcase_create("turns");

	tcase_set_timeout(tests, 20);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, pollers_run_in_every_turn_and_keep_the_loop_awake);
	tcase_add_test(tests, a_poller_may_remove_another);
	tcase_add_test(tests, a_poller_may_remove_itself);
	tcase_add_test(tests, time_stands_still_within_a_turn);
	tcase_add_test(tests, the_current_loop_is_known_inside_a_turn_only);
	tcase_add_test(tests, a_turn_waits_no_longer_than_told);
	tcase_add_test(tests, busy_polling_lasts_as_long_as_set_and_no_longer);
	suite_add_tcase(suite, tests);
}

Suite *loop_suite(void)
{
	Suite *suite = suite_create("loop");

	add_descriptor_tests(suite);
	add_phase_tests(suite);
	add_turn_tests(suite);
	return suite;
}
