/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>

#include "iscsi/session.h"
#include "rt/memory.h"
#include "rt/worker.h"

enum { SESSIONS = 3, COMMAND_BYTES = 65536, SMALLEST = 8, LIMIT = 128 };

static struct rt_loop *loop;
static struct rt_worker worker;
static struct iscsi_worker iscsi_worker;
static struct iscsi_session sessions[SESSIONS];

static void setup(void)
{
	ck_assert_int_eq(rt_loop_create(&loop, "test", 0), 0);
	worker = (struct rt_worker){.loop = loop};
	ck_assert_int_eq(rt_memory_create(&worker.memory, loop, 0, RT_MEMORY_MINIMUM_BYTES), 0);
	iscsi_worker.rt = &worker;
}

static void teardown(void)
{
	rt_memory_destroy(worker.memory);
	rt_loop_destroy(loop);
}

static struct iscsi_session *open_session(unsigned number, uint32_t first_cmd_sn)
{
	struct iscsi_session *session = &sessions[number];

	*session = (struct iscsi_session){.worker = &iscsi_worker, .exp_cmd_sn = first_cmd_sn};
	ck_assert(iscsi_window_open(session, first_cmd_sn, COMMAND_BYTES, LIMIT));
	iscsi_window_advance(session);
	return session;
}

static size_t reserved(void)
{
	return rt_memory_usage(worker.memory).reserved_bytes;
}

static uint32_t promised(const struct iscsi_session *session)
{
	return session->window.max_cmd_sn + 1 - session->exp_cmd_sn;
}

static void command(struct iscsi_session *session)
{
	session->exp_cmd_sn++;
	iscsi_window_command_came(session);
}

static void answer(struct iscsi_session *session)
{
	iscsi_window_command_left(session);
	iscsi_window_advance(session);
}

static void burst(struct iscsi_session *session)
{
	while (promised(session) > 0)
		command(session);
	while (session->window.in_use > 0)
		answer(session);
}

static void one_at_a_time(struct iscsi_session *session, unsigned count)
{
	while (count-- > 0) {
		command(session);
		answer(session);
	}
}

START_TEST(starts_small_and_grows_with_use)
{
	struct iscsi_session *session = open_session(0, 0xfffffffe);

	ck_assert_uint_eq(promised(session), SMALLEST);
	one_at_a_time(session, 1000);
	ck_assert_uint_eq(promised(session), SMALLEST);
	for (unsigned i = 0; i < 10; i++)
		burst(session);
	ck_assert_uint_eq(promised(session), 64); /* half of the memory is left to others */
	iscsi_window_close(session);
	ck_assert_uint_eq(reserved(), 0);
}
END_TEST

START_TEST(an_unused_window_stays_while_nobody_needs_the_memory)
{
	struct iscsi_session *session = open_session(0, 1);

	burst(session);
	burst(session);
	ck_assert_uint_eq(promised(session), 32);
	one_at_a_time(session, 1000);
	ck_assert_uint_eq(promised(session), 32);
	iscsi_window_close(session);
}
END_TEST

START_TEST(an_unused_window_shrinks_when_memory_is_short_and_lets_another_grow)
{
	struct iscsi_session *first = open_session(0, 1), *second = open_session(1, 1);

	while (promised(first) < 64)
		burst(first);
	burst(second);
	ck_assert_uint_eq(promised(second), SMALLEST);
	one_at_a_time(first, 256);
	ck_assert_uint_le(promised(first), 32);
	burst(second);
	ck_assert_uint_gt(promised(second), SMALLEST);
	iscsi_window_close(first);
	iscsi_window_close(second);
	ck_assert_uint_eq(reserved(), 0);
}
END_TEST

START_TEST(a_full_house_admits_nobody)
{
	struct iscsi_session session = {.worker = &iscsi_worker};
	size_t room = rt_memory_usage(worker.memory).limit_bytes[RT_MEMORY_WINDOW];

	ck_assert(rt_memory_reserve(worker.memory, room));
	ck_assert(!iscsi_window_open(&session, 1, COMMAND_BYTES, LIMIT));
	rt_memory_unreserve(worker.memory, room);
}
END_TEST

static bool is_sound(const struct iscsi_session *session, uint32_t max_before)
{
	const struct iscsi_window *window = &session->window;

	return !rt_serial_before(window->max_cmd_sn, max_before) &&
	       window->in_use + promised(session) <= window->commands && window->goal <= window->commands &&
	       window->commands <= LIMIT && window->goal >= SMALLEST;
}

/* What was promised can always come, and is always paid for. */
static void check_all(const uint32_t *max_before)
{
	size_t expected = 0;

	for (unsigned i = 0; i < SESSIONS; i++) {
		if (!is_sound(&sessions[i], max_before[i]))
			ck_abort_msg("the promise of session %u is broken", i);
		expected += (size_t)COMMAND_BYTES * (sessions[i].window.commands + ISCSI_IMMEDIATE_COMMANDS);
	}
	if (reserved() != expected)
		ck_abort_msg("%zu bytes are reserved, not %zu", reserved(), expected);
}

static void random_step(struct iscsi_session *session, unsigned mood)
{
	bool wants_more = (unsigned)random() % 100 < mood;

	if (wants_more && promised(session) > 0)
		command(session);
	else if (session->window.in_use > 0)
		answer(session);
	else if ((unsigned)random() % 8 == 0)
		session->exp_cmd_sn += promised(session) > 0; /* a number that is no SCSI command's */
	if ((unsigned)random() % 4 == 0)
		iscsi_window_advance(session);
}

START_TEST(whatever_comes_every_promise_is_kept)
{
	srandom((unsigned)_i + 1);
	for (unsigned i = 0; i < SESSIONS; i++)
		open_session(i, (uint32_t)random() * 2u);
	for (unsigned phase = 0; phase < 30; phase++) {
		unsigned moods[SESSIONS];

		for (unsigned i = 0; i < SESSIONS; i++)
			moods[i] = (unsigned)random() % 90 + 5;
		for (unsigned step = 0; step < 1000; step++) {
			uint32_t before[SESSIONS];
			unsigned i = (unsigned)random() % SESSIONS;

			for (unsigned j = 0; j < SESSIONS; j++)
				before[j] = sessions[j].window.max_cmd_sn;
			random_step(&sessions[i], moods[i]);
			check_all(before);
		}
	}
	for (unsigned i = 0; i < SESSIONS; i++)
		iscsi_window_close(&sessions[i]);
	ck_assert_uint_eq(reserved(), 0);
}
END_TEST

Suite *window_suite(void);
Suite *window_suite(void)
{
	Suite *suite = suite_create("window");
	TCase *tests = tcase_create("window");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, starts_small_and_grows_with_use);
	tcase_add_test(tests, an_unused_window_stays_while_nobody_needs_the_memory);
	tcase_add_test(tests, an_unused_window_shrinks_when_memory_is_short_and_lets_another_grow);
	tcase_add_test(tests, a_full_house_admits_nobody);
	tcase_add_loop_test(tests, whatever_comes_every_promise_is_kept, 0, 4);
	suite_add_tcase(suite, tests);
	return suite;
}
