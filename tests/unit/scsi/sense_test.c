/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *sense_suite(void);

START_TEST(fixed_format_holds_key_code_and_information)
{
	struct scsi_sense sense = {
	    .key = SCSI_KEY_MEDIUM_ERROR, .asc = 0x1100, .has_information = true, .information = 0x12345678};
	uint8_t out[SCSI_SENSE_ENCODED_BYTES];

	ck_assert_uint_eq(scsi_sense_encode(&sense, false, out), 18);
	ck_assert_uint_eq(out[0], 0xf0);
	ck_assert_uint_eq(out[2], 3);
	ck_assert_uint_eq(rt_get_be32(out + 3), 0x12345678);
	ck_assert_uint_eq(out[7], 10);
	ck_assert_uint_eq(rt_get_be16(out + 12), 0x1100);
}
END_TEST

START_TEST(fixed_format_leaves_out_what_does_not_fit)
{
	struct scsi_sense sense = {
	    .key = SCSI_KEY_MEDIUM_ERROR, .has_information = true, .information = UINT64_C(1) << 32};
	uint8_t out[SCSI_SENSE_ENCODED_BYTES];

	scsi_sense_encode(&sense, false, out);
	ck_assert_uint_eq(out[0], 0x70);
	ck_assert_uint_eq(rt_get_be32(out + 3), 0);
}
END_TEST

START_TEST(field_pointer_in_both_formats)
{
	struct scsi_sense sense = {.key = 5, .asc = 0x2400, .has_field = true, .field_byte = 7, .field_bit = 3};
	uint8_t out[SCSI_SENSE_ENCODED_BYTES];

	scsi_sense_encode(&sense, false, out);
	ck_assert_mem_eq(out + 15, ((uint8_t[]){0xcb, 0, 7}), 3);
	ck_assert_uint_eq(scsi_sense_encode(&sense, true, out), 16);
	ck_assert_uint_eq(out[0], 0x72);
	ck_assert_uint_eq(out[1], 5);
	ck_assert_uint_eq(out[7], 8);
	ck_assert_mem_eq(out + 8, ((uint8_t[]){0x02, 6, 0, 0, 0xcb, 0, 7}), 7);
}
END_TEST

START_TEST(descriptor_format_holds_64_bits)
{
	struct scsi_sense sense = {.key = 3, .asc = 0x1100, .has_information = true, .information = UINT64_C(1) << 40};
	uint8_t out[SCSI_SENSE_ENCODED_BYTES];

	ck_assert_uint_eq(scsi_sense_encode(&sense, true, out), 20);
	ck_assert_mem_eq(out + 8, ((uint8_t[]){0x00, 10, 0x80, 0}), 4);
	ck_assert_uint_eq(rt_get_be64(out + 12), UINT64_C(1) << 40);
}
END_TEST

static const struct {
	int error;
	bool writing;
	uint8_t key;
	uint16_t asc;
} meanings[] = {
    {ETIMEDOUT, false, 0xb, 0x0801}, {ECONNRESET, true, 0xb, 0x0801},	{EPIPE, false, 0xb, 0x0801},
    {ENOTCONN, false, 0xb, 0x0801},  {EHOSTUNREACH, true, 0xb, 0x0801}, {ESHUTDOWN, false, 0x2, 0x040c},
    {EIO, false, 0x3, 0x1100},	     {EIO, true, 0x3, 0x0c00},		{ENOSPC, true, 0x7, 0x2707},
    {EROFS, true, 0x7, 0x2700},	     {EINVAL, false, 0x4, 0x4400},	{ENOTSUP, true, 0x4, 0x4400},
};

START_TEST(store_errors_have_their_meaning)
{
	static const uint8_t block[512];

	harness.store->fail_operation = meanings[_i].writing ? TGTKIT_WRITE : TGTKIT_READ;
	harness.store->fail_status = -meanings[_i].error;
	if (meanings[_i].writing)
		harness_expect_sense(
		    (struct request){.cdb = WRITE_10(77, 1), .data_out = block, .data_out_length = 512},
		    meanings[_i].key, meanings[_i].asc);
	else
		harness_expect_sense((struct request){.cdb = READ_10(77, 1)}, meanings[_i].key, meanings[_i].asc);
}
END_TEST

START_TEST(no_room_in_the_store_is_task_set_full)
{
	struct issued *issued;

	harness.store->fail_operation = TGTKIT_READ;
	harness.store->fail_status = -EAGAIN;
	issued = harness_run((struct request){.cdb = READ_10(77, 1)});
	ck_assert_uint_eq(issued->command.status, SCSI_TASK_SET_FULL);
	harness_free(issued);
}
END_TEST

START_TEST(medium_errors_say_the_block)
{
	struct issued *issued;

	harness.store->fail_operation = TGTKIT_READ;
	harness.store->fail_status = -EIO;
	issued = harness_run((struct request){.cdb = READ_10(77, 1)});
	harness_check_sense(issued, SCSI_KEY_MEDIUM_ERROR, 0x1100);
	ck_assert_uint_eq(issued->command.sense[0], 0xf0);
	ck_assert_uint_eq(rt_get_be32(issued->command.sense + 3), 77);
	harness_free(issued);
}
END_TEST

Suite *sense_suite(void)
{
	Suite *suite = suite_create("sense");
	TCase *encoding = tcase_create("encoding"), *errors = tcase_create("errors");

	tcase_add_test(encoding, fixed_format_holds_key_code_and_information);
	tcase_add_test(encoding, fixed_format_leaves_out_what_does_not_fit);
	tcase_add_test(encoding, field_pointer_in_both_formats);
	tcase_add_test(encoding, descriptor_format_holds_64_bits);
	suite_add_tcase(suite, encoding);
	harness_add_fixture(errors, harness_setup, harness_teardown);
	tcase_add_loop_test(errors, store_errors_have_their_meaning, 0, sizeof(meanings) / sizeof(meanings[0]));
	tcase_add_test(errors, no_room_in_the_store_is_task_set_full);
	tcase_add_test(errors, medium_errors_say_the_block);
	suite_add_tcase(suite, errors);
	return suite;
}
