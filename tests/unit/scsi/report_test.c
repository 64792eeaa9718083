/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *report_suite(void);

#define REPORT_LUNS(select, length)                                                                                    \
	{                                                                                                              \
		0xa0, 0, select, 0, 0, 0, BE32(length), 0, 0                                                           \
	}
#define REQUEST_SENSE(desc)                                                                                            \
	{                                                                                                              \
		0x03, desc, 0, 0, 252, 0                                                                               \
	}
enum { UNMAPPED_LUN = 5 };

START_TEST(report_luns_lists_the_map)
{
	struct issued *issued = harness_run((struct request){.cdb = REPORT_LUNS(0, 4096)});

	ck_assert_uint_eq(issued->command.data_in_length, 24);
	ck_assert_uint_eq(rt_get_be32(issued->data), 16);
	ck_assert_mem_eq(issued->data + 8, "\0\0\0\0\0\0\0\0", 8);
	ck_assert_mem_eq(issued->data + 16, "\x41\x2c\0\0\0\0\0\0", 8); /* 300, flat */
	harness_free(issued);
}
END_TEST

START_TEST(report_luns_lists_the_well_known_unit_on_request)
{
	struct issued *alone = harness_run((struct request){.cdb = REPORT_LUNS(1, 4096)});
	struct issued *all = harness_run((struct request){.cdb = REPORT_LUNS(2, 4096)});

	ck_assert_uint_eq(rt_get_be32(alone->data), 8);
	ck_assert_mem_eq(alone->data + 8, "\xc1\x01\0\0\0\0\0\0", 8);
	ck_assert_uint_eq(rt_get_be32(all->data), 24);
	ck_assert_mem_eq(all->data + 24, "\xc1\x01\0\0\0\0\0\0", 8);
	harness_free(alone);
	harness_free(all);
}
END_TEST

START_TEST(report_luns_is_cut_and_says_the_whole_length)
{
	static const uint8_t whole[] = "\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\x41\x2c\0\0\0\0\0";

	for (uint8_t length = 0; length <= sizeof(whole); length++) {
		struct issued *issued = harness_run((struct request){.cdb = REPORT_LUNS(0, length)});

		ck_assert_uint_eq(issued->command.data_in_length, length);
		if (length > 0)
			ck_assert_mem_eq(issued->data, whole, length);
		harness_free(issued);
	}
	harness_expect_sense((struct request){.cdb = REPORT_LUNS(3, 4096)}, 5, 0x2400);
}
END_TEST

START_TEST(unmapped_luns_are_not_supported)
{
	harness_expect_sense((struct request){.lun = UNMAPPED_LUN, .cdb = INQUIRY(0, 0, 36)}, 5, 0x2500);
	harness_expect_sense((struct request){.lun = UNMAPPED_LUN, .cdb = REPORT_LUNS(0, 4096)}, 5, 0x2500);
	harness_expect_sense((struct request){.lun = UNMAPPED_LUN, .cdb = READ_10(0, 1)}, 5, 0x2500);
}
END_TEST

static struct scsi_nexus *nexus_without_lun_0(void)
{
	struct scsi_lun_mapping mapping = {.lun = 9, .unit = harness.unit};
	struct scsi_lun_map *map = scsi_lun_map_create(&mapping, 1, NULL), *whole = harness.map;
	struct scsi_nexus *nexus;

	harness.map = map;
	nexus = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023d000003", 1);
	harness.map = whole;
	scsi_lun_map_drop(map);
	return nexus;
}

START_TEST(unmapped_lun_0_answers_a_little)
{
	struct scsi_nexus *nexus = nexus_without_lun_0();
	struct issued *inquiry = harness_run((struct request){.nexus = nexus, .cdb = INQUIRY(0, 0, 36)});
	struct issued *luns = harness_run((struct request){.nexus = nexus, .cdb = REPORT_LUNS(0, 4096)});
	struct issued *sense = harness_run((struct request){.nexus = nexus, .cdb = REQUEST_SENSE(0)});

	ck_assert_uint_eq(inquiry->data[0], 0x7f);
	ck_assert_uint_eq(rt_get_be32(luns->data), 8);
	ck_assert_uint_eq(luns->data[9], 9);
	ck_assert_uint_eq(sense->data[2], 5);
	ck_assert_uint_eq(rt_get_be16(sense->data + 12), 0x2500);
	harness_expect_sense((struct request){.nexus = nexus, .cdb = TEST_UNIT_READY}, 5, 0x2500);
	harness_expect_sense((struct request){.nexus = nexus, .cdb = {0xff}}, 5, 0x2500);
	harness_free(inquiry);
	harness_free(luns);
	harness_free(sense);
	harness_close_nexus(nexus);
}
END_TEST

static struct issued *run_on_well_known(const uint8_t cdb[16])
{
	struct issued *issued = calloc(1, sizeof(*issued)), *probe;

	/* The harness addresses LUNs by number: borrow its callbacks. */
	probe = harness_prepare((struct request){.cdb = {0xff}});
	issued->command.done = probe->command.done;
	harness_free(probe);
	issued->command.nexus = harness.nexus;
	memcpy(issued->command.lun, "\xc1\x01\0\0\0\0\0\0", 8);
	memcpy(issued->command.cdb, cdb, 16);
	issued->done = !scsi_command_prepare(&issued->command);
	if (!issued->done)
		scsi_command_execute(&issued->command);
	harness_wait(issued);
	return issued;
}

