/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "unit/scsi/harness.h"

Suite *nexus_suite(void);

static const uint8_t data[512];

static void set_map(const struct scsi_lun_mapping *mappings, size_t count)
{
	struct scsi_lun_map *map = scsi_lun_map_create(mappings, count, NULL);

	scsi_nexus_set_lun_map(harness.nexus, map);
	scsi_lun_map_drop(map);
}

START_TEST(equal_map_changes_nothing)
{
	const struct scsi_lun_mapping mappings[] = {{.lun = 0, .unit = harness.unit},
						    {.lun = HARNESS_OTHER_LUN, .unit = harness.unit}};

	set_map(mappings, 2);
	harness_expect_good((struct request){.cdb = TEST_UNIT_READY});
}
END_TEST

START_TEST(new_map_is_told_and_cleared_by_report_luns)
{
	const struct scsi_lun_mapping mappings[] = {{.lun = 0, .unit = harness.unit}, {.lun = 1, .unit = harness.unit}};

	set_map(mappings, 1);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x3f0e);
	harness_expect_good((struct request){.cdb = TEST_UNIT_READY});
	set_map(mappings, 2);
	harness_expect_good((struct request){.cdb = {0xa0, 0, 0, 0, 0, 0, BE32(64), 0, 0}});
	harness_expect_good((struct request){.cdb = TEST_UNIT_READY});
	harness_expect_sense((struct request){.lun = HARNESS_OTHER_LUN, .cdb = TEST_UNIT_READY}, 5, 0x2500);
}
END_TEST

START_TEST(unmapped_lun_has_its_commands_aborted)
{
	const struct scsi_lun_mapping mapping = {.lun = HARNESS_OTHER_LUN, .unit = harness.unit};
	struct issued *running, *collecting;

	harness.store->hold_all = true;
	running = harness_start((struct request){.cdb = WRITE_10(0, 1), .data_out = data, .data_out_length = 512});
	collecting = harness_prepare((struct request){.cdb = WRITE_10(0, 1)});
	set_map(&mapping, 1);
	harness_wait(collecting);
	ck_assert(collecting->data_out_cancelled);
	ck_assert_uint_eq(collecting->command.status, SCSI_TASK_ABORTED);
	ck_assert(!collecting->command.aborted);
	harness_turn();
	ck_assert(!running->done);
	ck_assert_uint_eq(scsi_nexus_commands_under_way(harness.nexus), 1);
	fake_store_release(harness.store);
	harness_wait(running);
	ck_assert_uint_eq(running->command.status, SCSI_TASK_ABORTED);
	harness_free(running);
	harness_free(collecting);
}
END_TEST

struct closing {
	bool called, all_ended;
};

static void note_closed(void *context, bool all_ended)
{
	*(struct closing *)context = (struct closing){true, all_ended};
}

START_TEST(close_waits_for_what_runs)
{
	struct closing closing = {0};
	struct issued *running, *collecting;

	harness.store->hold_all = true;
	running = harness_start((struct request){.cdb = READ_10(0, 1)});
	collecting = harness_prepare((struct request){.cdb = WRITE_10(0, 1)});
	scsi_nexus_close(harness.nexus, note_closed, &closing);
	harness.nexus = NULL;
	harness_turn();
	ck_assert(collecting->done && collecting->command.aborted);
	ck_assert(!closing.called);
	fake_store_release(harness.store);
	harness_wait(running);
	ck_assert(running->command.aborted);
	while (!closing.called)
		harness_turn();
	ck_assert(closing.all_ended);
	harness_free(running);
	harness_free(collecting);
}
END_TEST

START_TEST(close_gives_up_waiting_and_the_unit_is_not_ready_until_the_write_ends)
{
	struct closing closing = {0};
	struct issued *running;

	harness.store->hold_operation = TGTKIT_WRITE;
	running = harness_start((struct request){.cdb = WRITE_10(0, 1), .data_out = data, .data_out_length = 512});
	scsi_nexus_close(harness.nexus, note_closed, &closing);
	harness.nexus = NULL;
	while (!closing.called)
		rt_loop_turn(harness.worker->loop, 1000);
	ck_assert(!closing.all_ended);
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = READ_10(0, 1)}, 2, 0x040c);
	fake_store_release(harness.store);
	harness_wait(running);
	ck_assert(running->command.aborted);
	harness_free(running);
	harness_expect_good((struct request){.nexus = harness.other, .cdb = READ_10(0, 1)});
}
END_TEST

START_TEST(sixteen_thousand_luns)
{
	enum { LUNS = SCSI_MAXIMUM_LUN + 1 };
	struct scsi_lun_mapping *mappings = calloc(LUNS, sizeof(*mappings));
	struct issued *issued;

	for (unsigned i = 0; i < LUNS; i++)
		mappings[i] = (struct scsi_lun_mapping){.lun = (uint16_t)i, .unit = harness.unit};
	set_map(mappings, LUNS);
	issued = harness_run((struct request){.cdb = {0xa0, 0, 0, 0, 0, 0, BE32(8 * LUNS + 8), 0, 0}});
	ck_assert_uint_eq(issued->command.data_in_length, 8 * LUNS + 8);
	ck_assert_mem_eq(issued->data + 8 * LUNS, "\x7f\xff\0\0\0\0\0\0", 8);
	harness_free(issued);
	for (unsigned i = 1; i < LUNS; i += 97)
		if (i != HARNESS_OTHER_LUN)
			harness_clear_attention(harness.nexus, (uint16_t)i);
	free(mappings);
}
END_TEST

Suite *nexus_suite(void)
{
	Suite *suite = suite_create("nexus");
	TCase *tests = tcase_create("nexus");

	tcase_add_checked_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, equal_map_changes_nothing);
	tcase_add_test(tests, new_map_is_told_and_cleared_by_report_luns);
	tcase_add_test(tests, unmapped_lun_has_its_commands_aborted);
	tcase_add_test(tests, close_waits_for_what_runs);
	tcase_add_test(tests, close_gives_up_waiting_and_the_unit_is_not_ready_until_the_write_ends);
	tcase_add_test(tests, sixteen_thousand_luns);
	suite_add_tcase(suite, tests);
	return suite;
}
