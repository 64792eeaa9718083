/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *mode_suite(void);

enum { CURRENT = 0, CHANGEABLE = 0x40, DEFAULTS = 0x80, SAVED = 0xc0 };
#define MODE_SENSE_6(dbd, control_page)                                                                                \
	{                                                                                                              \
		0x1a, dbd, control_page, 0, 255, 0                                                                     \
	}
#define MODE_SENSE_10(flags, control_page)                                                                             \
	{                                                                                                              \
		0x5a, flags, control_page, 0, 0, 0, 0, BE16(512), 0                                                    \
	}

START_TEST(all_pages_with_a_block_descriptor)
{
	struct issued *issued = harness_run((struct request){.cdb = MODE_SENSE_6(0, 0x3f)});

	ck_assert_uint_eq(issued->data[0] + 1u, issued->command.data_in_length);
	ck_assert_uint_eq(issued->data[2], 0x10);
	ck_assert_uint_eq(issued->data[3], 8);
	ck_assert_uint_eq(rt_get_be32(issued->data + 4), HARNESS_BLOCKS);
	ck_assert_uint_eq(rt_get_be24(issued->data + 9), 512);
	ck_assert_uint_eq(issued->data[12], 0x08);
	ck_assert_uint_eq(issued->data[13], 18);
	ck_assert_uint_eq(issued->data[14], 0x04);
	ck_assert_uint_eq(issued->data[32], 0x0a);
	ck_assert_uint_eq(issued->data[33], 10);
	ck_assert_uint_eq(issued->data[34], 0x20); /* TST = 001b */
	ck_assert_uint_eq(issued->data[37], 0x40); /* TAS */
	ck_assert_uint_eq(issued->command.data_in_length, 44);
	harness_free(issued);
}
END_TEST

START_TEST(ten_byte_form_has_a_long_block_descriptor)
{
	struct issued *issued = harness_run((struct request){.cdb = MODE_SENSE_10(0x10, 0x08)});

	ck_assert_uint_eq(rt_get_be16(issued->data) + 2u, issued->command.data_in_length);
	ck_assert_uint_eq(issued->data[4], 1);
	ck_assert_uint_eq(rt_get_be16(issued->data + 6), 16);
	ck_assert_uint_eq(rt_get_be64(issued->data + 8), HARNESS_BLOCKS);
	ck_assert_uint_eq(rt_get_be32(issued->data + 20), 512);
	ck_assert_uint_eq(issued->data[24], 0x08);
	harness_free(issued);
}
END_TEST

START_TEST(dbd_leaves_the_block_descriptor_out)
{
	struct issued *issued = harness_run((struct request){.cdb = MODE_SENSE_6(8, 0x0a)});

	ck_assert_uint_eq(issued->data[3], 0);
	ck_assert_uint_eq(issued->data[4], 0x0a);
	harness_free(issued);
}
END_TEST

START_TEST(page_control_chooses_the_values)
{
	struct issued *changeable = harness_run((struct request){.cdb = MODE_SENSE_6(8, CHANGEABLE | 0x3f)});
	struct issued *defaults = harness_run((struct request){.cdb = MODE_SENSE_6(8, DEFAULTS | 0x08)});

	ck_assert_uint_eq(changeable->data[6], 0x04);
	ck_assert_uint_eq(changeable->data[26], 0x04);
	ck_assert_uint_eq(changeable->data[28], 0x08);
	ck_assert_uint_eq(defaults->data[6], 0x04);
	harness_free(changeable);
	harness_free(defaults);
	harness_expect_sense((struct request){.cdb = MODE_SENSE_6(0, SAVED | 0x3f)}, 5, 0x3900);
}
END_TEST

START_TEST(unknown_pages_are_refused)
{
	harness_expect_sense((struct request){.cdb = MODE_SENSE_6(0, 0x05)}, 5, 0x2400);
	harness_expect_sense((struct request){.cdb = {0x1a, 0, 0x3f, 1, 255, 0}}, 5, 0x2400);
	harness_expect_good((struct request){.cdb = {0x1a, 0, 0x3f, 0xff, 255, 0}});
}
END_TEST

START_TEST(read_only_units_say_so)
{
	struct issued *issued;

	harness.spec.read_only = true;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	issued = harness_run((struct request){.cdb = MODE_SENSE_6(0, 0x3f)});
	ck_assert_uint_eq(issued->data[2], 0x90);
	harness_free(issued);
}
END_TEST

Suite *mode_suite(void)
{
	Suite *suite = suite_create("mode");
	TCase *tests = tcase_create("mode");

	tcase_add_checked_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, all_pages_with_a_block_descriptor);
	tcase_add_test(tests, ten_byte_form_has_a_long_block_descriptor);
	tcase_add_test(tests, dbd_leaves_the_block_descriptor_out);
	tcase_add_test(tests, page_control_chooses_the_values);
	tcase_add_test(tests, unknown_pages_are_refused);
	tcase_add_test(tests, read_only_units_say_so);
	suite_add_tcase(suite, tests);
	return suite;
}
