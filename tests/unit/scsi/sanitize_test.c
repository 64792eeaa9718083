/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *sanitize_suite(void);

enum { OVERWRITE = 1, BLOCK_ERASE = 2, EXIT_FAILURE_MODE = 0x1f, IMMED = 0x80, AUSE = 0x20 };
enum { IN_PROGRESS = 0x041b, FAILED = 0x3103 };

static uint8_t list[4 + 512 + 8];

static void setup(void)
{
	harness_setup();
	memset(harness.store->memory, 0x77, harness.store->memory_bytes);
	memset(harness.store->mapped, 1, harness.store->memory_bytes / 512);
	memset(list, 0, sizeof(list));
}

static struct request overwrite(uint8_t flags, uint8_t count, uint16_t pattern_length)
{
	uint16_t length = 4 + pattern_length;

	list[0] = count;
	rt_put_be16(list + 2, pattern_length);
	return (struct request){.cdb = {0x48, flags | OVERWRITE, 0, 0, 0, 0, 0, BE16(length), 0},
				.data_out = list,
				.data_out_length = length};
}

static struct request erase(uint8_t flags)
{
	return (struct request){.cdb = {0x48, flags | BLOCK_ERASE}};
}

START_TEST(overwrite_writes_the_pattern_everywhere)
{
	memcpy(list + 4, "abc", 3);
	harness_expect_good(overwrite(0, 1, 3));
	for (unsigned i = 0; i < HARNESS_BLOCKS; i++)
		ck_assert_mem_eq(harness.store->memory + i * 512, "abcabc", 6);
	ck_assert_uint_eq(harness.store->count[TGTKIT_FLUSH], 1);
}
END_TEST

/* Who comes back to a small unit after a reset still finds it in progress. */
START_TEST(overwrite_takes_its_time)
{
	uint64_t begin_ns = rt_loop_now_ns(harness.worker->loop);

	harness_expect_good(overwrite(0, 1, 1));
	ck_assert_uint_ge(rt_loop_now_ns(harness.worker->loop) - begin_ns, 500000000);
}
END_TEST

START_TEST(overwrite_inverts_between_passes)
{
	list[4] = 0x0f;
	harness_expect_good(overwrite(0, 0x82, 1));
	ck_assert_uint_eq(harness.store->memory[0], 0xf0);
	ck_assert_uint_eq(harness.store->memory[HARNESS_BLOCKS * 512 - 1], 0xf0);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 8);
}
END_TEST

START_TEST(block_erase_unmaps_everything)
{
	harness_expect_good(erase(0));
	for (unsigned i = 0; i < HARNESS_BLOCKS; i++)
		ck_assert_uint_eq(harness.store->mapped[i], 0);
}
END_TEST

START_TEST(parameters_are_checked)
{
	struct request request;

	harness_expect_sense(overwrite(0, 0, 512), 5, 0x2400);
	harness_expect_sense(overwrite(0, 0x21, 512), 5, 0x2400); /* TEST */
	request = overwrite(0, 1, 512);
	rt_put_be16(list + 2, 511);
	harness_expect_sense(request, 5, 0x2400);
	for (uint8_t length = 0; length < 5; length++) {
		request = overwrite(0, 1, 512);
		rt_put_be16(request.cdb + 7, length);
		harness_expect_sense(request, 5, 0x2400);
	}
	request = overwrite(0, 1, 512);
	rt_put_be16(request.cdb + 7, 517);
	harness_expect_sense(request, 5, 0x2400);
	request = erase(0);
	request.cdb[8] = 8;
	harness_expect_sense(request, 5, 0x2400);
	ck_assert_uint_eq(harness.store->count[TGTKIT_WRITE], 0);
}
END_TEST

static void release_and_wait(void)
{
	struct issued *ready;

	fake_store_release(harness.store);
	do {
		rt_loop_turn(harness.worker->loop, 1);
		ready = harness_run((struct request){.cdb = TEST_UNIT_READY});
		if (ready->command.status == SCSI_GOOD)
			break;
		harness_free(ready);
	} while (true);
	harness_free(ready);
}

