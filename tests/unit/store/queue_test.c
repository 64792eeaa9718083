/* SPDX-License-Identifier: Apache-2.0 */
#include "store/queue.h"

#include <errno.h>

#include "unit/runner.h"
#include "unit/store/rig.h"

#define SIZE_BYTES (1u << 20)

static unsigned char memory[16][4096];
static struct rig_request requests[16];

static void setup(void)
{
	rig_reset(SIZE_BYTES);
	rig_adopt();
}

static void teardown(void)
{
	if (rig_store != NULL)
		rig_close();
	rig_release();
	rig_free();
}

static void open_with(enum rig_mode mode)
{
	rig.mode = mode;
	rig_open();
}

static void submit_reads(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		rig_submit(&requests[i], TGTKIT_READ, 0, i * 4096, memory[i], 4096);
}

static bool all_done(void *context)
{
	unsigned count = *(unsigned *)context;

	while (count > 0) {
		if (!rig_is_done(&requests[--count]))
			return false;
	}
	return true;
}

/* ---- Batches -------------------------------------------------------------------------------------------------------
 */

START_TEST(a_batch_is_committed_once)
{
	unsigned count = 10;

	open_with(RIG_AT_COMMIT);
	submit_reads(count);
	rig_turn_until(all_done, &count);
	ck_assert_uint_eq(rig.commits, 1);
	ck_assert_uint_eq(rig.reads, 10);
}
END_TEST

START_TEST(a_plugin_with_worker_contexts_gets_one_per_worker)
{
	rig.worker_contexts = true;
	open_with(RIG_AT_COMMIT);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 4096), 0);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 4096), 0);
	ck_assert_uint_eq(rig.worker_opens, 1);
	ck_assert_uint_eq(rig.queue_opens, 1);
	rig_close();
	ck_assert_uint_eq(rig.worker_closes, 1);
	ck_assert_uint_eq(rig.queue_closes, 1);
}
END_TEST

START_TEST(a_polling_plugin_is_called_only_while_it_has_requests)
{
	unsigned polled;

	rig.polls = true;
	open_with(RIG_AT_COMMIT);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 4096), 0);
	polled = rig.polled;
	ck_assert_uint_gt(polled, 0);
	rig_turn();
	rig_turn();
	ck_assert_uint_eq(rig.polled, polled);
}
END_TEST

START_TEST(requests_that_complete_inside_submit_are_told_in_order)
{
	unsigned count = 8;

	open_with(RIG_INLINE);
	submit_reads(count);
	rig_turn_until(all_done, &count);
	for (unsigned i = 0; i < count; i++)
		ck_assert_uint_eq(requests[i].order, i + 1);
}
END_TEST

START_TEST(completions_of_another_thread_arrive_on_the_worker)
{
	unsigned count = 16;

	open_with(RIG_THREAD);
	submit_reads(count);
	rig_turn_until(all_done, &count);
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(requests[i].request.status, 0);
}
END_TEST

START_TEST(the_queue_is_told_of_its_workers_memory)
{
	open_with(RIG_INLINE);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 512), 0);
	ck_assert_uint_eq(rig.region_count, 1);
	ck_assert_uint_eq(rig.filled_regions, 1);
}
END_TEST

START_TEST(a_queue_that_cannot_be_opened_fails_the_request_and_is_tried_again)
{
	rig.open_queue_status = -EMFILE;
	open_with(RIG_INLINE);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 512), -EMFILE);
	rig.open_queue_status = 0;
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 512), 0);
}
END_TEST

/* ---- AGAIN ---------------------------------------------------------------------------------------------------------
 */

START_TEST(after_again_requests_wait_in_order_until_the_queue_is_ready)
{
	unsigned count = 5;

	rig.depth = 2;
	open_with(RIG_HOLD);
	submit_reads(count);
	ck_assert_uint_eq(rig.held_count, 2);
	/* Asked once: not again before the plugin said so. */
	ck_assert_uint_eq(rig.refused, 1);
	rig_turn();
	ck_assert_uint_eq(rig.refused, 1);
	for (unsigned i = 0; i < count; i++) {
		if (rig.held_count == 0)
			rig_turn();
		rig_complete_held(0, 0);
	}
	rig_turn_until(all_done, &count);
	for (unsigned i = 0; i < count; i++)
		ck_assert_uint_eq(requests[i].order, i + 1);
	ck_assert_uint_eq(rig.refused, 2);
}
END_TEST

