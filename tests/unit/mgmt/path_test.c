/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "mgmt/path.h"
#include "unit/runner.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(a_path_is_split_before_it_is_decoded)
{
	char text[] = "/v1//targets/iqn.2026-11.org.example%3Aa%2Fb/";
	struct mgmt_path path;

	ck_assert_int_eq(mgmt_path_split(text, &path), 0);
	ck_assert_uint_eq(path.count, 3);
	ck_assert_str_eq(path.parts[0], "v1");
	ck_assert_str_eq(path.parts[2], "iqn.2026-11.org.example:a/b");
}
END_TEST

static const char *const bad_paths[] = {"/a%", "/a%2", "/a%zz", "/%0a", "/%00", "/%7F", "/a/b/c/d/e/f/g/h/i"};

START_TEST(a_bad_path_is_refused)
{
	struct mgmt_path path;
	char text[64];

	snprintf(text, sizeof(text), "%s", bad_paths[_i]);
	ck_assert_int_eq(mgmt_path_split(text, &path), -EINVAL);
}
END_TEST

static const struct {
	const char *text;
	bool good;
	uint32_t number;
} numbers[] = {{"0", true, 0},
	       {"16383", true, 16383},
	       {"16384", false, 0},
	       {"", false, 0},
	       {"-1", false, 0},
	       {"+1", false, 0},
	       {"01", false, 0},
	       {"1x", false, 0},
	       {" 1", false, 0},
	       {"0x1", false, 0},
	       {"99999999999999999999", false, 0}};

START_TEST(a_number_has_one_spelling)
{
	uint32_t number = 0;

	ck_assert(mgmt_path_number(numbers[_i].text, 16383, &number) == numbers[_i].good);
	ck_assert_uint_eq(number, numbers[_i].number);
}
END_TEST

Suite *path_suite(void);

Suite *path_suite(void)
{
	Suite *suite = suite_create("path");
	TCase *tests = tcase_create("path");

	tcase_add_test(tests, a_path_is_split_before_it_is_decoded);
	tcase_add_loop_test(tests, a_bad_path_is_refused, 0, COUNT(bad_paths));
	tcase_add_loop_test(tests, a_number_has_one_spelling, 0, COUNT(numbers));
	suite_add_tcase(suite, tests);
	return suite;
}
