/* SPDX-License-Identifier: Apache-2.0 */
#include "store/blocking.h"

#include <errno.h>
#include <sched.h>

#include "unit/runner.h"
#include "unit/store/rig.h"

#define SIZE_BYTES (1u << 20)
#define COUNT	   40u

static unsigned char memory[COUNT][RIG_BLOCK];
static struct rig_request requests[COUNT];

static void setup(void)
{
	rig_reset(SIZE_BYTES);
	rig.blocking = true;
	rig_adopt();
}

static void teardown(void)
{
	rig.stuck = false;
	rig_close();
	rig_release();
	rig_free();
}

static void submit_all(void)
{
	for (unsigned i = 0; i < COUNT; i++)
		rig_submit(&requests[i], TGTKIT_WRITE, 0, i * RIG_BLOCK, memory[i], RIG_BLOCK);
}

static bool all_done(void *context)
{
	(void)context;
	for (unsigned i = 0; i < COUNT; i++) {
		if (!rig_is_done(&requests[i]))
			return false;
	}
	return true;
}

static bool is_in_call(void *context)
{
	return rig.in_call == *(unsigned *)context;
}

static void assert_parallel(unsigned declared, unsigned expected)
{
	rig.capabilities.max_parallel = declared;
	rig_open();
	rig.stuck = true;
	submit_all();
	rig_turn_until(is_in_call, &expected);
	rig.stuck = false;
	rig_turn_until(all_done, NULL);
	ck_assert_uint_eq(rig.most_in_call, expected);
}

START_TEST(no_more_calls_run_at_a_time_than_the_unit_declares)
{
	assert_parallel(3, 3);
}
END_TEST

START_TEST(sixteen_calls_run_at_a_time_where_the_unit_declares_nothing)
{
	assert_parallel(0, 16);
}
END_TEST

START_TEST(with_one_call_at_a_time_requests_are_served_in_order)
{
	rig.capabilities.max_parallel = 1;
	rig_open();
	submit_all();
	rig_turn_until(all_done, NULL);
	for (unsigned i = 0; i < COUNT; i++)
		ck_assert_uint_eq(requests[i].order, i + 1);
}
END_TEST

START_TEST(a_request_that_waits_for_its_call_can_be_cancelled)
{
	unsigned one = 1;

	rig.capabilities.max_parallel = 1;
	rig_open();
	rig.stuck = true;
	submit_all();
	/* Not even handed to the pool yet. */
	store_cancel(&requests[5].request);
	rig_turn_until(is_in_call, &one);
	store_cancel(&requests[7].request);
	store_cancel(&requests[COUNT - 1].request);
	rig_turn_until(rig_is_done, &requests[7]);
	ck_assert(rig_is_done(&requests[5]));
	rig.stuck = false;
	rig_turn_until(all_done, NULL);
	ck_assert_int_eq(requests[5].request.status, -ECANCELED);
	ck_assert_int_eq(requests[7].request.status, -ECANCELED);
	ck_assert_int_eq(requests[COUNT - 1].request.status, -ECANCELED);
	ck_assert_int_eq(requests[0].request.status, 0);
	ck_assert_uint_eq(rig.writes, COUNT - 3);
}
END_TEST

START_TEST(errors_of_calls_are_reported)
{
	rig_open();
	rig.write_status = -ENOSPC;
	ck_assert_int_eq(rig_do(TGTKIT_WRITE, 0, 0, memory[0], RIG_BLOCK), -ENOSPC);
}
END_TEST

START_TEST(an_error_of_the_attempt_on_the_worker_is_reported)
{
	rig.nowait = true;
	rig_open();
	rig.write_status = -ENOSPC;
	ck_assert_int_eq(rig_do(TGTKIT_WRITE, 0, 0, memory[0], RIG_BLOCK), -ENOSPC);
	ck_assert_uint_eq(rig.writes, 0);
}
END_TEST

START_TEST(a_plugin_that_cannot_do_without_waiting_is_not_asked_again)
{
	rig.nowait = true;
	rig_open();
	rig.write_status = -EOPNOTSUPP;
	/* Its real call says so too, so the request fails; the attempt is not made a second time. */
	ck_assert_int_eq(rig_do(TGTKIT_WRITE, 0, 0, memory[0], RIG_BLOCK), -EOPNOTSUPP);
	rig.write_status = 0;
	ck_assert_int_eq(rig_do(TGTKIT_WRITE, 0, 0, memory[0], RIG_BLOCK), 0);
	ck_assert_uint_eq(rig.inline_calls, 0);
	ck_assert_uint_eq(rig.writes, 2);
}
END_TEST

START_TEST(a_fua_write_is_not_tried_on_the_worker)
{
	rig.nowait = true;
	rig.capabilities.flags |= TGTKIT_CAN_FUA;
	rig_open();
	ck_assert_int_eq(rig_do(TGTKIT_WRITE, TGTKIT_REQUEST_FUA, 0, memory[0], RIG_BLOCK), 0);
	ck_assert_uint_eq(rig.inline_calls, 0);
}
END_TEST

Suite *blocking_suite(void)
{
	Suite *suite = suite_create("blocking");
	TCase *tests = tcase_create("blocking");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, no_more_calls_run_at_a_time_than_the_unit_declares);
	tcase_add_test(tests, sixteen_calls_run_at_a_time_where_the_unit_declares_nothing);
	tcase_add_test(tests, with_one_call_at_a_time_requests_are_served_in_order);
	tcase_add_test(tests, a_request_that_waits_for_its_call_can_be_cancelled);
	tcase_add_test(tests, errors_of_calls_are_reported);
	tcase_add_test(tests, an_error_of_the_attempt_on_the_worker_is_reported);
	tcase_add_test(tests, a_plugin_that_cannot_do_without_waiting_is_not_asked_again);
	tcase_add_test(tests, a_fua_write_is_not_tried_on_the_worker);
	suite_add_tcase(suite, tests);
	return suite;
}