START_TEST(a_request_that_waits_after_again_can_be_cancelled)
{
	unsigned count = 3;

	rig.depth = 1;
	open_with(RIG_HOLD);
	submit_reads(count);
	store_cancel(&requests[1].request);
	rig_turn_until(rig_is_done, &requests[1]);
	ck_assert_int_eq(requests[1].request.status, -ECANCELED);
	ck_assert_uint_eq(rig.cancels, 0);
	rig_complete_held(0, 0);
	rig_turn();
	rig_complete_held(0, 0);
	rig_turn_until(all_done, &count);
	ck_assert_uint_eq(rig.reads, 2);
}
END_TEST

/* ---- Cancelling ----------------------------------------------------------------------------------------------------
 */

START_TEST(the_plugin_is_asked_to_cancel_what_it_has)
{
	open_with(RIG_HOLD);
	submit_reads(2);
	store_cancel(&requests[0].request);
	ck_assert(!rig_is_done(&requests[0]));
	rig_turn_until(rig_is_done, &requests[0]);
	ck_assert_int_eq(requests[0].request.status, -ECANCELED);
	ck_assert(!rig_is_done(&requests[1]));
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[1]);
	ck_assert_int_eq(requests[1].request.status, 0);
}
END_TEST

START_TEST(cancelling_what_has_ended_does_nothing)
{
	open_with(RIG_INLINE);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 512), 0);
	rig_submit(&requests[0], 99, 0, 0, NULL, 0);
	store_cancel(&requests[0].request);
	rig_turn_until(rig_is_done, &requests[0]);
	ck_assert_int_eq(requests[0].request.status, -EOPNOTSUPP);
	ck_assert_uint_eq(rig.cancels, 0);
}
END_TEST

START_TEST(a_split_request_is_cancelled_in_all_its_parts)
{
	rig.capabilities.maximum_transfer_bytes = 512;
	open_with(RIG_HOLD);
	submit_reads(1);
	ck_assert_uint_eq(rig.held_count, 8);
	store_cancel(&requests[0].request);
	rig_turn_until(rig_is_done, &requests[0]);
	ck_assert_int_eq(requests[0].request.status, -ECANCELED);
	ck_assert_uint_eq(rig.held_count, 0);
}
END_TEST

START_TEST(a_write_that_waits_for_its_range_can_be_cancelled)
{
	rig.capabilities.offset_alignment_bytes = 4096;
	open_with(RIG_HOLD);
	rig_submit(&requests[0], TGTKIT_WRITE, 0, 0, memory[0], 4096);
	rig_submit(&requests[1], TGTKIT_WRITE, 0, 512, memory[1], 512);
	rig_submit(&requests[2], TGTKIT_WRITE, 0, 1024, memory[2], 512);
	ck_assert_uint_eq(rig.held_count, 1);
	store_cancel(&requests[1].request);
	rig_turn_until(rig_is_done, &requests[1]);
	ck_assert_int_eq(requests[1].request.status, -ECANCELED);
	rig.mode = RIG_INLINE;
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[2]);
	ck_assert_int_eq(requests[2].request.status, 0);
}
END_TEST

/* What holds all of the bounce class. */
static struct rt_buffer hogs[1024];

static unsigned hog_bounce_memory(void)
{
	unsigned count = 0;

	while (rt_memory_take(rig_worker->memory, RT_MEMORY_BOUNCE, RT_MEMORY_PAGE_BYTES, &hogs[count]) == 0)
		count++;
	return count;
}

START_TEST(a_request_waits_for_bounce_memory_and_can_be_cancelled)
{
	unsigned count;

	rig.capabilities.memory_alignment_bytes = 4096;
	open_with(RIG_INLINE);
	count = hog_bounce_memory();
	rig_submit(&requests[0], TGTKIT_READ, 0, 0, memory[0] + 1, 512);
	rig_submit(&requests[1], TGTKIT_READ, 0, 4096, memory[1] + 1, 512);
	rig_turn();
	ck_assert_uint_eq(rig.reads, 0);
	store_cancel(&requests[0].request);
	rig_turn_until(rig_is_done, &requests[0]);
	ck_assert_int_eq(requests[0].request.status, -ECANCELED);
	rt_memory_give(rig_worker->memory, &hogs[0]);
	rig_turn_until(rig_is_done, &requests[1]);
	ck_assert_int_eq(requests[1].request.status, 0);
	while (count > 0)
		rt_memory_give(rig_worker->memory, &hogs[--count]);
}
END_TEST

/* ---- Answers without the plugin ------------------------------------------------------------------------------------
 */

