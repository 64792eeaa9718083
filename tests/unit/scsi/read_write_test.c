/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "unit/scsi/harness.h"

Suite *read_write_suite(void);

static uint8_t pattern[16 * 512];

static void setup(void)
{
	harness_setup();
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 512);
}

/* Each width of READ and WRITE. */
static void fill_cdb(uint8_t cdb[16], unsigned width, bool write, uint32_t lba, uint8_t blocks)
{
	static const uint8_t codes[][2] = {{0x08, 0x0a}, {0x28, 0x2a}, {0xa8, 0xaa}, {0x88, 0x8a}};
	const uint8_t cdbs[][16] = {{0, 0, BE16(lba), blocks, 0},
				    {0, 0, BE32(lba), 0, BE16(blocks), 0},
				    {0, 0, BE32(lba), BE32(blocks), 0, 0},
				    {0, 0, BE64(lba), BE32(blocks), 0, 0}};

	memcpy(cdb, cdbs[width], 16);
	cdb[0] = codes[width][write];
}

START_TEST(every_width_reads_what_was_written)
{
	struct request write = {.data_out = pattern, .data_out_length = sizeof(pattern)}, read = {0};
	struct issued *issued;

	fill_cdb(write.cdb, (unsigned)_i, true, 100, 16);
	fill_cdb(read.cdb, (unsigned)_i, false, 100, 16);
	harness_expect_good(write);
	ck_assert_mem_eq(harness.store->memory + 100 * 512, pattern, sizeof(pattern));
	issued = harness_run(read);
	ck_assert_uint_eq(issued->command.direction, SCSI_DATA_IN);
	ck_assert_uint_eq(issued->command.transfer_length, sizeof(pattern));
	ck_assert_uint_eq(issued->command.data_in_length, sizeof(pattern));
	ck_assert_mem_eq(issued->data, pattern, sizeof(pattern));
	harness_free(issued);
}
END_TEST

START_TEST(length_0_is_256_blocks_with_6_bytes_and_none_with_others)
{
	struct request request = {0};
	struct issued *issued;

	fill_cdb(request.cdb, (unsigned)_i, false, 100, 0);
	issued = harness_run(request);
	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	ck_assert_uint_eq(issued->command.data_in_length, _i == 0 ? 256 * 512 : 0);
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], _i == 0);
	harness_free(issued);
}
END_TEST

START_TEST(last_block_is_reached)
{
	harness_expect_good(
	    (struct request){.cdb = WRITE_10(HARNESS_BLOCKS - 1, 1), .data_out = pattern, .data_out_length = 512});
	ck_assert_mem_eq(harness.store->memory + (HARNESS_BLOCKS - 1) * 512, pattern, 512);
}
END_TEST

START_TEST(short_data_out_writes_whole_blocks_only)
{
	harness_expect_good((struct request){.cdb = WRITE_10(0, 4), .data_out = pattern, .data_out_length = 1100});
	ck_assert_mem_eq(harness.store->memory, pattern, 1024);
	ck_assert_uint_eq(harness.store->memory[1024], 0);
	harness_expect_good((struct request){.cdb = WRITE_10(8, 4), .data_out = pattern, .data_out_length = 0});
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 1);
}
END_TEST

START_TEST(fua_makes_a_write_stable)
{
	struct request request = {.cdb = WRITE_10(0, 1), .data_out = pattern, .data_out_length = 512};

	harness_expect_good(request);
	ck_assert_uint_eq(harness.store->stable_writes, 0);
	request.cdb[1] = 0x08;
	harness_expect_good(request);
	ck_assert_uint_eq(harness.store->stable_writes, 1);
}
END_TEST

START_TEST(without_a_write_cache_every_write_is_stable)
{
	harness.spec.write_cache = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_good((struct request){.cdb = WRITE_10(0, 1), .data_out = pattern, .data_out_length = 512});
	ck_assert_uint_eq(harness.store->stable_writes, 1);
}
END_TEST

START_TEST(fua_read_comes_from_the_medium)
{
	harness_expect_good((struct request){.cdb = {0x28, 0x08, 0, 0, 0, 0, 0, 0, 1, 0}});
	ck_assert_uint_eq(harness.store->count[TGTKIT_FLUSH], 1);
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 1);
}
END_TEST

START_TEST(dpo_and_obsolete_bits_are_ignored)
{
	harness_expect_good((struct request){.cdb = {0x28, 0x12, 0, 0, 0, 0, 0, 0, 1, 0}});
	harness_expect_good((struct request){.cdb = {0x08, 0xe0, 0, 0, 1, 0}});
	harness_expect_sense((struct request){.cdb = {0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0}}, 5, 0x2400);
	harness_expect_sense((struct request){.cdb = {0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0x04}}, 5, 0x2400); /* NACA */
}
END_TEST

