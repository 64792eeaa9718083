/* SPDX-License-Identifier: Apache-2.0
 *
 * What tells of the medium or keeps it: GET LBA STATUS, LOG SENSE, READ DEFECT DATA, SEND DIAGNOSTIC, PREVENT ALLOW,
 * PRE-FETCH.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *medium_suite(void);

enum { MAPPED = 0, DEALLOCATED = 1 };

static void map_blocks(unsigned first, unsigned count)
{
	memset(harness.store->mapped + first, 1, count);
}

static struct issued *lba_status(uint64_t lba, uint32_t length)
{
	return harness_run((struct request){.cdb = {0x9e, 0x12, BE64(lba), BE32(length), 0, 0}});
}

static void check_extent(const struct issued *issued, unsigned index, uint64_t lba, uint32_t blocks, uint8_t status)
{
	const uint8_t *descriptor = issued->data + 8 + 16 * index;

	ck_assert_uint_eq(rt_get_be64(descriptor), lba);
	ck_assert_uint_eq(rt_get_be32(descriptor + 8), blocks);
	ck_assert_uint_eq(descriptor[12], status);
}

START_TEST(lba_status_follows_the_extents)
{
	struct issued *issued;

	map_blocks(16, 8);
	issued = lba_status(0, 4096);
	ck_assert_uint_eq(rt_get_be32(issued->data), 4 + 3 * 16);
	check_extent(issued, 0, 0, 16, DEALLOCATED);
	check_extent(issued, 1, 16, 8, MAPPED);
	check_extent(issued, 2, 24, HARNESS_BLOCKS - 24, DEALLOCATED);
	harness_free(issued);
}
END_TEST

START_TEST(lba_status_begins_where_it_is_asked_to)
{
	struct issued *issued;

	map_blocks(16, 16);
	issued = lba_status(24, 24);
	ck_assert_uint_eq(issued->command.data_in_length, 24);
	check_extent(issued, 0, 24, 8, MAPPED);
	harness_free(issued);
	issued = lba_status(17, 24); /* within a physical block of 8 */
	check_extent(issued, 0, 24, 8, MAPPED);
	harness_free(issued);
	issued = lba_status(HARNESS_BLOCKS - 1, 24);
	check_extent(issued, 0, HARNESS_BLOCKS - 1, 1, DEALLOCATED);
	harness_free(issued);
	harness_expect_sense((struct request){.cdb = {0x9e, 0x12, BE64(HARNESS_BLOCKS), BE32(24), 0, 0}}, 5,
			     SCSI_ASC_LBA_OUT_OF_RANGE);
}
END_TEST

START_TEST(partly_mapped_blocks_are_mapped)
{
	struct issued *issued;

	harness.spec.logical_block_bytes = 4096;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	map_blocks(9, 1); /* 512 bytes within the second block */
	issued = lba_status(0, 4096);
	check_extent(issued, 0, 0, 1, DEALLOCATED);
	check_extent(issued, 1, 1, 1, MAPPED);
	check_extent(issued, 2, 2, HARNESS_BLOCKS / 8 - 2, DEALLOCATED);
	harness_free(issued);
}
END_TEST

START_TEST(lba_status_tells_of_whole_physical_blocks)
{
	struct issued *issued;

	harness.spec.physical_block_bytes = 4096;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	map_blocks(19, 1);
	map_blocks(38, 3);
	issued = lba_status(0, 4096);
	ck_assert_uint_eq(rt_get_be32(issued->data), 4 + 5 * 16);
	check_extent(issued, 0, 0, 16, DEALLOCATED);
	check_extent(issued, 1, 16, 8, MAPPED);
	check_extent(issued, 2, 24, 8, DEALLOCATED);
	check_extent(issued, 3, 32, 16, MAPPED);
	check_extent(issued, 4, 48, HARNESS_BLOCKS - 48, DEALLOCATED);
	harness_free(issued);
	issued = lba_status(16, 24); /* the hole at its beginning is no part of its own */
	check_extent(issued, 0, 16, 8, MAPPED);
	harness_free(issued);
}
END_TEST

