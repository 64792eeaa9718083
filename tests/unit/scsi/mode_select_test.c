/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *mode_select_suite(void);

static uint8_t list[64];
static const uint8_t block[512];

/* The caching page behind a header without block descriptor. */
static struct request select_caching(bool write_cache)
{
	memset(list, 0, sizeof(list));
	list[4] = 0x08;
	list[5] = 18;
	list[6] = write_cache ? 0x04 : 0;
	return (struct request){.cdb = {0x15, 0x10, 0, 0, 24, 0}, .data_out = list, .data_out_length = 24};
}

static struct request select_control(bool descriptor_sense, bool write_protect)
{
	memset(list, 0, sizeof(list));
	list[8] = 0x0a;
	list[9] = 10;
	list[10] = 0x20 | (descriptor_sense ? 0x04 : 0);
	list[11] = 0x10;
	list[12] = write_protect ? 0x08 : 0;
	list[13] = 0x40;
	return (struct request){
	    .cdb = {0x55, 0x10, 0, 0, 0, 0, 0, BE16(20), 0}, .data_out = list, .data_out_length = 20};
}

static uint8_t caching_byte(uint8_t control)
{
	struct issued *issued = harness_run((struct request){.cdb = {0x1a, 0x08, control | 0x08, 0, 255, 0}});
	uint8_t value = issued->data[6];

	harness_free(issued);
	return value;
}

START_TEST(write_cache_is_switched_off_flushed_and_told)
{
	harness_expect_good(select_caching(false));
	ck_assert_uint_eq(harness.store->count[TGTKIT_FLUSH], 1);
	ck_assert_uint_eq(caching_byte(0), 0);
	ck_assert_uint_eq(caching_byte(0x80), 0x04); /* the default stays */
	harness_expect_sense((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY}, 6, 0x2a01);
	harness_expect_good((struct request){.cdb = WRITE_10(0, 1), .data_out = block, .data_out_length = 512});
	ck_assert_uint_eq(harness.store->stable_writes, 1);
}
END_TEST

START_TEST(what_does_not_change_is_not_told)
{
	harness_expect_good(select_caching(true));
	harness_expect_good((struct request){.nexus = harness.other, .cdb = TEST_UNIT_READY});
	harness_expect_good((struct request){.cdb = {0x15, 0x10, 0, 0, 0, 0}});
}
END_TEST

START_TEST(descriptor_sense_follows_d_sense)
{
	struct issued *issued;

	harness_expect_good(select_control(true, false));
	issued = harness_run((struct request){.cdb = READ_10(HARNESS_BLOCKS, 1)});
	ck_assert_uint_eq(issued->command.sense[0], 0x72);
	ck_assert_uint_eq(rt_get_be16(issued->command.sense + 2), SCSI_ASC_LBA_OUT_OF_RANGE);
	harness_free(issued);
}
END_TEST

START_TEST(software_write_protect_refuses_writes)
{
	struct issued *issued;

	harness_expect_good(select_control(false, true));
	harness_expect_sense((struct request){.cdb = WRITE_10(0, 1)}, 7, 0x2702);
	issued = harness_run((struct request){.cdb = {0x1a, 0, 0x3f, 0, 255, 0}});
	ck_assert_uint_eq(issued->data[2], 0x90);
	harness_free(issued);
	harness_expect_good((struct request){.cdb = READ_10(0, 1)});
	harness_expect_good(select_control(false, false));
	harness_expect_good((struct request){.cdb = WRITE_10(0, 1), .data_out = block, .data_out_length = 512});
}
END_TEST

START_TEST(reset_restores_the_defaults)
{
	harness_expect_good(select_caching(false));
	ck_assert_int_eq(harness_manage(SCSI_LOGICAL_UNIT_RESET, NULL, false), SCSI_FUNCTION_COMPLETE);
	harness_expect_sense((struct request){.cdb = TEST_UNIT_READY}, 6, 0x2903);
	ck_assert_uint_eq(caching_byte(0), 0x04);
}
END_TEST

