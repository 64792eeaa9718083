/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/lun_map.h"

Suite *lun_map_suite(void);

START_TEST(finds_what_is_mapped_and_nothing_else)
{
	const struct scsi_lun_mapping mappings[] = {{.lun = 0}, {.lun = 7}, {.lun = 256}, {.lun = SCSI_MAXIMUM_LUN}};
	struct scsi_lun_map *map = scsi_lun_map_create(mappings, 4, NULL);

	for (size_t i = 0; i < 4; i++)
		ck_assert_ptr_eq(scsi_lun_map_find(map, mappings[i].lun), &map->mappings[i]);
	ck_assert_ptr_null(scsi_lun_map_find(map, 1));
	ck_assert_ptr_null(scsi_lun_map_find(map, 255));
	ck_assert_ptr_null(scsi_lun_map_find(map, SCSI_MAXIMUM_LUN - 1));
	scsi_lun_map_drop(map);
}
END_TEST

START_TEST(empty_map_finds_nothing)
{
	struct scsi_lun_map *map = scsi_lun_map_create(NULL, 0, NULL);

	ck_assert_ptr_null(scsi_lun_map_find(map, 0));
	scsi_lun_map_drop(map);
}
END_TEST

static unsigned releases;

static void count_release(struct scsi_lun_map *map)
{
	releases++;
	free(map);
}

START_TEST(released_with_the_last_reference)
{
	struct scsi_lun_map *map = scsi_lun_map_create(NULL, 0, count_release);

	releases = 0;
	ck_assert_ptr_eq(scsi_lun_map_hold(map), map);
	scsi_lun_map_drop(map);
	ck_assert_uint_eq(releases, 0);
	scsi_lun_map_drop(map);
	ck_assert_uint_eq(releases, 1);
}
END_TEST

START_TEST(every_lun_survives_encoding)
{
	for (unsigned lun = 0; lun <= SCSI_MAXIMUM_LUN; lun++) {
		uint8_t field[8];
		uint16_t decoded;

		scsi_lun_encode((uint16_t)lun, field);
		ck_assert_uint_eq(field[0] >> 6, lun < 256 ? 0 : 1);
		ck_assert_int_eq(scsi_lun_decode(field, &decoded), SCSI_LUN_NUMBER);
		ck_assert_uint_eq(decoded, lun);
	}
}
END_TEST

START_TEST(decodes_the_other_forms)
{
	static const struct {
		uint8_t field[8];
		enum scsi_lun_kind kind;
		uint16_t lun;
	} cases[] = {
	    {{0x40, 0x05}, SCSI_LUN_NUMBER, 5}, /* flat below 256 is accepted too */
	    {{0xc1, 0x01}, SCSI_LUN_REPORT_LUNS, 0},
	    {{0x01, 0x05}, SCSI_LUN_INVALID, 0},	     /* another bus */
	    {{0x80, 0x05}, SCSI_LUN_INVALID, 0},	     /* logical unit addressing */
	    {{0xc1, 0x02}, SCSI_LUN_INVALID, 0},	     /* another well-known unit */
	    {{0x00, 0x05, 0x00, 0x01}, SCSI_LUN_INVALID, 0}, /* a second level */
	    {{0xc1, 0x01, 0, 0, 0, 0, 0, 1}, SCSI_LUN_INVALID, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t lun = 0;

		ck_assert_int_eq(scsi_lun_decode(cases[i].field, &lun), cases[i].kind);
		ck_assert_uint_eq(lun, cases[i].lun);
	}
}
END_TEST

Suite *lun_map_suite(void)
{
	Suite *suite = suite_create("lun_map");
	TCase *tests = tcase_create("lun_map");

	tcase_add_test(tests, finds_what_is_mapped_and_nothing_else);
	tcase_add_test(tests, empty_map_finds_nothing);
	tcase_add_test(tests, released_with_the_last_reference);
	tcase_add_test(tests, every_lun_survives_encoding);
	tcase_add_test(tests, decodes_the_other_forms);
	suite_add_tcase(suite, tests);
	return suite;
}
