/* SPDX-License-Identifier: Apache-2.0
 *
 * Several workers on one store: with a queue each, and with one home worker.
 */
#include <errno.h>

#include "unit/runner.h"
#include "unit/store/rig.h"

#define SIZE_BYTES (1u << 20)
#define BLOCKS	   256u

static unsigned char memory[BLOCKS][RIG_BLOCK];
static struct rig_request requests[BLOCKS];

static void setup(void)
{
	static const struct rt_workers_options options = {.count = 2, .memory_limit_bytes = 64u << 20};

	rig_reset(SIZE_BYTES);
	rig.mode = RIG_INLINE;
	ck_assert_int_eq(rt_workers_start(&options), 0);
	for (unsigned i = 0; i < BLOCKS; i++)
		memset(memory[i], (int)i + 1, RIG_BLOCK);
}

static void teardown(void)
{
	rig_close();
	rt_workers_stop();
	rig_free();
}

static void write_block(void *context)
{
	unsigned i = (unsigned)((struct rig_request *)context - requests);

	rig_submit(context, TGTKIT_WRITE, 0, i * RIG_BLOCK, memory[i], RIG_BLOCK);
}

static void cancel(void *context)
{
	store_cancel(&((struct rig_request *)context)->request);
}

static void write_blocks_on_both(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		rig_run_on(i % 2, write_block, &requests[i]);
	for (unsigned i = 0; i < count; i++) {
		rig_wait_done(&requests[i]);
		ck_assert_int_eq(requests[i].request.status, 0);
		ck_assert_uint_eq(requests[i].done_on_worker, i % 2);
	}
	ck_assert(memcmp(rig.data, memory, count * RIG_BLOCK) == 0);
}

START_TEST(each_worker_has_a_queue_and_sees_its_own_memory)
{
	rig_open();
	write_blocks_on_both(8);
	ck_assert_uint_eq(rig.queue_opens, 2);
	ck_assert_uint_eq(rig.region_count, 2);
	ck_assert_uint_eq(rig.filled_regions, 1);
}
END_TEST

START_TEST(a_store_with_one_queue_has_a_home_worker_that_serves_the_others)
{
	rig.capabilities.max_queues = 1;
	rig_open();
	write_blocks_on_both(BLOCKS);
	ck_assert_uint_eq(rig.queue_opens, 1);
	ck_assert_uint_eq(rig.region_count, 2);
	ck_assert_uint_eq(rig.filled_regions, 2);
}
END_TEST

START_TEST(the_home_worker_emulates_for_the_others_too)
{
	rig.capabilities.max_queues = 1;
	rig.capabilities.offset_alignment_bytes = 4096;
	rig.capabilities.memory_alignment_bytes = 4096;
	rig.mode = RIG_AT_COMMIT;
	rig_open();
	write_blocks_on_both(BLOCKS);
}
END_TEST

START_TEST(a_request_at_the_home_worker_can_be_cancelled_from_another)
{
	rig.capabilities.max_queues = 1;
	rig.mode = RIG_HOLD;
	rig_open();
	rig_run_on(0, write_block, &requests[0]);
	rig_run_on(1, write_block, &requests[1]);
	rig_run_on(1, cancel, &requests[1]);
	rig_wait_done(&requests[1]);
	ck_assert_int_eq(requests[1].request.status, -ECANCELED);
	ck_assert_uint_eq(requests[1].done_on_worker, 1);
	rig_run_on(0, cancel, &requests[0]);
	rig_wait_done(&requests[0]);
	ck_assert_int_eq(requests[0].request.status, -ECANCELED);
}
END_TEST

/* Runs both on the same worker in one message: the cancel always crosses the completion. */
static void write_and_cancel(void *context)
{
	write_block(context);
	cancel(context);
	cancel(context);
}

START_TEST(a_cancel_that_crosses_the_completion_is_harmless)
{
	rig.capabilities.max_queues = 1;
	rig_open();
	rig_run_on(0, write_block, &requests[0]);
	for (unsigned i = 1; i < BLOCKS; i++)
		rig_run_on(1, write_and_cancel, &requests[i]);
	for (unsigned i = 0; i < BLOCKS; i++)
		rig_wait_done(&requests[i]);
}
END_TEST

START_TEST(workers_that_change_parts_of_one_unit_do_not_undo_each_other)
{
	rig.capabilities.offset_alignment_bytes = 4096;
	rig.mode = RIG_THREAD;
	rig_open();
	write_blocks_on_both(BLOCKS);
}
END_TEST

START_TEST(blocking_workers_that_change_parts_of_one_unit_do_not_undo_each_other)
{
	rig.capabilities.offset_alignment_bytes = 4096;
	rig.blocking = true;
	rig_open();
	write_blocks_on_both(BLOCKS);
}
END_TEST

static void flush(void *context)
{
	rig_submit(context, TGTKIT_FLUSH, 0, 0, NULL, 0);
}

START_TEST(flushes_of_both_workers_share)
{
	rig.blocking = true;
	rig_open();
	for (unsigned i = 0; i < BLOCKS; i++)
		rig_run_on(i % 2, flush, &requests[i]);
	for (unsigned i = 0; i < BLOCKS; i++) {
		rig_wait_done(&requests[i]);
		ck_assert_int_eq(requests[i].request.status, 0);
		ck_assert_uint_eq(requests[i].done_on_worker, i % 2);
	}
	ck_assert_uint_ge(rig.flushes, 1);
	ck_assert_uint_le(rig.flushes, BLOCKS);
}
END_TEST

Suite *home_suite(void)
{
	Suite *suite = suite_create("home");
	TCase *tests = tcase_create("workers");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, each_worker_has_a_queue_and_sees_its_own_memory);
	tcase_add_test(tests, a_store_with_one_queue_has_a_home_worker_that_serves_the_others);
	tcase_add_test(tests, the_home_worker_emulates_for_the_others_too);
	tcase_add_test(tests, a_request_at_the_home_worker_can_be_cancelled_from_another);
	tcase_add_test(tests, a_cancel_that_crosses_the_completion_is_harmless);
	tcase_add_test(tests, workers_that_change_parts_of_one_unit_do_not_undo_each_other);
	tcase_add_test(tests, blocking_workers_that_change_parts_of_one_unit_do_not_undo_each_other);
	tcase_add_test(tests, flushes_of_both_workers_share);
	suite_add_tcase(suite, tests);
	return suite;
}