START_TEST(lba_status_counts_32_bits_of_blocks)
{
	struct issued *issued;

	harness_restart(UINT64_C(8) << 40, HARNESS_FLAGS);
	issued = lba_status(0, 4096);
	ck_assert_uint_eq(rt_get_be32(issued->data), 4 + 16);
	check_extent(issued, 0, 0, UINT32_MAX, DEALLOCATED);
	harness_free(issued);
}
END_TEST

#define LOG_SENSE(page, pointer)                                                                                       \
	{                                                                                                              \
		0x4d, 0, page, 0, 0, BE16(pointer), BE16(512), 0                                                       \
	}

START_TEST(log_sense_counts_what_is_used)
{
	struct issued *pages = harness_run((struct request){.cdb = LOG_SENSE(0x40, 0)}), *used;

	ck_assert_mem_eq(pages->data, "\0\0\0\x02\0\x0c", 6);
	harness_free(pages);
	for (unsigned i = 0; i < 300; i++)
		map_blocks(i * 4, 1); /* more extents than are asked for at once */
	used = harness_run((struct request){.cdb = LOG_SENSE(0x4c, 0)});
	ck_assert_uint_eq(used->data[0], 0x0c);
	ck_assert_uint_eq(rt_get_be16(used->data + 2), 12);
	ck_assert_uint_eq(rt_get_be16(used->data + 4), 0x0002);
	ck_assert_uint_eq(rt_get_be32(used->data + 8), 300);
	harness_free(used);
}
END_TEST

START_TEST(log_sense_checks_page_and_pointer)
{
	harness_expect_sense((struct request){.cdb = LOG_SENSE(0x4d, 0)}, 5, 0x2400);
	harness_expect_sense((struct request){.cdb = LOG_SENSE(0x4c, 3)}, 5, 0x2400);
	harness_expect_sense((struct request){.cdb = LOG_SENSE(0x80, 0)}, 5, 0x2400);
	harness.spec.thin = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense((struct request){.cdb = LOG_SENSE(0x4c, 0)}, 5, 0x2400);
}
END_TEST

START_TEST(there_are_no_defects)
{
	struct issued *ten = harness_run((struct request){.cdb = {0x37, 0, 0x1d, 0, 0, 0, 0, BE16(255), 0}});
	struct issued *twelve = harness_run((struct request){.cdb = {0xb7, 0x1d, 0, 0, 0, 0, BE32(255), 0, 0}});

	ck_assert_uint_eq(ten->command.data_in_length, 4);
	ck_assert_mem_eq(ten->data, "\0\x1d\0\0", 4);
	ck_assert_uint_eq(twelve->command.data_in_length, 8);
	ck_assert_mem_eq(twelve->data, "\0\x1d\0\0\0\0\0\0", 8);
	harness_free(ten);
	harness_free(twelve);
}
END_TEST

START_TEST(self_test_reads_the_medium)
{
	harness_expect_good((struct request){.cdb = {0x1d, 0x04}});
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 1);
	harness.store->fail_operation = TGTKIT_READ;
	harness.store->fail_status = -5;
	harness_expect_sense((struct request){.cdb = {0x1d, 0x04}}, 3, 0x1100);
	harness_expect_good((struct request){.cdb = {0x1d}});
}
END_TEST

START_TEST(pre_fetch_checks_its_range)
{
	harness_expect_good((struct request){.cdb = {0x34, 0, BE32(HARNESS_BLOCKS - 1), 0, BE16(1), 0}});
	harness_expect_good((struct request){.cdb = {0x90, 2, BE64(0), BE32(HARNESS_BLOCKS), 3, 0}});
}
END_TEST

static void setup_removable(void)
{
	harness_setup();
	harness.spec.removable = true;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
}

#define PREVENT                                                                                                        \
	{                                                                                                              \
		0x1e, 0, 0, 0, 1, 0                                                                                    \
	}
#define ALLOW                                                                                                          \
	{                                                                                                              \
		0x1e, 0, 0, 0, 0, 0                                                                                    \
	}
