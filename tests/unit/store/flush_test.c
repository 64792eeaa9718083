/* SPDX-License-Identifier: Apache-2.0
 *
 * Flushes: shared, emulated, and failed.
 */
#include <errno.h>

#include "store/flush_gate.h"
#include "unit/runner.h"
#include "unit/store/rig.h"

#define SIZE_BYTES (1u << 20)

static unsigned char memory[4096];
static struct rig_request requests[8];

static void setup(void)
{
	rig_reset(SIZE_BYTES);
	rig_adopt();
	memset(memory, 0x5a, sizeof(memory));
}

static void teardown(void)
{
	rig_close();
	rig_release();
	rig_free();
}

static void open_with(enum rig_mode mode)
{
	rig.mode = mode;
	rig_open();
}

static int write_block(uint32_t flags)
{
	return rig_do(TGTKIT_WRITE, flags, 0, memory, 512);
}

static int flush(void)
{
	return rig_do(TGTKIT_FLUSH, 0, 0, NULL, 0);
}

static void submit_flushes(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		rig_submit(&requests[i], TGTKIT_FLUSH, 0, 0, NULL, 0);
}

static bool is_stable(void)
{
	return memcmp(rig.stable, memory, 512) == 0;
}

/* ---- Emulation -----------------------------------------------------------------------------------------------------
 */

START_TEST(fua_is_a_flush_after_the_write_where_the_plugin_cannot)
{
	open_with(RIG_INLINE);
	ck_assert_int_eq(write_block(TGTKIT_REQUEST_FUA), 0);
	ck_assert_uint_eq(rig.flushes, 1);
	ck_assert(is_stable());
}
END_TEST

START_TEST(fua_is_passed_on_where_the_plugin_can)
{
	rig.capabilities.flags |= TGTKIT_CAN_FUA;
	open_with(RIG_INLINE);
	ck_assert_int_eq(write_block(TGTKIT_REQUEST_FUA), 0);
	ck_assert_uint_eq(rig.flushes, 0);
	ck_assert_uint_eq(rig.last_flags, TGTKIT_REQUEST_FUA);
	ck_assert(is_stable());
}
END_TEST

START_TEST(fua_of_a_failed_write_flushes_nothing)
{
	open_with(RIG_INLINE);
	rig.write_status = -ENOSPC;
	ck_assert_int_eq(write_block(TGTKIT_REQUEST_FUA), -ENOSPC);
	ck_assert_uint_eq(rig.flushes, 0);
	ck_assert(!store_has_failed(rig_store));
}
END_TEST

START_TEST(a_store_without_flush_and_cache_needs_neither)
{
	rig.capabilities.flags = 0;
	open_with(RIG_INLINE);
	ck_assert_int_eq(write_block(TGTKIT_REQUEST_FUA), 0);
	ck_assert_int_eq(flush(), 0);
	ck_assert_uint_eq(rig.writes, 1);
	ck_assert_uint_eq(rig.flushes, 0);
}
END_TEST

START_TEST(written_zeros_are_flushed_once)
{
	rig.capabilities.maximum_transfer_bytes = 512;
	open_with(RIG_INLINE);
	ck_assert_int_eq(rig_do(TGTKIT_ZERO, TGTKIT_REQUEST_FUA, 0, NULL, 64 * 512), 0);
	ck_assert_uint_eq(rig.writes, 64);
	ck_assert_uint_eq(rig.flushes, 1);
}
END_TEST

/* ---- Failure -------------------------------------------------------------------------------------------------------
 */

START_TEST(after_a_failed_flush_writes_and_flushes_fail_until_it_is_reopened)
{
	open_with(RIG_INLINE);
	rig.flush_status = -ENOSPC;
	ck_assert_int_eq(flush(), -ENOSPC);
	rig.flush_status = 0;
	ck_assert(store_has_failed(rig_store));
	ck_assert_int_eq(flush(), -EIO);
	ck_assert_int_eq(write_block(0), -EIO);
	ck_assert_int_eq(rig_do(TGTKIT_ZERO, 0, 0, NULL, 512), -EIO);
	ck_assert_int_eq(rig_do(TGTKIT_READ, 0, 0, memory, 512), 0);
	ck_assert_uint_eq(rig.flushes, 1);
	ck_assert_uint_eq(rig.writes, 0);
	rig_close();
	rig_open();
	ck_assert_int_eq(write_block(0), 0);
	ck_assert_int_eq(flush(), 0);
}
END_TEST

START_TEST(a_failed_flush_behind_an_emulated_fua_write_fails_it_and_the_store)
{
	open_with(RIG_INLINE);
	rig.flush_status = -EIO;
	ck_assert_int_eq(write_block(TGTKIT_REQUEST_FUA), -EIO);
	ck_assert(store_has_failed(rig_store));
}
END_TEST

