/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "rt/log.h"
#include "rt/worker.h"

#define WORKERS	      3u
#define ENOUGH_MEMORY ((size_t)WORKERS * RT_MEMORY_MINIMUM_BYTES)

/* What a worker says about itself. */
struct report {
	struct rt_post post;
	struct rt_worker *worker;
	struct rt_loop *loop;
	char name[16];
	sigset_t blocked;
	int take_status;
	sem_t done;
};

static void fill_report(struct rt_post *self)
{
	struct report *report = RT_CONTAINER_OF(self, struct report, post);
	struct rt_buffer buffer = {0};

	report->worker = rt_worker_current();
	report->loop = rt_loop_current();
	pthread_getname_np(pthread_self(), report->name, sizeof(report->name));
	pthread_sigmask(SIG_SETMASK, NULL, &report->blocked);
	report->take_status = rt_memory_take(report->worker->memory, RT_MEMORY_READ, 100000, &buffer);
	rt_memory_give(report->worker->memory, &buffer);
	sem_post(&report->done);
}

static void ask(unsigned index, struct report *report)
{
	report->post.run = fill_report;
	sem_init(&report->done, 0, 0);
	rt_loop_post(rt_worker_get(index)->loop, &report->post);
	while (sem_wait(&report->done) < 0)
		ck_assert_int_eq(errno, EINTR);
	sem_destroy(&report->done);
}

static void start(unsigned count, size_t memory_bytes)
{
	struct rt_workers_options options = {.count = count, .memory_limit_bytes = memory_bytes};

	ck_assert_int_eq(rt_workers_start(&options), 0);
}

START_TEST(every_worker_is_a_named_thread_with_a_loop_and_memory)
{
	start(WORKERS, ENOUGH_MEMORY);
	ck_assert_uint_eq(rt_workers_count(), WORKERS);
	ck_assert_ptr_null(rt_worker_current());
	for (unsigned i = 0; i < WORKERS; i++) {
		struct report report;
		char expected[16];

		ask(i, &report);
		snprintf(expected, sizeof(expected), "tgtkit-w%u", i);
		ck_assert_str_eq(report.name, expected);
		ck_assert_ptr_eq(report.worker, rt_worker_get(i));
		ck_assert_uint_eq(report.worker->index, i);
		ck_assert_ptr_eq(report.loop, report.worker->loop);
		ck_assert_int_eq(report.take_status, 0);
	}
	rt_workers_stop();
	ck_assert_uint_eq(rt_workers_count(), 0);
}
END_TEST

