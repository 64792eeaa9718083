/* SPDX-License-Identifier: Apache-2.0
 *
 * UNMAP and WRITE SAME.
 */
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *unmap_suite(void);

enum { DESCRIPTORS = 300, LIST_BYTES = 8 + 16 * DESCRIPTORS };

static uint8_t list[LIST_BYTES], block[4096];

static void setup(void)
{
	harness_setup();
	memset(harness.store->memory, 0xaa, harness.store->memory_bytes);
	memset(harness.store->mapped, 1, harness.store->memory_bytes / 512);
	memset(list, 0, sizeof(list));
	memset(block, 0, sizeof(block));
}

static void put_descriptor(unsigned index, uint64_t lba, uint32_t blocks)
{
	rt_put_be64(list + 8 + 16 * index, lba);
	rt_put_be32(list + 16 + 16 * index, blocks);
}

static struct request unmap(unsigned descriptors)
{
	uint16_t length = (uint16_t)(8 + 16 * descriptors);

	rt_put_be16(list, length - 2);
	rt_put_be16(list + 2, length - 8);
	return (struct request){
	    .cdb = {0x42, 0, 0, 0, 0, 0, 0, BE16(length), 0}, .data_out = list, .data_out_length = length};
}

START_TEST(unmap_takes_every_descriptor)
{
	put_descriptor(0, 10, 2);
	put_descriptor(1, 100, 0);
	put_descriptor(2, HARNESS_BLOCKS - 1, 1);
	harness_expect_good(unmap(3));
	ck_assert_uint_eq(harness.store->count[TGTKIT_DISCARD], 2);
	ck_assert_uint_eq(harness.store->memory[10 * 512 - 1], 0xaa);
	ck_assert_uint_eq(harness.store->memory[10 * 512], 0);
	ck_assert_uint_eq(harness.store->memory[12 * 512], 0xaa);
	ck_assert_uint_eq(harness.store->memory[HARNESS_BLOCKS * 512 - 1], 0);
}
END_TEST

START_TEST(unmap_checks_all_before_it_does_any)
{
	put_descriptor(0, 10, 2);
	put_descriptor(1, HARNESS_BLOCKS - 1, 2);
	harness_expect_sense(unmap(2), 5, SCSI_ASC_LBA_OUT_OF_RANGE);
	put_descriptor(1, UINT64_MAX, 2);
	harness_expect_sense(unmap(2), 5, SCSI_ASC_LBA_OUT_OF_RANGE);
	ck_assert_uint_eq(harness.store->count[TGTKIT_DISCARD], 0);
}
END_TEST

START_TEST(unmap_of_nothing_is_good)
{
	harness_expect_good((struct request){.cdb = {0x42}});
	harness_expect_good(unmap(0));
}
END_TEST

START_TEST(unmap_lists_that_lie_are_refused)
{
	struct request request = unmap(1);

	rt_put_be16(list + 2, 32); /* longer than what came */
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	rt_put_be16(list + 2, 15);
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	request = unmap(1);
	request.data_out_length = 23;
	harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	harness_expect_sense((struct request){.cdb = {0x42, [8] = 7}, .data_out = list, .data_out_length = 7}, 5,
			     SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	harness_expect_sense(unmap(257), 5, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST);
}
END_TEST

START_TEST(unmap_stops_between_descriptors_when_aborted)
{
	struct issued *issued;

	put_descriptor(0, 0, 1);
	put_descriptor(1, 1, 1);
	harness.store->hold_operation = TGTKIT_DISCARD;
	issued = harness_start(unmap(2));
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK_SET, NULL, true), SCSI_FUNCTION_COMPLETE);
	ck_assert(issued->done);
	ck_assert(issued->command.aborted);
	ck_assert_uint_eq(harness.store->count[TGTKIT_DISCARD], 1);
	harness_free(issued);
}
END_TEST

static struct request write_same(uint8_t flags, uint64_t lba, uint32_t blocks)
{
	return (struct request){.cdb = {0x93, flags, BE64(lba), BE32(blocks), 0, 0},
				.data_out = block,
				.data_out_length = flags & 1 ? 0 : 512};
}

START_TEST(write_same_of_zeros_is_the_store_s)
{
	harness_expect_good(write_same(0, 10, 1000));
	ck_assert_uint_eq(harness.store->count[TGTKIT_ZERO], 1);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 0);
	ck_assert_uint_eq(harness.store->memory[10 * 512], 0);
	ck_assert_uint_eq(harness.store->memory[1010 * 512], 0xaa);
	ck_assert_uint_eq(harness.store->mapped[10], 1);
}
END_TEST