START_TEST(a_fua_write_that_was_told_of_lost_data_fails_the_store)
{
	rig.capabilities.flags |= TGTKIT_CAN_FUA;
	open_with(RIG_INLINE);
	rig.fua_status = -ENOSPC;
	ck_assert_int_eq(write_block(TGTKIT_REQUEST_FUA), -ENOSPC);
	ck_assert(!store_has_failed(rig_store));
	rig.fua_status = -EIO;
	ck_assert_int_eq(write_block(TGTKIT_REQUEST_FUA), -EIO);
	ck_assert(store_has_failed(rig_store));
}
END_TEST

START_TEST(a_store_that_keeps_its_data_may_flush_again)
{
	rig.capabilities.flags |= TGTKIT_RETAINS_DIRTY;
	open_with(RIG_INLINE);
	ck_assert_int_eq(write_block(0), 0);
	rig.flush_status = -ETIMEDOUT;
	ck_assert_int_eq(flush(), -ETIMEDOUT);
	ck_assert(!store_has_failed(rig_store));
	rig.flush_status = 0;
	ck_assert_int_eq(flush(), 0);
	ck_assert(is_stable());
}
END_TEST

/* ---- One at a time -------------------------------------------------------------------------------------------------
 */

START_TEST(flushes_that_come_during_one_share_the_next)
{
	open_with(RIG_HOLD);
	submit_flushes(4);
	ck_assert_uint_eq(rig.held_count, 1);
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[0]);
	rig_turn();
	ck_assert_uint_eq(rig.held_count, 1);
	ck_assert(!rig_is_done(&requests[1]));
	rig_complete_held(0, 0);
	for (unsigned i = 1; i < 4; i++) {
		rig_turn_until(rig_is_done, &requests[i]);
		ck_assert_int_eq(requests[i].request.status, 0);
	}
	ck_assert_uint_eq(rig.flushes, 2);
	rig.mode = RIG_INLINE;
	ck_assert_int_eq(flush(), 0);
}
END_TEST

START_TEST(a_flush_that_succeeds_after_another_failed_is_no_success)
{
	open_with(RIG_HOLD);
	submit_flushes(3);
	rig_complete_held(0, -EIO);
	rig_turn_until(rig_is_done, &requests[0]);
	rig_turn();
	/* The kernel told the first one; to the others all looks well. */
	rig_complete_held(0, 0);
	for (unsigned i = 0; i < 3; i++) {
		rig_turn_until(rig_is_done, &requests[i]);
		ck_assert_int_eq(requests[i].request.status, -EIO);
	}
}
END_TEST

START_TEST(a_waiting_flush_can_be_cancelled_alone)
{
	open_with(RIG_HOLD);
	submit_flushes(3);
	store_cancel(&requests[1].request);
	rig_turn_until(rig_is_done, &requests[1]);
	ck_assert_int_eq(requests[1].request.status, -ECANCELED);
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[0]);
	rig_turn();
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[2]);
	ck_assert_int_eq(requests[2].request.status, 0);
	ck_assert(!store_has_failed(rig_store));
}
END_TEST

START_TEST(cancelling_one_flush_does_not_end_the_one_that_others_share)
{
	open_with(RIG_HOLD);
	submit_flushes(3);
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[0]);
	rig_turn();
	store_cancel(&requests[1].request);
	rig_turn();
	ck_assert_uint_eq(rig.cancels, 0);
	rig_complete_held(0, 0);
	rig_turn_until(rig_is_done, &requests[2]);
	ck_assert_int_eq(requests[2].request.status, 0);
	rig_turn_until(rig_is_done, &requests[1]);
}
END_TEST

Suite *flush_suite(void)
{
	Suite *suite = suite_create("flush");
	TCase *tests = tcase_create("flush");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, fua_is_a_flush_after_the_write_where_the_plugin_cannot);
	tcase_add_test(tests, fua_is_passed_on_where_the_plugin_can);
	tcase_add_test(tests, fua_of_a_failed_write_flushes_nothing);
	tcase_add_test(tests, a_store_without_flush_and_cache_needs_neither);
	tcase_add_test(tests, written_zeros_are_flushed_once);
	tcase_add_test(tests, after_a_failed_flush_writes_and_flushes_fail_until_it_is_reopened);
	tcase_add_test(tests, a_failed_flush_behind_an_emulated_fua_write_fails_it_and_the_store);
	tcase_add_test(tests, a_fua_write_that_was_told_of_lost_data_fails_the_store);
	tcase_add_test(tests, a_store_that_keeps_its_data_may_flush_again);
	tcase_add_test(tests, flushes_that_come_during_one_share_the_next);
	tcase_add_test(tests, a_flush_that_succeeds_after_another_failed_is_no_success);
	tcase_add_test(tests, a_waiting_flush_can_be_cancelled_alone);
	tcase_add_test(tests, cancelling_one_flush_does_not_end_the_one_that_others_share);
	suite_add_tcase(suite, tests);
	return suite;
}