START_TEST(workers_take_no_signals_and_the_starter_keeps_its_mask)
{
	sigset_t before, after;
	struct report report;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	start(1, ENOUGH_MEMORY);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	ask(0, &report);
	ck_assert_int_eq(sigismember(&report.blocked, SIGTERM), 1);
	ck_assert_int_eq(sigismember(&report.blocked, SIGHUP), 1);
	ck_assert_int_eq(sigismember(&report.blocked, SIGUSR1), 1);
	ck_assert_int_eq(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
	rt_workers_stop();
}
END_TEST

#define MESSAGES 1000u

struct journey {
	struct rt_workers_tour tour;
	_Atomic unsigned run;
	unsigned run_before_it_came_home;
	struct rt_loop *home;
	sem_t done;
};

static struct journey journey;

static void count_message(struct rt_post *self)
{
	(void)self;
	atomic_fetch_add(&journey.run, 1);
}

static void came_home(struct rt_workers_tour *tour)
{
	struct journey *self = RT_CONTAINER_OF(tour, struct journey, tour);

	self->run_before_it_came_home = atomic_load(&self->run);
	self->home = rt_loop_current();
	sem_post(&self->done);
}

START_TEST(a_tour_comes_home_after_what_was_posted_before_it)
{
	static struct rt_post messages[WORKERS * MESSAGES];

	start(WORKERS, ENOUGH_MEMORY);
	sem_init(&journey.done, 0, 0);
	for (unsigned i = 0; i < WORKERS * MESSAGES; i++) {
		messages[i].run = count_message;
		rt_loop_post(rt_worker_get(i % WORKERS)->loop, &messages[i]);
	}
	journey.tour = (struct rt_workers_tour){.finished = came_home, .home = rt_worker_get(1)->loop};
	rt_workers_tour_start(&journey.tour);
	while (sem_wait(&journey.done) < 0)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_uint_eq(journey.run_before_it_came_home, WORKERS * MESSAGES);
	ck_assert_ptr_eq(journey.home, rt_worker_get(1)->loop);
	rt_workers_stop();
	sem_destroy(&journey.done);
}
END_TEST

START_TEST(workers_can_be_started_again)
{
	for (unsigned i = 0; i < 3; i++) {
		start(WORKERS, ENOUGH_MEMORY);
		rt_workers_stop();
	}
}
END_TEST

START_TEST(no_count_means_one_per_cpu_as_far_as_the_memory_goes)
{
	cpu_set_t cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	start(0, (size_t)RT_MAXIMUM_WORKERS * RT_MEMORY_MINIMUM_BYTES);
	ck_assert_uint_eq(rt_workers_count(), (unsigned)CPU_COUNT(&cpus));
	rt_workers_stop();
	start(0, RT_MEMORY_MINIMUM_BYTES);
	ck_assert_uint_eq(rt_workers_count(), 1);
	rt_workers_stop();
}
END_TEST

START_TEST(too_many_workers_or_too_little_memory_is_refused)
{
	struct rt_workers_options options = {.count = RT_MAXIMUM_WORKERS + 1, .memory_limit_bytes = (size_t)1 << 40};

	ck_assert_int_eq(rt_workers_start(&options), -EINVAL);
	options = (struct rt_workers_options){.count = 2, .memory_limit_bytes = 2 * RT_MEMORY_MINIMUM_BYTES - 2};
	ck_assert_int_eq(rt_workers_start(&options), -EINVAL);
	options = (struct rt_workers_options){.count = 0, .memory_limit_bytes = 0};
	ck_assert_int_eq(rt_workers_start(&options), -EINVAL);
	ck_assert_uint_eq(rt_workers_count(), 0);
}
END_TEST

static void count_run(struct rt_deferred *self)
{
	(void)self;
	ck_assert_ptr_nonnull(rt_worker_current());
}

START_TEST(the_calling_thread_can_be_a_worker)
{
	struct rt_deferred deferred = {.run = count_run};
	struct rt_worker *worker;

	ck_assert_int_eq(rt_workers_adopt_current(&worker, RT_MEMORY_MINIMUM_BYTES), 0);
	ck_assert_uint_eq(rt_workers_count(), 1);
	ck_assert_uint_eq(worker->index, 0);
	ck_assert_ptr_eq(rt_worker_current(), worker);
	ck_assert_ptr_eq(rt_worker_get(0), worker);
	ck_assert_ptr_eq(rt_loop_current(), worker->loop);
	rt_loop_defer(worker->loop, RT_PHASE_SEND, &deferred);
	rt_loop_turn(worker->loop, -1);
	ck_assert(!deferred.scheduled);
	ck_assert_ptr_eq(rt_loop_current(), worker->loop);
	rt_workers_release_current();
	ck_assert_ptr_null(rt_worker_current());
	ck_assert_ptr_null(rt_loop_current());
	ck_assert_uint_eq(rt_workers_count(), 0);
}
END_TEST

Suite *worker_suite(void)
{
	Suite *suite = suite_create("worker");
	TCase *tests = tcase_create("worker");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, every_worker_is_a_named_thread_with_a_loop_and_memory);
	tcase_add_test(tests, workers_take_no_signals_and_the_starter_keeps_its_mask);
	tcase_add_test(tests, a_tour_comes_home_after_what_was_posted_before_it);
	tcase_add_test(tests, workers_can_be_started_again);
	tcase_add_test(tests, no_count_means_one_per_cpu_as_far_as_the_memory_goes);
	tcase_add_test(tests, too_many_workers_or_too_little_memory_is_refused);
	tcase_add_test(tests, the_calling_thread_can_be_a_worker);
	suite_add_tcase(suite, tests);
	return suite;
}
