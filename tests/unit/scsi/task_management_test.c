/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "unit/scsi/harness.h"

Suite *task_management_suite(void);

static const uint8_t data[512];

static struct issued *start_write(struct scsi_nexus *nexus, uint32_t lba)
{
	return harness_start((struct request){
	    .nexus = nexus, .cdb = WRITE_10(lba, 1), .data_out = data, .data_out_length = sizeof(data)});
}

START_TEST(abort_task_ends_one_command_silently)
{
	struct issued *aborted, *kept;

	harness.store->hold_all = true;
	aborted = start_write(NULL, 0);
	kept = start_write(NULL, 1);
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, aborted, true), SCSI_FUNCTION_COMPLETE);
	ck_assert(aborted->done && aborted->command.aborted);
	harness_wait(kept);
	ck_assert_uint_eq(kept->command.status, SCSI_GOOD);
	harness_free(aborted);
	harness_free(kept);
}
END_TEST

START_TEST(abort_asks_the_store_to_give_up)
{
	struct issued *issued;

	harness.store->hold_all = harness.store->cancellable = true;
	issued = start_write(NULL, 0);
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, issued, false), SCSI_FUNCTION_COMPLETE);
	ck_assert_uint_eq(harness.store->cancels, 1);
	ck_assert(issued->done && issued->command.aborted);
	harness_free(issued);
}
END_TEST

START_TEST(abort_task_ends_what_is_blocked_or_collected)
{
	struct issued *running, *blocked, *collecting;

	harness.store->hold_all = true;
	running = start_write(NULL, 0);
	blocked = harness_start((struct request){.cdb = READ_10(0, 1), .attribute = SCSI_ORDERED});
	collecting = harness_prepare((struct request){.cdb = WRITE_10(1, 1)});
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, blocked, false), SCSI_FUNCTION_COMPLETE);
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, collecting, false), SCSI_FUNCTION_COMPLETE);
	ck_assert(blocked->done && blocked->command.aborted);
	ck_assert(collecting->done && collecting->command.aborted && collecting->data_out_cancelled);
	ck_assert(!running->done);
	fake_store_release(harness.store);
	harness_wait(running);
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 0);
	harness_free(running);
	harness_free(blocked);
	harness_free(collecting);
}
END_TEST

START_TEST(abort_task_ends_what_waits_for_memory)
{
	enum { READS = 64 };
	struct issued *issued[READS];

	harness.store->hold_all = true;
	for (unsigned i = 0; i < READS; i++)
		issued[i] = harness_start((struct request){.cdb = READ_10(0, 1024)});
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, issued[READS - 1], false), SCSI_FUNCTION_COMPLETE);
	ck_assert(issued[READS - 1]->command.aborted);
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK_SET, NULL, true), SCSI_FUNCTION_COMPLETE);
	for (unsigned i = 0; i < READS; i++)
		harness_free(issued[i]);
}
END_TEST

static const enum scsi_task_function set_functions[] = {SCSI_ABORT_TASK_SET, SCSI_CLEAR_TASK_SET};

START_TEST(task_set_functions_concern_one_nexus)
{
	struct issued *mine[2], *theirs;

	harness.store->hold_all = true;
	mine[0] = start_write(NULL, 0);
	mine[1] = start_write(NULL, 1);
	theirs = start_write(harness.other, 2);
	ck_assert_int_eq(harness_manage(set_functions[_i], NULL, true), SCSI_FUNCTION_COMPLETE);
	ck_assert(mine[0]->command.aborted && mine[1]->command.aborted);
	harness_wait(theirs);
	ck_assert_uint_eq(theirs->command.status, SCSI_GOOD);
	harness_free(mine[0]);
	harness_free(mine[1]);
	harness_free(theirs);
	harness_expect_good((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY});
}
END_TEST

START_TEST(idle_task_set_is_done_at_once)
{
	ck_assert_int_eq(harness_manage(set_functions[_i], NULL, false), SCSI_FUNCTION_COMPLETE);
}
END_TEST

static const enum scsi_task_function resets[] = {SCSI_LOGICAL_UNIT_RESET, SCSI_TARGET_RESET};

START_TEST(reset_ends_everybodys_commands)
{
	struct issued *mine, *theirs, *collecting;

	harness.store->hold_all = true;
	mine = start_write(NULL, 0);
	theirs = start_write(harness.other, 1);
	collecting = harness_prepare((struct request){.nexus = harness.other, .cdb = WRITE_10(2, 1)});
	ck_assert_int_eq(harness_manage(resets[_i], NULL, true), SCSI_FUNCTION_COMPLETE);
	ck_assert(mine->done && mine->command.aborted);
	ck_assert(theirs->done && !theirs->command.aborted);
	ck_assert_uint_eq(theirs->command.status, SCSI_TASK_ABORTED);
	ck_assert(collecting->done && collecting->data_out_cancelled);
	ck_assert_uint_eq(collecting->command.status, SCSI_TASK_ABORTED);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2903);
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 6, 0x2903);
	harness_expect_good((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY});
	harness_free(mine);
	harness_free(theirs);
	harness_free(collecting);
}
END_TEST

START_TEST(late_write_makes_the_function_fail_and_the_unit_not_ready)
{
	static const enum scsi_task_function functions[] = {SCSI_ABORT_TASK_SET, SCSI_LOGICAL_UNIT_RESET,
							    SCSI_TARGET_RESET};
	struct issued *write;

	harness.store->hold_operation = TGTKIT_WRITE;
	write = start_write(NULL, 0);
	ck_assert_int_eq(harness_manage(functions[_i], NULL, false), SCSI_FUNCTION_REJECTED);
	if (functions[_i] != SCSI_ABORT_TASK_SET)
		harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 6, 0x2903);
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = READ_10(0, 1)}, 2, 0x040c);
	ck_assert(!write->done);
	fake_store_release(harness.store);
	harness_wait(write);
	ck_assert(write->command.aborted);
	harness_free(write);
	harness_turn();
	harness_expect_good((struct request){.nexus = harness.other, .cdb = READ_10(0, 1)});
}
END_TEST

static bool function_done;

static void note_done(struct scsi_task_management *function)
{
	(void)function;
	function_done = true;
}

START_TEST(unmapped_lun_does_not_exist)
{
	struct scsi_task_management function = {
	    .nexus = harness.nexus, .function = SCSI_LOGICAL_UNIT_RESET, .lun = {0, 77}, .done = note_done};

	function_done = false;
	scsi_task_management_start(&function);
	ck_assert(!function_done);
	harness_turn();
	ck_assert(function_done);
	ck_assert_int_eq(function.response, SCSI_FUNCTION_LUN_DOES_NOT_EXIST);
}
END_TEST

Suite *task_management_suite(void)
{
	Suite *suite = suite_create("task_management");
	TCase *tests = tcase_create("task_management");

	tcase_add_checked_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, abort_task_ends_one_command_silently);
	tcase_add_test(tests, abort_asks_the_store_to_give_up);
	tcase_add_test(tests, abort_task_ends_what_is_blocked_or_collected);
	tcase_add_test(tests, abort_task_ends_what_waits_for_memory);
	tcase_add_loop_test(tests, task_set_functions_concern_one_nexus, 0, 2);
	tcase_add_loop_test(tests, idle_task_set_is_done_at_once, 0, 2);
	tcase_add_loop_test(tests, reset_ends_everybodys_commands, 0, 2);
	tcase_add_loop_test(tests, late_write_makes_the_function_fail_and_the_unit_not_ready, 0, 3);
	tcase_add_test(tests, unmapped_lun_does_not_exist);
	suite_add_tcase(suite, tests);
	return suite;
}