START_TEST(well_known_unit_answers)
{
	struct issued *inquiry = run_on_well_known((uint8_t[16])INQUIRY(0, 0, 36));
	struct issued *luns = run_on_well_known((uint8_t[16])REPORT_LUNS(0, 4096));
	struct issued *read = run_on_well_known((uint8_t[16])READ_10(0, 1));
	struct issued *pages = run_on_well_known((uint8_t[16])INQUIRY(1, 0, 36));

	ck_assert_uint_eq(inquiry->data[0], 0x1e);
	ck_assert_uint_eq(rt_get_be32(luns->data), 16);
	harness_check_sense(read, 5, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
	ck_assert_mem_eq(pages->data, "\x1e\0\0\x02\0\x83", 6);
	harness_free(inquiry);
	harness_free(luns);
	harness_free(read);
	harness_free(pages);
}
END_TEST

START_TEST(first_command_meets_the_power_on_attention_once)
{
	struct scsi_nexus *nexus = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023d000004", 1);

	harness_expect_good((struct request){.nexus = nexus, .cdb = INQUIRY(0, 0, 36)});
	harness_expect_good((struct request){.nexus = nexus, .cdb = REPORT_LUNS(0, 4096)});
	harness_expect_sense((struct request){.nexus = nexus, .cdb = READ_10(0, 1)}, 6, 0x2900);
	harness_expect_good((struct request){.nexus = nexus, .cdb = READ_10(0, 1)});
	/* Each LUN has its own. */
	harness_expect_sense((struct request){.nexus = nexus, .lun = HARNESS_OTHER_LUN, .cdb = READ_10(0, 1)}, 6,
			     0x2900);
	harness_close_nexus(nexus);
}
END_TEST

START_TEST(request_sense_takes_the_attention)
{
	struct scsi_nexus *nexus = harness_new_nexus("iqn.2026-11.org.example:host,i,0x00023d000004", 1);
	struct issued *sense = harness_run((struct request){.nexus = nexus, .cdb = REQUEST_SENSE(1)});

	ck_assert_mem_eq(sense->data, "\x72\x06\x29\x00\0\0\0\0", 8);
	ck_assert_uint_eq(sense->command.data_in_length, 8);
	harness_free(sense);
	harness_expect_good((struct request){.nexus = nexus, .cdb = TEST_UNIT_READY});
	sense = harness_run((struct request){.nexus = nexus, .cdb = REQUEST_SENSE(0)});
	ck_assert_uint_eq(sense->data[0], 0x70);
	ck_assert_uint_eq(sense->data[2], 0);
	harness_free(sense);
	harness_close_nexus(nexus);
}
END_TEST

START_TEST(capacity_of_a_small_unit)
{
	struct issued *ten = harness_run((struct request){.cdb = {0x25}});
	struct issued *sixteen = harness_run((struct request){.cdb = {0x9e, 0x10, [13] = 32}});

	ck_assert_uint_eq(ten->command.transfer_length, 8);
	ck_assert_uint_eq(rt_get_be32(ten->data), HARNESS_BLOCKS - 1);
	ck_assert_uint_eq(rt_get_be32(ten->data + 4), 512);
	ck_assert_uint_eq(sixteen->command.data_in_length, 32);
	ck_assert_uint_eq(rt_get_be64(sixteen->data), HARNESS_BLOCKS - 1);
	ck_assert_uint_eq(sixteen->data[13], 3);
	ck_assert_uint_eq(sixteen->data[14], 0xc0);
	harness_free(ten);
	harness_free(sixteen);
}
END_TEST

START_TEST(capacity_beyond_2_tib)
{
	struct issued *ten, *sixteen;

	harness_restart(UINT64_C(3) << 40, HARNESS_FLAGS);
	ten = harness_run((struct request){.cdb = {0x25}});
	sixteen = harness_run((struct request){.cdb = {0x9e, 0x10, [13] = 32}});
	ck_assert_uint_eq(rt_get_be32(ten->data), UINT32_MAX);
	ck_assert_uint_eq(rt_get_be64(sixteen->data), (UINT64_C(3) << 31) - 1);
	harness_expect_good((struct request){.cdb = READ_16((UINT64_C(3) << 31) - 1, 1)});
	harness_expect_sense((struct request){.cdb = READ_16((UINT64_C(3) << 31), 1)}, 5, SCSI_ASC_LBA_OUT_OF_RANGE);
	harness_free(ten);
	harness_free(sixteen);
}
END_TEST

START_TEST(capacity_in_blocks_of_4096)
{
	struct issued *sixteen;

	harness.spec.logical_block_bytes = 4096;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	sixteen = harness_run((struct request){.cdb = {0x9e, 0x10, [13] = 32}});
	ck_assert_uint_eq(rt_get_be64(sixteen->data), HARNESS_BLOCKS / 8 - 1);
	ck_assert_uint_eq(rt_get_be32(sixteen->data + 8), 4096);
	ck_assert_uint_eq(sixteen->data[13], 0);
	harness_free(sixteen);
}
END_TEST

Suite *report_suite(void)
{
	Suite *suite = suite_create("report");
	TCase *tests = tcase_create("report");

	harness_add_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, report_luns_lists_the_map);
	tcase_add_test(tests, report_luns_lists_the_well_known_unit_on_request);
	tcase_add_test(tests, report_luns_is_cut_and_says_the_whole_length);
	tcase_add_test(tests, unmapped_luns_are_not_supported);
	tcase_add_test(tests, unmapped_lun_0_answers_a_little);
	tcase_add_test(tests, well_known_unit_answers);
	tcase_add_test(tests, first_command_meets_the_power_on_attention_once);
	tcase_add_test(tests, request_sense_takes_the_attention);
	tcase_add_test(tests, capacity_of_a_small_unit);
	tcase_add_test(tests, capacity_beyond_2_tib);
	tcase_add_test(tests, capacity_in_blocks_of_4096);
	suite_add_tcase(suite, tests);
	return suite;
}
