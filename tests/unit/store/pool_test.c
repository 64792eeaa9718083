/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pool.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "rt/list.h"
#include "unit/runner.h"

#define JOBS 100u

static struct store_job jobs[JOBS];
static atomic_uint ran;
static sem_t gate, entered;

static void count(struct store_job *self)
{
	(void)self;
	ran++;
}

static void wait_at_gate(struct store_job *self)
{
	(void)self;
	sem_post(&entered);
	while (sem_wait(&gate) != 0)
		;
	ran++;
}

static void setup(void)
{
	memset(jobs, 0, sizeof(jobs));
	ran = 0;
	sem_init(&gate, 0, 0);
	sem_init(&entered, 0, 0);
}

START_TEST(every_job_runs_once)
{
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i].run = count;
		if (i % 2)
			store_pool_submit_control(&jobs[i]);
		else
			store_pool_submit_io(&jobs[i]);
	}
	ck_assert_int_eq(store_pool_stop(20000), 0);
	ck_assert_uint_eq(ran, JOBS);
}
END_TEST

START_TEST(a_chain_runs_whole)
{
	for (unsigned i = 0; i < JOBS; i++)
		jobs[i] = (struct store_job){.run = count, .next = i + 1 < JOBS ? &jobs[i + 1] : NULL};
	store_pool_submit_io_chain(&jobs[0]);
	ck_assert_int_eq(store_pool_stop(20000), 0);
	ck_assert_uint_eq(ran, JOBS);
}
END_TEST

START_TEST(jobs_that_hang_do_not_hold_up_others)
{
	for (unsigned i = 0; i < 20; i++) {
		jobs[i].run = wait_at_gate;
		store_pool_submit_control(&jobs[i]);
	}
	/* All twenty are in their calls at the same time. */
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(sem_wait(&entered), 0);
	jobs[20].run = wait_at_gate;
	store_pool_submit_io(&jobs[20]);
	ck_assert_int_eq(sem_wait(&entered), 0);
	for (unsigned i = 0; i < 21; i++)
		sem_post(&gate);
	ck_assert_int_eq(store_pool_stop(20000), 0);
	ck_assert_uint_eq(ran, 21);
}
END_TEST

START_TEST(a_stop_gives_up_on_a_stuck_job_and_can_be_repeated)
{
	jobs[0].run = wait_at_gate;
	store_pool_submit_io(&jobs[0]);
	ck_assert_int_eq(sem_wait(&entered), 0);
	ck_assert_int_eq(store_pool_stop(1), -ETIMEDOUT);
	sem_post(&gate);
	ck_assert_int_eq(store_pool_stop(20000), 0);
	ck_assert_int_eq(store_pool_stop(0), 0);
}
END_TEST

START_TEST(a_stopped_pool_takes_jobs_again)
{
	ck_assert_int_eq(store_pool_stop(1000), 0);
	jobs[0].run = count;
	store_pool_submit_io(&jobs[0]);
	ck_assert_int_eq(store_pool_stop(20000), 0);
	ck_assert_uint_eq(ran, 1);
}
END_TEST

Suite *pool_suite(void)
{
	Suite *suite = suite_create("pool");
	TCase *tests = tcase_create("pool");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, every_job_runs_once);
	tcase_add_test(tests, a_chain_runs_whole);
	tcase_add_test(tests, jobs_that_hang_do_not_hold_up_others);
	tcase_add_test(tests, a_stop_gives_up_on_a_stuck_job_and_can_be_repeated);
	tcase_add_test(tests, a_stopped_pool_takes_jobs_again);
	suite_add_tcase(suite, tests);
	return suite;
}
