/* SPDX-License-Identifier: Apache-2.0
 *
 * The services that a plugin gets, used as a plugin would.
 */
#include "store/host.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include "store/pool.h"
#include "store/worker.h"
#include "unit/runner.h"
#include "unit/store/rig.h"

static const struct tgtkit_host *host;
static struct tgtkit_worker *worker;
static atomic_uint calls;
static pthread_t caller;

static void setup(void)
{
	rig_adopt();
	host = store_host();
	worker = store_worker_current();
	calls = 0;
}

static void teardown(void)
{
	rig_release();
}

static bool was_called(void *context)
{
	return calls >= *(unsigned *)context;
}

START_TEST(the_table_says_its_size_and_version)
{
	ck_assert_uint_eq(host->size, sizeof(*host));
	ck_assert_uint_eq(host->abi_major, TGTKIT_ABI_MAJOR);
	ck_assert_uint_eq(host->abi_minor, TGTKIT_ABI_MINOR);
	ck_assert_ptr_null(host->extension("no-such-extension"));
}
END_TEST

START_TEST(memory_is_aligned_as_asked)
{
	for (size_t alignment = 1; alignment <= 1u << 16; alignment *= 2) {
		void *memory = host->aligned_alloc(alignment, 100);

		ck_assert_ptr_nonnull(memory);
		ck_assert_uint_eq((uintptr_t)memory % alignment, 0);
		host->aligned_free(memory);
	}
	host->aligned_free(NULL);
}
END_TEST

static void read_one(void *context, int fd, uint32_t events)
{
	char byte;

	ck_assert_ptr_eq(context, &calls);
	ck_assert_uint_ne(events & TGTKIT_FD_READ, 0);
	ck_assert_int_eq(read(fd, &byte, 1), 1);
	calls++;
}

START_TEST(a_watched_descriptor_is_reported_until_it_is_removed)
{
	struct tgtkit_watch *watch;
	unsigned one = 1;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(host->watch_add(worker, ends[0], TGTKIT_FD_READ, read_one, &calls, &watch), 0);
	ck_assert_int_eq(write(ends[1], "ab", 2), 2);
	rig_turn_until(was_called, &one);
	ck_assert_int_eq(host->watch_modify(watch, 0), 0);
	one = calls;
	rig_turn();
	ck_assert_uint_eq(calls, one);
	host->watch_remove(watch);
	rig_turn();
	ck_assert_uint_eq(calls, one);
	ck_assert_int_eq(host->watch_add(worker, -1, TGTKIT_FD_READ, read_one, &calls, &watch), -EBADF);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

static void count_expiry(void *context)
{
	ck_assert_ptr_eq(context, &calls);
	calls++;
}

START_TEST(a_timer_expires_once_for_each_arming)
{
	struct tgtkit_timer *timer;
	unsigned one = 1, two = 2;

	ck_assert_int_eq(host->timer_create(worker, count_expiry, &calls, &timer), 0);
	host->timer_arm(timer, 1000);
	rig_turn_until(was_called, &one);
	host->timer_arm(timer, 3600ull * 1000 * 1000);
	host->timer_arm(timer, 0);
	rig_turn_until(was_called, &two);
	host->timer_arm(timer, 0);
	host->timer_disarm(timer);
	rig_turn();
	rig_turn();
	ck_assert_uint_eq(calls, 2);
	host->timer_arm(timer, 0);
	host->timer_destroy(timer);
	rig_turn();
	ck_assert_uint_eq(calls, 2);
}
END_TEST

static void count_work(struct tgtkit_work *work)
{
	(void)work;
	caller = pthread_self();
	calls++;
}

START_TEST(posted_work_runs_on_the_worker_and_offloaded_work_elsewhere)
{
	struct tgtkit_work posted = {.run = count_work}, offloaded = {.run = count_work};
	unsigned one = 1;

	host->post(worker, &posted);
	ck_assert_uint_eq(calls, 0);
	rig_turn_until(was_called, &one);
	ck_assert(pthread_equal(caller, pthread_self()));
	host->offload(NULL, &offloaded);
	ck_assert_int_eq(store_pool_stop(20000), 0);
	ck_assert_uint_eq(calls, 2);
	ck_assert(!pthread_equal(caller, pthread_self()));
}
END_TEST

Suite *host_suite(void)
{
	Suite *suite = suite_create("host");
	TCase *tests = tcase_create("services");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_table_says_its_size_and_version);
	tcase_add_test(tests, memory_is_aligned_as_asked);
	tcase_add_test(tests, a_watched_descriptor_is_reported_until_it_is_removed);
	tcase_add_test(tests, a_timer_expires_once_for_each_arming);
	tcase_add_test(tests, posted_work_runs_on_the_worker_and_offloaded_work_elsewhere);
	suite_add_tcase(suite, tests);
	return suite;
}