static void expect_bad_byte(struct request request, unsigned byte)
{
	struct issued *issued = harness_run(request);

	harness_check_sense(issued, 5, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST);
	ck_assert_uint_eq(issued->command.sense[15] & 0xc0, 0x80);
	ck_assert_uint_eq(rt_get_be16(issued->command.sense + 16), byte);
	harness_free(issued);
}

START_TEST(unchangeable_values_are_refused)
{
	struct request request = select_caching(false);

	list[7] = 0x01;
	expect_bad_byte(request, 7);
	request = select_caching(false);
	list[6] = 0x01; /* RCD */
	expect_bad_byte(request, 6);
	request = select_caching(false);
	list[5] = 17;
	expect_bad_byte(request, 5);
	request = select_caching(false);
	list[4] = 0x01;
	expect_bad_byte(request, 4);
	ck_assert_uint_eq(caching_byte(0), 0x04);
}
END_TEST

START_TEST(nothing_changes_when_a_later_page_is_bad)
{
	struct request request = select_caching(false);

	list[24] = 0x0a;
	list[25] = 10;
	request.cdb[4] = 36;
	request.data_out_length = 36;
	expect_bad_byte(request, 26); /* TST = 0 */
	ck_assert_uint_eq(caching_byte(0), 0x04);
}
END_TEST

START_TEST(truncated_lists_are_refused)
{
	static const uint8_t lengths[] = {1, 3, 5, 23};

	for (size_t i = 0; i < sizeof(lengths); i++) {
		struct request request = select_caching(false);

		request.cdb[4] = lengths[i];
		request.data_out_length = lengths[i];
		harness_expect_sense(request, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	}
	struct request cut = select_caching(false);

	cut.data_out_length = 20;
	harness_expect_sense(cut, 5, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
}
END_TEST

START_TEST(block_descriptor_may_only_say_what_is)
{
	uint8_t with_descriptor[12] = {0, 0, 0, 8};
	struct request request = {.cdb = {0x15, 0x10, 0, 0, 12, 0}, .data_out = with_descriptor, .data_out_length = 12};

	harness_expect_good(request);
	rt_put_be32(with_descriptor + 4, HARNESS_BLOCKS);
	rt_put_be24(with_descriptor + 9, 512);
	harness_expect_good(request);
	rt_put_be24(with_descriptor + 9, 520);
	expect_bad_byte(request, 9);
	rt_put_be24(with_descriptor + 9, 512);
	rt_put_be32(with_descriptor + 4, HARNESS_BLOCKS - 1);
	expect_bad_byte(request, 4);
	with_descriptor[3] = 7;
	expect_bad_byte(request, 3);
}
END_TEST

START_TEST(saved_values_are_refused)
{
	struct request request = select_caching(false);

	request.cdb[1] = 0x11;
	harness_expect_sense(request, 5, SCSI_ASC_INVALID_FIELD_IN_CDB);
}
END_TEST

Suite *mode_select_suite(void)
{
	Suite *suite = suite_create("mode_select");
	TCase *tests = tcase_create("mode_select");

	harness_add_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, write_cache_is_switched_off_flushed_and_told);
	tcase_add_test(tests, what_does_not_change_is_not_told);
	tcase_add_test(tests, descriptor_sense_follows_d_sense);
	tcase_add_test(tests, software_write_protect_refuses_writes);
	tcase_add_test(tests, reset_restores_the_defaults);
	tcase_add_test(tests, unchangeable_values_are_refused);
	tcase_add_test(tests, nothing_changes_when_a_later_page_is_bad);
	tcase_add_test(tests, truncated_lists_are_refused);
	tcase_add_test(tests, block_descriptor_may_only_say_what_is);
	tcase_add_test(tests, saved_values_are_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