static void expect_write_protected(struct request request)
{
	struct issued *issued = harness_prepare(request);

	ck_assert(issued->done); /* before any data is asked for */
	harness_check_sense(issued, SCSI_KEY_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED);
	harness_free(issued);
}

START_TEST(read_only_unit_takes_no_write)
{
	harness.spec.read_only = true;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	expect_write_protected((struct request){.cdb = WRITE_10(0, 1)});
	expect_write_protected((struct request){.cdb = {0x42}});
	expect_write_protected((struct request){.cdb = {0x93, 0, [13] = 1}});
	/* The CDB's own faults come first. */
	harness_expect_sense((struct request){.cdb = WRITE_10(HARNESS_BLOCKS, 1)}, 5, SCSI_ASC_LBA_OUT_OF_RANGE);
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	harness_expect_good((struct request){.cdb = {0x35}});
}
END_TEST

START_TEST(read_only_mapping_takes_no_write)
{
	struct scsi_lun_mapping mapping = {.lun = 0, .unit = harness.unit, .read_only = true};
	struct scsi_lun_map *map = scsi_lun_map_create(&mapping, 1, NULL);

	scsi_nexus_set_lun_map(harness.nexus, map);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x3f0e);
	expect_write_protected((struct request){.cdb = WRITE_10(0, 1)});
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	/* The other nexus keeps its own. */
	harness_expect_good((struct request){
	    .nexus = harness.other, .cdb = WRITE_10(0, 1), .data_out = pattern, .data_out_length = 512});
	scsi_lun_map_drop(map);
}
END_TEST

START_TEST(synchronize_cache_flushes)
{
	harness_expect_good((struct request){.cdb = {0x35}});
	harness_expect_good((struct request){.cdb = {0x91}});
	ck_assert_uint_eq(harness.store->count[TGTKIT_FLUSH], 2);
}
END_TEST

START_TEST(synchronize_cache_answers_ahead_if_asked)
{
	struct issued *issued;

	harness.store->hold_operation = TGTKIT_FLUSH;
	issued = harness_run((struct request){.cdb = {0x35, 0x02}});
	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	ck_assert_uint_eq(fake_store_held(harness.store), 1);
	harness_free(issued);
	fake_store_release(harness.store);
	while (harness.store->under_way > 0)
		harness_turn();
}
END_TEST

START_TEST(reads_wait_for_memory_and_then_run)
{
	enum { READS = 32, BLOCKS = 1024 };
	struct issued *issued[READS];
	unsigned done = 0;

	harness.store->hold_operation = TGTKIT_READ;
	for (unsigned i = 0; i < READS; i++)
		issued[i] = harness_start((struct request){.cdb = READ_10(i, BLOCKS)});
	harness_turn();
	ck_assert_uint_lt(fake_store_held(harness.store), READS);
	fake_store_release(harness.store);
	while (done < READS) {
		harness_turn();
		for (unsigned i = 0; i < READS; i++) {
			if (issued[i] == NULL || !issued[i]->done)
				continue;
			ck_assert_uint_eq(issued[i]->command.data_in_length, BLOCKS * 512);
			harness_free(issued[i]);
			issued[i] = NULL;
			done++;
		}
	}
}
END_TEST

START_TEST(failed_transport_leaves_the_task_set)
{
	struct issued *issued = harness_prepare((struct request){.cdb = WRITE_10(0, 1)});

	ck_assert(!issued->done);
	ck_assert_uint_eq(scsi_nexus_commands_under_way(harness.nexus), 1);
	scsi_command_fail_transport(&issued->command, SCSI_KEY_ABORTED_COMMAND, 0x47, 0x05);
	ck_assert_uint_eq(scsi_nexus_commands_under_way(harness.nexus), 0);
	harness_check_sense(issued, SCSI_KEY_ABORTED_COMMAND, 0x4705);
	issued->done = true;
	harness_free(issued);
}
END_TEST

START_TEST(released_before_it_ran_leaves_the_task_set)
{
	struct issued *issued = harness_prepare((struct request){.cdb = WRITE_10(0, 1)});

	issued->done = true;
	harness_free(issued);
	ck_assert_uint_eq(scsi_nexus_commands_under_way(harness.nexus), 0);
}
END_TEST

#define WRITE_ATOMIC(lba, blocks)                                                                                      \
	{                                                                                                              \
		0x9c, 0, BE64(lba), 0, 0, BE16(blocks), 0, 0                                                           \
	}