#define EJECT                                                                                                          \
	{                                                                                                              \
		0x1b, 0, 0, 0, 2, 0                                                                                    \
	}
#define LOAD                                                                                                           \
	{                                                                                                              \
		0x1b, 0, 0, 0, 3, 0                                                                                    \
	}

START_TEST(prevented_medium_stays)
{
	harness_expect_good((struct request){.cdb = PREVENT});
	harness_expect_good((struct request){.cdb = PREVENT});
	harness_expect_good((struct request){.nexus = harness.other, .cdb = PREVENT});
	harness_expect_sense((struct request){.cdb = EJECT}, 5, 0x5302);
	harness_expect_good((struct request){.cdb = ALLOW});
	harness_expect_sense((struct request){.cdb = EJECT}, 5, 0x5302);
	harness_expect_good((struct request){.nexus = harness.other, .cdb = ALLOW});
	harness_expect_good((struct request){.cdb = EJECT});
	harness_expect_good((struct request){.cdb = PREVENT});
	harness_expect_sense((struct request){.cdb = LOAD}, 5, 0x5302);
	harness_expect_good((struct request){.cdb = ALLOW});
	harness_expect_good((struct request){.cdb = LOAD});
}
END_TEST

START_TEST(stopping_and_power_conditions_eject_nothing)
{
	harness_expect_good((struct request){.cdb = {0x1b}});
	harness_expect_good((struct request){.cdb = TEST_UNIT_READY});
	for (uint8_t condition = 1; condition < 16; condition++)
		harness_expect_good((struct request){.cdb = {0x1b, 1, 0, 0, (uint8_t)(condition << 4 | 2), 0}});
	harness_expect_good((struct request){.cdb = TEST_UNIT_READY});
}
END_TEST

START_TEST(prevention_goes_with_its_nexus)
{
	harness_expect_good((struct request){.cdb = PREVENT});
	harness_close_nexus(harness.nexus);
	harness.nexus = NULL;
	harness_expect_good((struct request){.nexus = harness.other, .cdb = EJECT});
}
END_TEST

START_TEST(prevention_goes_with_a_reset)
{
	harness_expect_good((struct request){.nexus = harness.other, .cdb = PREVENT});
	ck_assert_int_eq(harness_manage(SCSI_TARGET_RESET, NULL, false), SCSI_FUNCTION_COMPLETE);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2903);
	harness_expect_good((struct request){.cdb = EJECT});
}
END_TEST

START_TEST(fixed_media_know_no_prevention)
{
	harness.spec.removable = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense((struct request){.cdb = PREVENT}, 5, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
}
END_TEST

Suite *medium_suite(void)
{
	Suite *suite = suite_create("medium");
	TCase *tests = tcase_create("fixed"), *removable = tcase_create("removable");

	harness_add_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, lba_status_follows_the_extents);
	tcase_add_test(tests, lba_status_begins_where_it_is_asked_to);
	tcase_add_test(tests, partly_mapped_blocks_are_mapped);
	tcase_add_test(tests, lba_status_tells_of_whole_physical_blocks);
	tcase_add_test(tests, lba_status_counts_32_bits_of_blocks);
	tcase_add_test(tests, log_sense_counts_what_is_used);
	tcase_add_test(tests, log_sense_checks_page_and_pointer);
	tcase_add_test(tests, there_are_no_defects);
	tcase_add_test(tests, self_test_reads_the_medium);
	tcase_add_test(tests, pre_fetch_checks_its_range);
	suite_add_tcase(suite, tests);
	harness_add_fixture(removable, setup_removable, harness_teardown);
	tcase_add_test(removable, prevented_medium_stays);
	tcase_add_test(removable, stopping_and_power_conditions_eject_nothing);
	tcase_add_test(removable, prevention_goes_with_its_nexus);
	tcase_add_test(removable, prevention_goes_with_a_reset);
	tcase_add_test(removable, fixed_media_know_no_prevention);
	suite_add_tcase(suite, removable);
	return suite;
}
