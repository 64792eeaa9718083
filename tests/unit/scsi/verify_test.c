/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *verify_suite(void);

enum { BYTCHK_0 = 0x00, BYTCHK_1 = 0x02, BYTCHK_2 = 0x04, BYTCHK_3 = 0x06 };
enum { BLOCKS = 1024 }; /* more than one step */

static uint8_t pattern[BLOCKS * 512];

static void setup(void)
{
	harness_setup();
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 13 + i / 512);
	memcpy(harness.store->memory, pattern, sizeof(pattern));
}

static struct request verify(unsigned width, uint8_t bytchk, uint32_t blocks, const void *data, size_t length)
{
	const struct request requests[] = {
	    {.cdb = {0x2f, bytchk, BE32(0), 0, BE16(blocks), 0}, .data_out = data, .data_out_length = length},
	    {.cdb = {0xaf, bytchk, BE32(0), BE32(blocks), 0, 0}, .data_out = data, .data_out_length = length},
	    {.cdb = {0x8f, bytchk, BE64(0), BE32(blocks), 0, 0}, .data_out = data, .data_out_length = length},
	};

	return requests[width];
}

START_TEST(bytchk_0_reads_the_medium)
{
	struct issued *issued = harness_run(verify((unsigned)_i, BYTCHK_0, BLOCKS, NULL, 0));

	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	ck_assert_int_eq(issued->command.direction, SCSI_NO_DATA);
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 2);
	harness_free(issued);
}
END_TEST

START_TEST(bytchk_1_compares_all)
{
	struct issued *issued;

	harness_expect_good(verify((unsigned)_i, BYTCHK_1, BLOCKS, pattern, sizeof(pattern)));
	pattern[300 * 1024 + 5] ^= 1;
	issued = harness_run(verify((unsigned)_i, BYTCHK_1, BLOCKS, pattern, sizeof(pattern)));
	harness_check_sense(issued, SCSI_KEY_MISCOMPARE, 0x1d00);
	ck_assert_uint_eq(issued->command.sense[0], 0xf0);
	ck_assert_uint_eq(rt_get_be32(issued->command.sense + 3), 300 * 1024 + 5);
	harness_free(issued);
}
END_TEST

START_TEST(bytchk_3_compares_one_block_with_all)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		memcpy(harness.store->memory + i * 512, pattern, 512);
	harness_expect_good(verify((unsigned)_i, BYTCHK_3, BLOCKS, pattern, 512));
	harness.store->memory[700 * 512 + 9] ^= 1;
	harness_expect_sense(verify((unsigned)_i, BYTCHK_3, BLOCKS, pattern, 512), SCSI_KEY_MISCOMPARE, 0x1d00);
}
END_TEST

START_TEST(bytchk_2_is_reserved)
{
	harness_expect_sense(verify((unsigned)_i, BYTCHK_2, 1, pattern, 512), 5, 0x2400);
}
END_TEST

START_TEST(zero_blocks_are_verified_at_once)
{
	harness_expect_good(verify((unsigned)_i, BYTCHK_0, 0, NULL, 0));
	harness_expect_good(verify((unsigned)_i, BYTCHK_1, 0, NULL, 0));
	harness_expect_good(verify((unsigned)_i, BYTCHK_3, 0, NULL, 0));
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 0);
}
END_TEST

START_TEST(short_data_verifies_what_came)
{
	harness_expect_good(verify((unsigned)_i, BYTCHK_1, 4, pattern, 1024));
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 1);
}
END_TEST

START_TEST(write_and_verify_writes_stably_and_reads_back)
{
	const uint8_t cdbs[][16] = {{0x2e, BYTCHK_1, BE32(4000), 0, BE16(BLOCKS), 0},
				    {0xae, BYTCHK_1, BE32(4000), BE32(BLOCKS), 0, 0},
				    {0x8e, BYTCHK_1, BE64(4000), BE32(BLOCKS), 0, 0}};
	struct request request = {.data_out = pattern, .data_out_length = sizeof(pattern)};

	memcpy(request.cdb, cdbs[_i], 16);
	harness_expect_good(request);
	ck_assert_mem_eq(harness.store->memory + 4000 * 512, pattern, sizeof(pattern));
	ck_assert_uint_eq(harness.store->stable_writes, 1);
	ck_assert_uint_eq(harness.store->count[TGTKIT_READ], 2);
	request.cdb[1] = BYTCHK_3;
	harness_expect_sense(request, 5, 0x2400);
}
END_TEST

START_TEST(failing_medium_is_found)
{
	harness.store->fail_operation = TGTKIT_READ;
	harness.store->fail_status = -5;
	harness_expect_sense(verify(0, BYTCHK_0, BLOCKS, NULL, 0), SCSI_KEY_MEDIUM_ERROR, 0x1100);
}
END_TEST

Suite *verify_suite(void)
{
	Suite *suite = suite_create("verify");
	TCase *tests = tcase_create("verify");

	tcase_add_checked_fixture(tests, setup, harness_teardown);
	tcase_add_loop_test(tests, bytchk_0_reads_the_medium, 0, 3);
	tcase_add_loop_test(tests, bytchk_1_compares_all, 0, 3);
	tcase_add_loop_test(tests, bytchk_3_compares_one_block_with_all, 0, 3);
	tcase_add_loop_test(tests, bytchk_2_is_reserved, 0, 3);
	tcase_add_loop_test(tests, zero_blocks_are_verified_at_once, 0, 3);
	tcase_add_loop_test(tests, short_data_verifies_what_came, 0, 3);
	tcase_add_loop_test(tests, write_and_verify_writes_stably_and_reads_back, 0, 3);
	tcase_add_test(tests, failing_medium_is_found);
	suite_add_tcase(suite, tests);
	return suite;
}
