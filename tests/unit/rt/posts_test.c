/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "rt/loop_private.h"
#include "rt/worker.h"

#define SENDERS	   4u
#define MESSAGES   20000u
#define ROUNDTRIPS 5000u

struct numbered_post {
	struct rt_post post;
	unsigned sender, number;
};

static struct rt_loop *loop;
static unsigned next_number[SENDERS], received;
static bool in_order;

static void setup(void)
{
	ck_assert_int_eq(rt_loop_create(&loop, "test", 0), 0);
	for (unsigned i = 0; i < SENDERS; i++)
		next_number[i] = 0;
	received = 0;
	in_order = true;
}

static void teardown(void)
{
	rt_loop_destroy(loop);
}

static void receive(struct rt_post *self)
{
	struct numbered_post *message = RT_CONTAINER_OF(self, struct numbered_post, post);

	in_order &= message->number == next_number[message->sender]++;
	received++;
}

static void *send_one(void *message)
{
	rt_loop_post(loop, message);
	return NULL;
}

static void *send_one_to_a_sleeper(void *message)
{
	while (!atomic_load(&loop->sleeping))
		sched_yield();
	rt_loop_post(loop, message);
	return NULL;
}

START_TEST(a_message_to_a_loop_that_is_awake_costs_no_system_call)
{
	struct numbered_post message = {.post.run = receive};
	pthread_t thread;
	uint64_t wakes;

	pthread_create(&thread, NULL, send_one, &message);
	pthread_join(thread, NULL);
	ck_assert_int_eq(read(loop->wake.fd, &wakes, sizeof(wakes)), -1);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(received, 1);
}
END_TEST

START_TEST(a_message_wakes_a_loop_that_sleeps)
{
	struct numbered_post message = {.post.run = receive};
	pthread_t thread;

	pthread_create(&thread, NULL, send_one_to_a_sleeper, &message);
	while (received == 0)
		rt_loop_turn(loop, -1);
	pthread_join(thread, NULL);
	ck_assert(!atomic_load(&loop->sleeping));
}
END_TEST

static void post_again(struct rt_post *self)
{
	received++;
	rt_loop_post(loop, self);
}

START_TEST(a_message_to_oneself_runs_in_the_next_turn_which_does_not_sleep)
{
	struct rt_post message = {.run = post_again};

	rt_loop_post(loop, &message);
	for (unsigned turn = 1; turn <= 5; turn++) {
		rt_loop_turn(loop, -1);
		ck_assert_uint_eq(received, turn);
	}
}
END_TEST

static void post_four_to_oneself(struct rt_post *self)
{
	static struct numbered_post messages[4];

	(void)self;
	for (unsigned i = 0; i < 4; i++) {
		messages[i] = (struct numbered_post){{.run = receive}, 0, i};
		rt_loop_post(loop, &messages[i].post);
	}
}

START_TEST(messages_to_oneself_run_in_order)
{
	struct rt_post message = {.run = post_four_to_oneself};

	rt_loop_post(loop, &message);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(received, 0);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(received, 4);
	ck_assert(in_order);
}
END_TEST

static void receive_and_free(struct rt_post *self)
{
	receive(self);
	free(RT_CONTAINER_OF(self, struct numbered_post, post));
	if (received == SENDERS * MESSAGES)
		rt_loop_stop(loop);
}

static void *send_many(void *sender)
{
	for (unsigned number = 0; number < MESSAGES; number++) {
		struct numbered_post *message = malloc(sizeof(*message));

		*message = (struct numbered_post){{.run = receive_and_free}, (unsigned)(uintptr_t)sender, number};
		rt_loop_post(loop, &message->post);
	}
	return NULL;
}

START_TEST(all_messages_of_all_senders_arrive_in_their_order)
{
	pthread_t threads[SENDERS];

	for (uintptr_t i = 0; i < SENDERS; i++)
		pthread_create(&threads[i], NULL, send_many, (void *)i);
	rt_loop_run(loop);
	for (unsigned i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(received, SENDERS * MESSAGES);
	ck_assert(in_order);
}
END_TEST

/* Two loops that sleep after nearly every message: a wake-up that gets lost hangs the test. */
struct ball {
	struct rt_post post;
	struct rt_loop *other;
	unsigned throws;
};

static void throw_back(struct rt_post *self)
{
	struct ball *ball = RT_CONTAINER_OF(self, struct ball, post);
	struct rt_loop *target = ball->other;

	if (++ball->throws > ROUNDTRIPS) {
		rt_loop_stop(target);
		rt_loop_stop(rt_loop_current());
		return;
	}
	ball->other = rt_loop_current();
	rt_loop_post(target, self);
}

static void *run_loop(void *other)
{
	rt_loop_run(other);
	return NULL;
}

START_TEST(no_wake_up_is_lost)
{
	struct ball ball = {.post.run = throw_back};
	struct rt_loop *other;
	pthread_t thread;

	ck_assert_int_eq(rt_loop_create(&other, "other", 0), 0);
	pthread_create(&thread, NULL, run_loop, other);
	ball.other = other;
	rt_loop_post(loop, &ball.post);
	rt_loop_run(loop);
	pthread_join(thread, NULL);
	rt_loop_destroy(other);
	ck_assert_uint_eq(ball.throws, ROUNDTRIPS + 1);
}
END_TEST

START_TEST(what_was_posted_before_the_stop_runs)
{
	struct numbered_post message = {.post.run = receive};

	rt_loop_stop(loop);
	rt_loop_post(loop, &message.post);
	rt_loop_run(loop);
	ck_assert_uint_eq(received, 1);
}
END_TEST

Suite *posts_suite(void)
{
	Suite *suite = suite_create("posts");
	TCase *tests = tcase_create("posts");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_message_to_a_loop_that_is_awake_costs_no_system_call);
	tcase_add_test(tests, a_message_wakes_a_loop_that_sleeps);
	tcase_add_test(tests, a_message_to_oneself_runs_in_the_next_turn_which_does_not_sleep);
	tcase_add_test(tests, messages_to_oneself_run_in_order);
	tcase_add_test(tests, all_messages_of_all_senders_arrive_in_their_order);
	tcase_add_test(tests, no_wake_up_is_lost);
	tcase_add_test(tests, what_was_posted_before_the_stop_runs);
	suite_add_tcase(suite, tests);
	return suite;
}
