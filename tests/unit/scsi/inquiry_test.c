/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "rt/bytes.h"
#include "unit/scsi/harness.h"

Suite *inquiry_suite(void);

START_TEST(standard_data_names_the_unit)
{
	struct issued *issued = harness_run((struct request){.cdb = INQUIRY(0, 0, 255)});

	ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
	ck_assert_uint_eq(issued->command.data_in_length, issued->data[4] + 5u);
	ck_assert_uint_eq(issued->data[0], 0x00);
	ck_assert_uint_eq(issued->data[1], 0x00);
	ck_assert_mem_eq(issued->data + 8, "TGTKIT  VIRTUAL-DISK    0001", 28);
	harness_free(issued);
}
END_TEST

START_TEST(standard_data_is_cut_to_the_allocation_length)
{
	static const uint16_t lengths[] = {0, 1, 3, 5, 36, 74, 75, 65535};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct issued *issued = harness_run((struct request){.cdb = INQUIRY(0, 0, lengths[i])});

		ck_assert_uint_eq(issued->command.status, SCSI_GOOD);
		ck_assert_uint_eq(issued->command.data_in_length, lengths[i] < 74 ? lengths[i] : 74);
		harness_free(issued);
	}
}
END_TEST

START_TEST(names_and_medium_come_from_the_spec)
{
	struct issued *issued;

	harness.spec.vendor = "ACME";
	harness.spec.product = "DISK";
	harness.spec.removable = true;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	issued = harness_run((struct request){.cdb = INQUIRY(0, 0, 255)});
	ck_assert_uint_eq(issued->data[1], 0x80);
	ck_assert_mem_eq(issued->data + 8, "ACME    DISK            ", 24);
	harness_free(issued);
}
END_TEST

START_TEST(page_code_needs_evpd)
{
	harness_expect_sense((struct request){.cdb = INQUIRY(0, 0x80, 255)}, 5, 0x2400);
	harness_expect_sense((struct request){.cdb = INQUIRY(1, 0x7f, 255)}, 5, 0x2400);
}
END_TEST

START_TEST(every_listed_page_answers_in_order)
{
	struct issued *list = harness_run((struct request){.cdb = INQUIRY(1, 0, 255)});

	ck_assert_uint_eq(list->data[4], 0x00);
	for (unsigned i = 0; i < list->data[3]; i++) {
		uint8_t code = list->data[4 + i];
		struct issued *page = harness_run((struct request){.cdb = INQUIRY(1, code, 1024)});

		ck_assert(i == 0 || code > list->data[3 + i]);
		ck_assert_uint_eq(page->command.status, SCSI_GOOD);
		ck_assert_uint_eq(page->data[1], code);
		ck_assert_uint_eq(page->command.data_in_length, rt_get_be16(page->data + 2) + 4u);
		harness_free(page);
	}
	harness_free(list);
}
END_TEST

START_TEST(serial_number_is_the_unit_s)
{
	struct issued *page = harness_run((struct request){.cdb = INQUIRY(1, 0x80, 255)});

	ck_assert_uint_eq(page->data[3], 36);
	ck_assert_mem_eq(page->data + 4, harness.spec.serial, 36);
	harness_free(page);
}
END_TEST

static const uint8_t *find_designator(const struct issued *page, uint8_t association_type)
{
	size_t end = page->command.data_in_length;

	for (size_t at = 4; at + 4 <= end; at += 4u + page->data[at + 3]) {
		ck_assert_uint_le(at + 4 + page->data[at + 3], end);
		if ((page->data[at + 1] & 0x3f) == association_type)
			return page->data + at;
	}
	return NULL;
}

