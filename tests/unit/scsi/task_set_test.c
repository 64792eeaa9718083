/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "scsi/task_set.h"
#include "unit/scsi/harness.h"

Suite *task_set_suite(void);

static struct issued *start_read(struct scsi_nexus *nexus, enum scsi_task_attribute attribute)
{
	return harness_start((struct request){.nexus = nexus, .cdb = READ_10(0, 1), .attribute = attribute});
}

static unsigned reads(void)
{
	harness_turn();
	return harness.store->count[TGTKIT_READ];
}

static void release_and_free(struct issued **issued, size_t count)
{
	fake_store_release(harness.store);
	for (size_t i = 0; i < count; i++) {
		harness_wait(issued[i]);
		ck_assert_uint_eq(issued[i]->command.status, SCSI_GOOD);
		harness_free(issued[i]);
	}
}

START_TEST(simple_commands_run_together)
{
	struct issued *issued[3];

	harness.store->hold_all = true;
	for (size_t i = 0; i < 3; i++)
		issued[i] = start_read(NULL, i == 0 ? SCSI_UNTAGGED : SCSI_SIMPLE);
	ck_assert_uint_eq(reads(), 3);
	release_and_free(issued, 3);
}
END_TEST

START_TEST(ordered_waits_for_all_before_it_and_holds_up_all_behind_it)
{
	struct issued *issued[4];

	harness.store->hold_all = true;
	issued[0] = start_read(NULL, SCSI_SIMPLE);
	issued[1] = start_read(NULL, SCSI_ORDERED);
	issued[2] = start_read(NULL, SCSI_SIMPLE);
	issued[3] = start_read(NULL, SCSI_ORDERED);
	ck_assert_uint_eq(reads(), 1);
	fake_store_release_one(harness.store);
	harness_wait(issued[0]);
	ck_assert_uint_eq(reads(), 2);
	fake_store_release_one(harness.store);
	harness_wait(issued[1]);
	ck_assert_uint_eq(reads(), 3);
	fake_store_release_one(harness.store);
	harness_wait(issued[2]);
	ck_assert_uint_eq(reads(), 4);
	release_and_free(issued, 4);
}
END_TEST

START_TEST(head_of_queue_overtakes_what_is_blocked)
{
	struct issued *issued[4];

	harness.store->hold_all = true;
	issued[0] = start_read(NULL, SCSI_SIMPLE);
	issued[1] = start_read(NULL, SCSI_ORDERED);
	issued[2] = start_read(NULL, SCSI_HEAD_OF_QUEUE);
	issued[3] = start_read(NULL, SCSI_SIMPLE);
	ck_assert_uint_eq(reads(), 2);
	ck_assert_uint_eq(issued[2]->command.stage, issued[0]->command.stage);
	release_and_free(issued, 4);
}
END_TEST

START_TEST(another_nexus_has_a_task_set_of_its_own)
{
	struct issued *issued[3];

	harness.store->hold_all = true;
	issued[0] = start_read(NULL, SCSI_SIMPLE);
	issued[1] = start_read(NULL, SCSI_ORDERED);
	issued[2] = start_read(harness.other, SCSI_SIMPLE);
	ck_assert_uint_eq(reads(), 2);
	release_and_free(issued, 3);
}
END_TEST

START_TEST(ordered_waits_for_data_that_is_still_collected)
{
	struct issued *collecting = harness_prepare((struct request){.cdb = WRITE_10(0, 1)});
	struct issued *ordered = start_read(NULL, SCSI_ORDERED);

	ck_assert_uint_eq(reads(), 0);
	collecting->done = true;
	harness_free(collecting);
	harness_wait(ordered);
	ck_assert_uint_eq(reads(), 1);
	harness_free(ordered);
}
END_TEST

START_TEST(aca_is_not_supported)
{
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY, .attribute = SCSI_ACA}, 5,
			     SCSI_ASC_INVALID_MESSAGE_ERROR);
}
END_TEST

START_TEST(full_task_set_says_so)
{
	static struct issued *issued[SCSI_TASK_SET_LIMIT];

	for (unsigned i = 0; i < SCSI_TASK_SET_LIMIT; i++) {
		issued[i] = harness_prepare((struct request){.cdb = TEST_UNIT_READY});
		ck_assert(!issued[i]->done);
	}
	harness_expect_status((struct request){.cdb = TEST_UNIT_READY}, SCSI_TASK_SET_FULL);
	for (unsigned i = 0; i < SCSI_TASK_SET_LIMIT; i++) {
		issued[i]->done = true;
		harness_free(issued[i]);
	}
	harness_expect_good((struct request){.cdb = TEST_UNIT_READY});
}
END_TEST

Suite *task_set_suite(void)
{
	Suite *suite = suite_create("task_set");
	TCase *tests = tcase_create("task_set");

	tcase_add_checked_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, simple_commands_run_together);
	tcase_add_test(tests, ordered_waits_for_all_before_it_and_holds_up_all_behind_it);
	tcase_add_test(tests, head_of_queue_overtakes_what_is_blocked);
	tcase_add_test(tests, another_nexus_has_a_task_set_of_its_own);
	tcase_add_test(tests, ordered_waits_for_data_that_is_still_collected);
	tcase_add_test(tests, aca_is_not_supported);
	tcase_add_test(tests, full_task_set_says_so);
	suite_add_tcase(suite, tests);
	return suite;
}