START_TEST(write_atomic_is_no_command_without_an_atomic_unit)
{
	harness_expect_sense((struct request){.cdb = WRITE_ATOMIC(0, 1), .data_out = pattern, .data_out_length = 512},
			     SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
}
END_TEST

START_TEST(write_atomic_is_one_request_of_the_store_within_its_unit)
{
	struct request request = {.cdb = WRITE_ATOMIC(16, 16), .data_out = pattern, .data_out_length = sizeof(pattern)};
	struct issued *page;

	harness.store->capabilities.atomic_write_bytes = sizeof(pattern);
	page = harness_run((struct request){.cdb = INQUIRY(1, 0xb0, 255)});
	ck_assert_mem_eq(page->data + 44, "\0\0\0\x10\0\0\0\x10\0\0\0\x10\0\0\0\0\0\0\0\0", 20);
	harness_free(page);
	harness_expect_good(request);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 1);
	ck_assert_mem_eq(harness.store->memory + 16 * 512, pattern, sizeof(pattern));
	/* Not all of the data: nothing is written, as a part would be. */
	request.data_out_length = 8 * 512;
	harness_expect_sense(request, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 1);
}
END_TEST

START_TEST(write_atomic_beyond_its_limits_is_refused)
{
	static const struct {
		uint8_t cdb[16];
		uint16_t asc;
	} cases[] = {
	    {WRITE_ATOMIC(0, 17), SCSI_ASC_INVALID_FIELD_IN_CDB},
	    {WRITE_ATOMIC(0, 32), SCSI_ASC_INVALID_FIELD_IN_CDB},
	    {WRITE_ATOMIC(0, 15), SCSI_ASC_INVALID_FIELD_IN_CDB},
	    {WRITE_ATOMIC(0, 1), SCSI_ASC_INVALID_FIELD_IN_CDB},
	    {WRITE_ATOMIC(8, 16), SCSI_ASC_INVALID_FIELD_IN_CDB},
	    {WRITE_ATOMIC(HARNESS_BLOCKS, 16), SCSI_ASC_LBA_OUT_OF_RANGE},
	    {WRITE_ATOMIC(UINT64_MAX - 15, 16), SCSI_ASC_LBA_OUT_OF_RANGE},
	    {{0x9c, 0, BE64(0), BE16(16), BE16(16), 0, 0}, SCSI_ASC_INVALID_FIELD_IN_CDB},   /* an atomic boundary */
	    {{0x9c, 0x20, BE64(0), BE16(0), BE16(16), 0, 0}, SCSI_ASC_INVALID_FIELD_IN_CDB}, /* WRPROTECT */
	};
	struct request request = {.data_out = pattern, .data_out_length = sizeof(pattern)};

	harness.store->capabilities.atomic_write_bytes = sizeof(pattern);
	memcpy(request.cdb, cases[_i].cdb, sizeof(request.cdb));
	harness_expect_sense(request, SCSI_KEY_ILLEGAL_REQUEST, cases[_i].asc);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 0);
}
END_TEST

Suite *read_write_suite(void)
{
	Suite *suite = suite_create("read_write");
	TCase *tests = tcase_create("read_write");

	harness_add_fixture(tests, setup, harness_teardown);
	tcase_add_loop_test(tests, every_width_reads_what_was_written, 0, 4);
	tcase_add_loop_test(tests, length_0_is_256_blocks_with_6_bytes_and_none_with_others, 0, 4);
	tcase_add_test(tests, last_block_is_reached);
	tcase_add_test(tests, short_data_out_writes_whole_blocks_only);
	tcase_add_test(tests, fua_makes_a_write_stable);
	tcase_add_test(tests, without_a_write_cache_every_write_is_stable);
	tcase_add_test(tests, fua_read_comes_from_the_medium);
	tcase_add_test(tests, dpo_and_obsolete_bits_are_ignored);
	tcase_add_test(tests, read_only_unit_takes_no_write);
	tcase_add_test(tests, read_only_mapping_takes_no_write);
	tcase_add_test(tests, synchronize_cache_flushes);
	tcase_add_test(tests, synchronize_cache_answers_ahead_if_asked);
	tcase_add_test(tests, reads_wait_for_memory_and_then_run);
	tcase_add_test(tests, failed_transport_leaves_the_task_set);
	tcase_add_test(tests, released_before_it_ran_leaves_the_task_set);
	tcase_add_test(tests, write_atomic_is_no_command_without_an_atomic_unit);
	tcase_add_test(tests, write_atomic_is_one_request_of_the_store_within_its_unit);
	tcase_add_loop_test(tests, write_atomic_beyond_its_limits_is_refused, 0, 9);
	suite_add_tcase(suite, tests);
	return suite;
}