START_TEST(identification_holds_unit_and_port)
{
	struct issued *page = harness_run((struct request){.cdb = INQUIRY(1, 0x83, 1024)});
	const uint8_t *naa = find_designator(page, 0x03), *t10 = find_designator(page, 0x01);
	const uint8_t *relative = find_designator(page, 0x14), *group = find_designator(page, 0x15);
	const uint8_t *port = find_designator(page, 0x18), *device = find_designator(page, 0x28);

	ck_assert_uint_eq(naa[4] >> 4, 3);
	ck_assert_uint_eq(naa[3], 8);
	ck_assert_mem_eq(t10 + 4, "TGTKIT  6f9619ff", 16);
	ck_assert_uint_eq(rt_get_be16(relative + 6), 1);
	ck_assert_uint_eq(rt_get_be16(group + 6), 1);
	ck_assert_str_eq((const char *)port + 4, "iqn.2026-11.org.example:disk,t,0x0001");
	ck_assert_str_eq((const char *)device + 4, "iqn.2026-11.org.example:disk");
	harness_free(page);
}
END_TEST

START_TEST(block_limits_say_what_is_enforced)
{
	struct issued *page;

	harness.spec.maximum_transfer_bytes = 1 << 20;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	page = harness_run((struct request){.cdb = INQUIRY(1, 0xb0, 255)});
	ck_assert_uint_eq(rt_get_be16(page->data + 2), 0x3c);
	ck_assert_uint_eq(rt_get_be16(page->data + 6), 8); /* 4096 by 512 */
	ck_assert_uint_eq(rt_get_be32(page->data + 8), 2048);
	ck_assert_uint_eq(rt_get_be32(page->data + 12), 128);
	ck_assert_uint_ne(rt_get_be32(page->data + 20), 0);
	ck_assert_uint_ne(rt_get_be32(page->data + 24), 0);
	ck_assert_uint_eq(rt_get_be32(page->data + 28), 8);
	harness_free(page);
}
END_TEST

START_TEST(provisioning_follows_the_store)
{
	struct issued *page = harness_run((struct request){.cdb = INQUIRY(1, 0xb2, 255)});

	ck_assert_uint_eq(page->data[5], 0xe4);
	ck_assert_uint_eq(page->data[6], 2);
	harness_free(page);
	harness.spec.thin = false;
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS);
	page = harness_run((struct request){.cdb = INQUIRY(1, 0xb2, 255)});
	ck_assert_uint_eq(page->data[5], 0);
	ck_assert_uint_eq(page->data[6], 0);
	harness_free(page);
}
END_TEST

START_TEST(rotation_follows_the_store)
{
	struct issued *page = harness_run((struct request){.cdb = INQUIRY(1, 0xb1, 255)});

	ck_assert_uint_eq(rt_get_be16(page->data + 4), 1);
	harness_free(page);
	harness_restart((uint64_t)HARNESS_BLOCKS * 512, HARNESS_FLAGS | TGTKIT_ROTATIONAL);
	page = harness_run((struct request){.cdb = INQUIRY(1, 0xb1, 255)});
	ck_assert_uint_eq(rt_get_be16(page->data + 4), 0);
	harness_free(page);
}
END_TEST

Suite *inquiry_suite(void)
{
	Suite *suite = suite_create("inquiry");
	TCase *tests = tcase_create("inquiry");

	tcase_add_checked_fixture(tests, harness_setup, harness_teardown);
	tcase_add_test(tests, standard_data_names_the_unit);
	tcase_add_test(tests, standard_data_is_cut_to_the_allocation_length);
	tcase_add_test(tests, names_and_medium_come_from_the_spec);
	tcase_add_test(tests, page_code_needs_evpd);
	tcase_add_test(tests, every_listed_page_answers_in_order);
	tcase_add_test(tests, serial_number_is_the_unit_s);
	tcase_add_test(tests, identification_holds_unit_and_port);
	tcase_add_test(tests, block_limits_say_what_is_enforced);
	tcase_add_test(tests, provisioning_follows_the_store);
	tcase_add_test(tests, rotation_follows_the_store);
	suite_add_tcase(suite, tests);
	return suite;
}
