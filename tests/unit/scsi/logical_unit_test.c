/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "unit/scsi/harness.h"

Suite *logical_unit_suite(void);

static const uint8_t data[512];

START_TEST(bad_specs_are_refused)
{
	struct scsi_logical_unit_spec specs[6];
	struct scsi_logical_unit *unit;

	for (size_t i = 0; i < 6; i++)
		specs[i] = harness.spec;
	specs[0].logical_block_bytes = 1024;
	specs[1].serial = "";
	specs[2].serial = "1234567890123456789012345678901234567";
	specs[3].vendor = "ninechars";
	specs[4].product = "new\nline";
	specs[5].physical_block_bytes = 256;
	for (size_t i = 0; i < 6; i++)
		ck_assert_int_eq(scsi_logical_unit_create(&specs[i], &unit), -EINVAL);
}
END_TEST

START_TEST(unit_says_what_it_is)
{
	ck_assert_str_eq(scsi_logical_unit_name(harness.unit), "fake:memory");
	ck_assert_str_eq(scsi_logical_unit_serial(harness.unit), harness.spec.serial);
	ck_assert_ptr_eq(scsi_logical_unit_store(harness.unit), harness.store);
	ck_assert_uint_eq(scsi_logical_unit_blocks(harness.unit), HARNESS_BLOCKS);
}
END_TEST

START_TEST(growth_is_told_to_every_nexus)
{
	harness.store->size_bytes += 512;
	harness_expect_sense((struct request){.cdb = READ_10(HARNESS_BLOCKS, 1)}, 5, SCSI_ASC_LBA_OUT_OF_RANGE);
	scsi_logical_unit_capacity_changed(harness.unit);
	harness_turn();
	harness_expect_sense((struct request){.cdb = READ_10(HARNESS_BLOCKS, 1)}, 6, 0x2a09);
	harness_expect_good((struct request){.cdb = READ_10(HARNESS_BLOCKS, 1)});
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 6, 0x2a09);
}
END_TEST

START_TEST(unavailable_backend_is_not_ready)
{
	struct issued *sense;

	scsi_logical_unit_set_available(harness.unit, false);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 2, 0x040c);
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, 0x040c);
	harness_expect_good((struct request){.cdb = INQUIRY(0, 0, 36)});
	sense = harness_run((struct request){.cdb = {0x03, 0, 0, 0, 18, 0}});
	ck_assert_uint_eq(sense->data[2], 2);
	ck_assert_uint_eq(sense->data[12], 0x04);
	harness_free(sense);
	scsi_logical_unit_set_available(harness.unit, true);
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
}
END_TEST

struct quiet {
	struct scsi_unit_quiesce quiesce;
	bool done;
};

static void note_quiet(struct rt_post *post)
{
	RT_CONTAINER_OF(post, struct quiet, quiesce.done)->done = true;
}

START_TEST(quiesce_waits_refuses_and_flushes)
{
	struct quiet quiet = {.quiesce = {.done.run = note_quiet, .reply_to = harness.worker->loop, .flush = true}};
	struct issued *running, *collecting;

	harness.store->hold_operation = TGTKIT_WRITE;
	running = harness_start((struct request){.cdb = WRITE_10(0, 1), .data_out = data, .data_out_length = 512});
	collecting = harness_prepare((struct request){.cdb = WRITE_10(1, 1)});
	scsi_logical_unit_quiesce(harness.unit, &quiet.quiesce);
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, 0x0412);
	harness_execute(collecting, data, sizeof(data));
	harness_wait(collecting);
	harness_check_sense(collecting, 2, 0x0412);
	ck_assert(!quiet.done);
	ck_assert_uint_eq(harness.store->count[TGTKIT_FLUSH], 0);
	fake_store_release(harness.store);
	harness_wait(running);
	ck_assert_uint_eq(running->command.status, SCSI_GOOD);
	while (!quiet.done)
		rt_loop_turn(harness.worker->loop, 1000);
	ck_assert_int_eq(quiet.quiesce.status, 0);
	ck_assert_uint_eq(harness.store->count[TGTKIT_FLUSH], 1);
	scsi_logical_unit_resume(harness.unit);
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	harness_free(running);
	harness_free(collecting);
}
END_TEST

START_TEST(quiesce_reports_a_failed_flush)
{
	struct quiet quiet = {.quiesce = {.done.run = note_quiet, .reply_to = harness.worker->loop, .flush = true}};

	harness.store->fail_operation = TGTKIT_FLUSH;
	harness.store->fail_status = -EIO;
	scsi_logical_unit_quiesce(harness.unit, &quiet.quiesce);
	while (!quiet.done)
		rt_loop_turn(harness.worker->loop, 1000);
	ck_assert_int_eq(quiet.quiesce.status, -EIO);
}
END_TEST

#define START_STOP(byte_4)                                                                                             \
	{                                                                                                              \
		0x1b, 0, 0, 0, byte_4, 0                                                                               \
	}

START_TEST(stopped_unit_needs_a_start)
{
	harness_expect_good((struct request){.cdb = START_STOP(0x00)});
	ck_assert_uint_eq(harness.store->count[TGTKIT_FLUSH], 1);
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, 0x0402);
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 2, 0x0402);
	harness_expect_good((struct request){.cdb = START_STOP(0x01)});
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	harness_expect_sense((struct request){.cdb = START_STOP(0x02)}, 5, 0x2400); /* not removable */
}
END_TEST

START_TEST(ejected_medium_is_not_present)
{
	harness.spec.removable = true;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_good((struct request){.cdb = START_STOP(0x02)});
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, 0x3a00);
	harness_expect_good((struct request){.cdb = START_STOP(0x03)});
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
}
END_TEST

Suite *logical_unit_suite(void)
{
	Suite *suite = suite_create("logical_unit");
	TCase *tests = tcase_create("logical_unit");

	tcase_add_checked_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, bad_specs_are_refused);
	tcase_add_test(tests, unit_says_what_it_is);
	tcase_add_test(tests, growth_is_told_to_every_nexus);
	tcase_add_test(tests, unavailable_backend_is_not_ready);
	tcase_add_test(tests, quiesce_waits_refuses_and_flushes);
	tcase_add_test(tests, quiesce_reports_a_failed_flush);
	tcase_add_test(tests, stopped_unit_needs_a_start);
	tcase_add_test(tests, ejected_medium_is_not_present);
	suite_add_tcase(suite, tests);
	return suite;
}