START_TEST(write_same_of_a_pattern_is_written_in_steps)
{
	memset(block, 0x5c, 512);
	block[17] = 1;
	harness_expect_good(write_same(0, 10, 1000));
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 2);
	for (unsigned i = 10; i < 1010; i++)
		ck_assert_mem_eq(harness.store->memory + i * 512, block, 512);
	ck_assert_uint_eq(harness.store->memory[1010 * 512], 0xaa);
	ck_assert_uint_eq(harness.store->memory[10 * 512 - 1], 0xaa);
}
END_TEST

START_TEST(write_same_with_unmap_unmaps_whatever_the_block)
{
	harness_expect_good(write_same(0x08, 10, 1));
	ck_assert_uint_eq(harness.store->mapped[10], 0);
	memset(block, 1, 512);
	harness_expect_good(write_same(0x08, 11, 1));
	ck_assert_uint_eq(harness.store->mapped[11], 0);
	ck_assert_uint_eq(harness.store->memory[11 * 512], 0);
	ck_assert_uint_eq(harness.store->memory[12 * 512], 0xaa);
}
END_TEST

START_TEST(write_same_without_data_out)
{
	struct issued *issued = harness_run(write_same(0x01, 10, 1));

	ck_assert_int_eq(issued->command.direction, SCSI_NO_DATA);
	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	ck_assert_uint_eq(harness.store->memory[10 * 512], 0);
	harness_free(issued);
}
END_TEST

START_TEST(write_same_of_0_blocks_goes_to_the_end)
{
	harness_expect_good(write_same(0, HARNESS_BLOCKS - 3, 0));
	ck_assert_uint_eq(harness.store->memory[(HARNESS_BLOCKS - 3) * 512 - 1], 0xaa);
	ck_assert_uint_eq(harness.store->memory[HARNESS_BLOCKS * 512 - 1], 0);
	harness_expect_good((struct request){
	    .cdb = {0x41, 0, BE32(HARNESS_BLOCKS - 4), 0, BE16(1), 0}, .data_out = block, .data_out_length = 512});
	ck_assert_uint_eq(harness.store->memory[(HARNESS_BLOCKS - 4) * 512], 0);
}
END_TEST

START_TEST(write_same_is_held_to_its_limit)
{
	harness_restart(UINT64_C(1) << 40, HARNESS_FLAGS);
	harness_expect_sense(write_same(0, 0, 65536), 5, 0x2400);
	harness_expect_sense(write_same(0, 0, 0), 5, 0x2400);
	harness_expect_good(write_same(0, 0, 65535));
}
END_TEST

START_TEST(write_same_with_unmap_needs_a_thin_unit)
{
	harness.spec.thin = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense(write_same(0x08, 0, 1), 5, 0x2400);
	harness_expect_good(write_same(0, 0, 1));
}
END_TEST

START_TEST(write_same_of_more_or_less_than_a_block_is_refused)
{
	struct request request = write_same(0, 0, 1);

	request.data_out_length = 256;
	harness_expect_sense(request, 5, SCSI_ASC_INVALID_FIELD_IN_CDB);
	request.data_out_length = 1024;
	harness_expect_sense(request, 5, SCSI_ASC_INVALID_FIELD_IN_CDB);
}
END_TEST

Suite *unmap_suite(void)
{
	Suite *suite = suite_create("unmap");
	TCase *tests = tcase_create("unmap");

	harness_add_fixture(tests, setup, harness_teardown);
	tcase_add_test(tests, unmap_takes_every_descriptor);
	tcase_add_test(tests, unmap_checks_all_before_it_does_any);
	tcase_add_test(tests, unmap_of_nothing_is_good);
	tcase_add_test(tests, unmap_lists_that_lie_are_refused);
	tcase_add_test(tests, unmap_stops_between_descriptors_when_aborted);
	tcase_add_test(tests, write_same_of_zeros_is_the_store_s);
	tcase_add_test(tests, write_same_of_a_pattern_is_written_in_steps);
	tcase_add_test(tests, write_same_with_unmap_unmaps_whatever_the_block);
	tcase_add_test(tests, write_same_without_data_out);
	tcase_add_test(tests, write_same_of_0_blocks_goes_to_the_end);
	tcase_add_test(tests, write_same_is_held_to_its_limit);
	tcase_add_test(tests, write_same_with_unmap_needs_a_thin_unit);
	tcase_add_test(tests, write_same_of_more_or_less_than_a_block_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