START_TEST(a_read_only_store_is_never_asked_to_change)
{
	rig.capabilities.flags |= TGTKIT_READ_ONLY | TGTKIT_CAN_DISCARD;
	open_with(RIG_INLINE);
	ck_assert_int_eq(rig_do(TGTKIT_WRITE, 0, 0, memory[0], 512), -EROFS);
	ck_assert_int_eq(rig_do(TGTKIT_ZERO, 0, 0, NULL, 512), -EROFS);
	ck_assert_int_eq(rig_do(TGTKIT_DISCARD, 0, 0, NULL, 512), -EROFS);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory[0], 512), 0);
	ck_assert_uint_eq(rig.writes + rig.zeros + rig.discards, 0);
}
END_TEST

START_TEST(what_the_plugin_cannot_do_and_nothing_replaces_is_refused)
{
	open_with(RIG_INLINE);
	ck_assert_int_eq(rig_do(TGTKIT_DISCARD, 0, 0, NULL, 512), -EOPNOTSUPP);
	ck_assert_int_eq(rig_do(TGTKIT_COPY, 0, 0, NULL, 512), -EOPNOTSUPP);
	ck_assert_int_eq(rig_do(0, 0, 0, NULL, 512), -EOPNOTSUPP);
}
END_TEST

START_TEST(nothing_to_do_is_done_at_once)
{
	open_with(RIG_INLINE);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, NULL, 0), 0);
	ck_assert_int_eq(rig_do(TGTKIT_WRITE, 0, 0, NULL, 0), 0);
	ck_assert_int_eq(rig_do(TGTKIT_ZERO, 0, 0, NULL, 0), 0);
	ck_assert_uint_eq(rig.queue_opens, 0);
}
END_TEST

START_TEST(an_error_of_one_part_is_the_requests_error)
{
	rig.capabilities.maximum_transfer_bytes = 512;
	open_with(RIG_HOLD);
	rig_submit(&requests[0], TGTKIT_WRITE, 0, 0, memory[0], 1536);
	ck_assert_uint_eq(rig.held_count, 3);
	rig_complete_held(1, -ENOSPC);
	rig_complete_held(0, 0);
	rig_turn();
	ck_assert(!rig_is_done(&requests[0]));
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[0]);
	ck_assert_int_eq(requests[0].request.status, -ENOSPC);
}
END_TEST

START_TEST(a_positive_status_is_an_error)
{
	open_with(RIG_HOLD);
	submit_reads(1);
	rig_complete_held(0, 1);
	rig_turn_until(rig_is_done, &requests[0]);
	ck_assert_int_eq(requests[0].request.status, -EIO);
}
END_TEST

static void add_batches(Suite *suite)
{
	TCase *tests = tcase_create("batches");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_batch_is_committed_once);
	tcase_add_test(tests, a_plugin_with_worker_contexts_gets_one_per_worker);
	tcase_add_test(tests, a_polling_plugin_is_called_only_while_it_has_requests);
	tcase_add_test(tests, requests_that_complete_inside_submit_are_told_in_order);
	tcase_add_test(tests, completions_of_another_thread_arrive_on_the_worker);
	tcase_add_test(tests, the_queue_is_told_of_its_workers_memory);
	tcase_add_test(tests, a_queue_that_cannot_be_opened_fails_the_request_and_is_tried_again);
	tcase_add_test(tests, after_again_requests_wait_in_order_until_the_queue_is_ready);
	suite_add_tcase(suite, tests);
}

static void add_cancels(Suite *suite)
{
	TCase *tests = tcase_create("cancel");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_request_that_waits_after_again_can_be_cancelled);
	tcase_add_test(tests, the_plugin_is_asked_to_cancel_what_it_has);
	tcase_add_test(tests, cancelling_what_has_ended_does_nothing);
	tcase_add_test(tests, a_split_request_is_cancelled_in_all_its_parts);
	tcase_add_test(tests, a_write_that_waits_for_its_range_can_be_cancelled);
	tcase_add_test(tests, a_request_waits_for_bounce_memory_and_can_be_cancelled);
	suite_add_tcase(suite, tests);
}

Suite *queue_suite(void)
{
	Suite *suite = suite_create("queue");
	TCase *tests = tcase_create("answers");

	add_batches(suite);
	add_cancels(suite);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_read_only_store_is_never_asked_to_change);
	tcase_add_test(tests, what_the_plugin_cannot_do_and_nothing_replaces_is_refused);
	tcase_add_test(tests, nothing_to_do_is_done_at_once);
	tcase_add_test(tests, an_error_of_one_part_is_the_requests_error);
	tcase_add_test(tests, a_positive_status_is_an_error);
	suite_add_tcase(suite, tests);
	return suite;
}