START_TEST(while_it_goes_on_the_unit_is_not_ready_and_says_how_far_it_is)
{
	struct issued *issued;

	harness.store->hold_operation = TGTKIT_WRITE;
	harness_expect_good(overwrite(IMMED, 1, 1));
	while (fake_store_held(harness.store) == 0)
		harness_turn();
	fake_store_release_one(harness.store);
	while (harness.store->count[TGTKIT_WRITE] < 2)
		rt_loop_turn(harness.worker->loop, 1000);
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 2, IN_PROGRESS);
	harness_expect_sense((struct request){.cdb = {0x1b, 0, 0, 0, 1}}, 2, IN_PROGRESS);
	harness_expect_sense((struct request){.cdb = {0x16}}, 2, IN_PROGRESS);
	harness_expect_sense(erase(0), 2, IN_PROGRESS);
	harness_expect_good((struct request){.cdb = INQUIRY(0, 0, 36)});
	issued = harness_run((struct request){.cdb = {0x03, 0, 0, 0, 18, 0}});
	ck_assert_uint_eq(issued->data[2], 2);
	ck_assert_uint_eq(rt_get_be16(issued->data + 12), IN_PROGRESS);
	ck_assert_uint_eq(issued->data[15], 0x80);
	ck_assert_uint_eq(rt_get_be16(issued->data + 16), 65535 / 4); /* one of four MiB */
	harness_free(issued);
	release_and_wait();
}
END_TEST

START_TEST(it_outlives_its_command)
{
	struct issued *issued;

	harness.store->hold_operation = TGTKIT_DISCARD;
	issued = harness_start(erase(0));
	while (fake_store_held(harness.store) == 0)
		harness_turn();
	ck_assert_int_eq(harness_manage(SCSI_ABORT_TASK, issued, false), SCSI_FUNCTION_COMPLETE);
	ck_assert(issued->command.aborted);
	ck_assert_int_eq(harness_manage(SCSI_LOGICAL_UNIT_RESET, NULL, false), SCSI_FUNCTION_COMPLETE);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2903);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 2, IN_PROGRESS);
	release_and_wait();
	ck_assert_uint_eq(harness.store->mapped[HARNESS_BLOCKS - 1], 0);
	harness_free(issued);
}
END_TEST

START_TEST(it_waits_for_what_is_executing)
{
	struct issued *read, *issued;

	harness.store->hold_operation = TGTKIT_READ;
	read = harness_start((struct request){.cdb = READ_10(0, 1)});
	issued = harness_start(erase(0));
	harness_turn();
	ck_assert_uint_eq(harness.store->count[TGTKIT_DISCARD], 0);
	fake_store_release(harness.store);
	harness_wait(read);
	harness_wait(issued);
	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	harness_free(read);
	harness_free(issued);
}
END_TEST

START_TEST(failure_lasts_until_it_is_left_or_made_good)
{
	harness.store->fail_operation = TGTKIT_DISCARD;
	harness.store->fail_status = -EIO;
	harness_expect_sense(erase(0), 3, FAILED);
	harness_expect_sense((struct request){.cdb = READ_10(0, 1)}, 3, FAILED);
	/* Without AUSE there is no way out but another one. */
	harness_expect_sense((struct request){.cdb = {0x48, EXIT_FAILURE_MODE}}, 5, 0x2400);
	harness_expect_good(erase(0));
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	harness.store->fail_operation = TGTKIT_DISCARD;
	harness_expect_sense(erase(AUSE), 3, FAILED);
	harness_expect_good((struct request){.cdb = {0x48, EXIT_FAILURE_MODE}});
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
}
END_TEST

START_TEST(thick_units_are_not_erased)
{
	harness.spec.thin = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense(erase(0), 5, SCSI_ASC_INVALID_FIELD_IN_CDB);
}
END_TEST

Suite *sanitize_suite(void)
{
	Suite *suite = suite_create("sanitize");
	TCase *tests = tcase_create("sanitize");

	harness_add_fixture(tests, setup, harness_teardown);
	tcase_add_test(tests, overwrite_writes_the_pattern_everywhere);
	tcase_add_test(tests, overwrite_takes_its_time);
	tcase_add_test(tests, overwrite_inverts_between_passes);
	tcase_add_test(tests, block_erase_unmaps_everything);
	tcase_add_test(tests, parameters_are_checked);
	tcase_add_test(tests, while_it_goes_on_the_unit_is_not_ready_and_says_how_far_it_is);
	tcase_add_test(tests, it_outlives_its_command);
	tcase_add_test(tests, it_waits_for_what_is_executing);
	tcase_add_test(tests, failure_lasts_until_it_is_left_or_made_good);
	tcase_add_test(tests, thick_units_are_not_erased);
	suite_add_tcase(suite, tests);
	return suite;
}
