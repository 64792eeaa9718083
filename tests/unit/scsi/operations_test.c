/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the whole table: every row with reserved bits, with blocks beyond the end, with lengths beyond the limit.
 */
#include <stdio.h>
#include <string.h>

#include "rt/bytes.h"
#include "scsi/operations.h"
#include "unit/scsi/harness.h"

Suite *operations_suite(void);

static void fill_cdb(const struct scsi_operation *row, uint8_t cdb[static 16])
{
	memset(cdb, 0, 16);
	cdb[0] = row->code;
	cdb[1] = row->flags & SCSI_OP_SERVICE_ACTION ? row->service_action : 0;
}

static void put_field(uint8_t *cdb, unsigned at, unsigned bytes, uint64_t value)
{
	for (unsigned i = bytes; i-- > 0; value >>= 8)
		cdb[at + i] = (uint8_t)value;
}

static bool bit_is_ignored(const struct scsi_operation *row, unsigned byte, unsigned bit)
{
	if (byte != 1)
		return false;
	if (row->flags & SCSI_OP_SERVICE_ACTION && bit < 5)
		return true;
	return (row->also_byte_1 & 1u << bit) != 0 || (bit >= 5 && !(row->flags & SCSI_OP_STRICT_BYTE_1));
}

static void refuse_bit(const struct scsi_operation *row, unsigned byte, unsigned bit)
{
	struct issued *issued;
	struct request request = {0};

	fill_cdb(row, request.cdb);
	request.cdb[byte] |= (uint8_t)(1u << bit);
	issued = harness_prepare(request);
	ck_assert_msg(issued->done, "%s takes bit %u of byte %u", row->name, bit, byte);
	harness_check_sense(issued, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
	ck_assert_msg(rt_get_be16(issued->command.sense + 16) == byte && (issued->command.sense[15] & 7) == bit,
		      "%s: field pointer for bit %u of byte %u", row->name, bit, byte);
	harness_free(issued);
}

/* A unit that has every operation. */
static void offer_everything(void)
{
	harness.spec.removable = true;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness.store->capabilities.atomic_write_bytes = 8192;
	for (size_t i = 0; i < scsi_operations_count(); i++)
		ck_assert_msg(scsi_operation_offered(scsi_operations_get(i), harness.unit), "%s",
			      scsi_operations_get(i)->name);
}

START_TEST(every_bit_outside_the_usage_mask_is_refused)
{
	offer_everything();
	for (size_t i = 0; i < scsi_operations_count(); i++) {
		const struct scsi_operation *row = scsi_operations_get(i);

		for (unsigned byte = 1; byte < row->cdb_bytes; byte++)
			for (unsigned bit = 0; bit < 8; bit++)
				if (!(row->usage[byte] & 1u << bit) && !bit_is_ignored(row, byte, bit))
					refuse_bit(row, byte, bit);
	}
}
END_TEST

START_TEST(bytes_behind_the_cdb_do_not_matter)
{
	struct request request = {.cdb = TEST_UNIT_READY};

	memset(request.cdb + 6, 0xff, 10);
	harness_expect_good(request);
}
END_TEST

static void run_row_expecting(const struct scsi_operation *row, uint64_t lba, uint64_t length, uint16_t asc)
{
	static const uint8_t data[4096];
	struct request request = {.data_out = data, .data_out_length = sizeof(data)};
	struct issued *issued;

	fill_cdb(row, request.cdb);
	put_field(request.cdb, row->lba_at, row->lba_bytes, lba);
	if (row->length_bytes != 0)
		put_field(request.cdb, row->length_at, row->length_bytes, length);
	issued = harness_prepare(request);
	ck_assert_msg(issued->done, "%s takes lba %llu, length %llu", row->name, (unsigned long long)lba,
		      (unsigned long long)length);
	harness_check_sense(issued, SCSI_KEY_ILLEGAL_REQUEST, asc);
	harness_free(issued);
}

START_TEST(every_range_is_checked_without_overflow)
{
	offer_everything();
	for (size_t i = 0; i < scsi_operations_count(); i++) {
		const struct scsi_operation *row = scsi_operations_get(i);
		uint64_t largest = row->lba_bytes == 8 ? UINT64_MAX : row->lba_bytes == 4 ? UINT32_MAX : 0x1fffff;

		if (row->lba_bytes == 0)
			continue;
		run_row_expecting(row, HARNESS_BLOCKS + 1, 0, SCSI_ASC_LBA_OUT_OF_RANGE);
		run_row_expecting(row, largest, 1, SCSI_ASC_LBA_OUT_OF_RANGE);
		if (row->length_unit != SCSI_LENGTH_BLOCKS && row->length_unit != SCSI_LENGTH_RANGE)
			continue;
		run_row_expecting(row, HARNESS_BLOCKS, 1, SCSI_ASC_LBA_OUT_OF_RANGE);
		run_row_expecting(row, HARNESS_BLOCKS - 1, 2, SCSI_ASC_LBA_OUT_OF_RANGE);
		run_row_expecting(row, largest, 2, SCSI_ASC_LBA_OUT_OF_RANGE);
	}
}
END_TEST

START_TEST(transfers_above_the_limit_are_refused)
{
	harness.spec.maximum_transfer_bytes = 64 << 10;
	offer_everything();
	for (size_t i = 0; i < scsi_operations_count(); i++) {
		const struct scsi_operation *row = scsi_operations_get(i);

		if (row->length_unit == SCSI_LENGTH_BLOCKS && row->length_bytes >= 2 && row->lba_bytes != 0)
			run_row_expecting(row, 0, 129, SCSI_ASC_INVALID_FIELD_IN_CDB);
	}
}
END_TEST

static bool row_exists(uint8_t code)
{
	for (size_t i = 0; i < scsi_operations_count(); i++)
		if (scsi_operations_get(i)->code == code)
			return true;
	return false;
}

START_TEST(every_other_code_is_no_command)
{
	unsigned unknown = 0;

	for (unsigned code = 0; code < 256; code++) {
		if (row_exists((uint8_t)code))
			continue;
		unknown++;
		harness_expect_sense((struct request){.cdb = {(uint8_t)code}}, SCSI_KEY_ILLEGAL_REQUEST,
				     SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
	}
	ck_assert_uint_gt(unknown, 100);
}
END_TEST

START_TEST(unknown_service_action_points_at_it)
{
	struct issued *issued = harness_run((struct request){.cdb = {0x9e, 0x1f}});

	harness_check_sense(issued, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
	ck_assert_mem_eq(issued->command.sense + 15, ((uint8_t[]){0xcc, 0, 1}), 3);
	harness_free(issued);
}
END_TEST

START_TEST(unmap_is_no_command_of_a_thick_unit)
{
	harness.spec.thin = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	harness_expect_sense((struct request){.cdb = {0x42}}, SCSI_KEY_ILLEGAL_REQUEST,
			     SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
}
END_TEST

START_TEST(report_supported_operation_codes_tells_all_rows)
{
	struct issued *issued = harness_run((struct request){.cdb = {0xa3, 0x0c, 0x80, 0, 0, 0, BE32(8192), 0, 0}});
	uint32_t length = rt_get_be32(issued->data);
	size_t at = 4;

	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	ck_assert_uint_eq(length + 4, issued->command.data_in_length);
	for (size_t i = 0; i < scsi_operations_count(); i++) {
		const struct scsi_operation *row = scsi_operations_get(i);

		if (row->offered != NULL && !row->offered(harness.unit))
			continue;
		ck_assert_uint_eq(issued->data[at], row->code);
		ck_assert_uint_eq(rt_get_be16(issued->data + at + 2), row->service_action);
		ck_assert_uint_eq(rt_get_be16(issued->data + at + 6), row->cdb_bytes);
		ck_assert_uint_eq(rt_get_be16(issued->data + at + 8), 10);
		at += 20;
	}
	ck_assert_uint_eq(at, length + 4);
	harness_free(issued);
}
END_TEST

START_TEST(report_supported_operation_codes_tells_each_row)
{
	for (size_t i = 0; i < scsi_operations_count(); i++) {
		const struct scsi_operation *row = scsi_operations_get(i);
		bool action = (row->flags & SCSI_OP_SERVICE_ACTION) != 0;
		uint8_t options = action ? 2 : 1;
		struct issued *issued = harness_run(
		    (struct request){.cdb = {0xa3, 0x0c, options, row->code, 0, row->service_action, BE32(512), 0, 0}});
		bool offered = row->offered == NULL || row->offered(harness.unit);

		ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
		ck_assert_uint_eq(issued->data[1] & 7, offered ? 3 : 1);
		if (offered) {
			ck_assert_uint_eq(rt_get_be16(issued->data + 2), row->cdb_bytes);
			ck_assert_uint_eq(issued->data[4], row->code);
			ck_assert_uint_eq(issued->data[5], row->usage[1] | row->service_action);
			ck_assert_mem_eq(issued->data + 6, row->usage + 2, row->cdb_bytes - 2u);
		}
		harness_free(issued);
	}
}
END_TEST

START_TEST(report_supported_operation_codes_checks_its_options)
{
	harness_expect_sense((struct request){.cdb = {0xa3, 0x0c, 4, 0x12, 0, 0, BE32(512), 0, 0}}, 5, 0x2400);
	/* A code with service actions needs one, others take none. */
	harness_expect_sense((struct request){.cdb = {0xa3, 0x0c, 1, 0xa3, 0, 0, BE32(512), 0, 0}}, 5, 0x2400);
	harness_expect_sense((struct request){.cdb = {0xa3, 0x0c, 2, 0x12, 0, 0, BE32(512), 0, 0}}, 5, 0x2400);
	harness_expect_good((struct request){.cdb = {0xa3, 0x0c, 3, 0x12, 0, 0, BE32(512), 0, 0}});
	harness_expect_good((struct request){.cdb = {0xa3, 0x0c, 1, 0xff, 0, 0, BE32(512), 0, 0}});
}
END_TEST

Suite *operations_suite(void)
{
	Suite *suite = suite_create("operations");
	TCase *tests = tcase_create("operations");

	harness_add_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, every_bit_outside_the_usage_mask_is_refused);
	tcase_add_test(tests, bytes_behind_the_cdb_do_not_matter);
	tcase_add_test(tests, every_range_is_checked_without_overflow);
	tcase_add_test(tests, transfers_above_the_limit_are_refused);
	tcase_add_test(tests, every_other_code_is_no_command);
	tcase_add_test(tests, unknown_service_action_points_at_it);
	tcase_add_test(tests, unmap_is_no_command_of_a_thick_unit);
	tcase_add_test(tests, report_supported_operation_codes_tells_all_rows);
	tcase_add_test(tests, report_supported_operation_codes_tells_each_row);
	tcase_add_test(tests, report_supported_operation_codes_checks_its_options);
	suite_add_tcase(suite, tests);
	return suite;
}
