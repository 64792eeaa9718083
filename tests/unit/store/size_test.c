/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "store/plugins.h"
#include "unit/runner.h"

static uint64_t parsed(const char *text)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(store_parse_size(text, &bytes), 0);
	return bytes;
}

START_TEST(digits_alone_are_bytes)
{
	ck_assert_uint_eq(parsed("0"), 0);
	ck_assert_uint_eq(parsed("512"), 512);
	ck_assert_uint_eq(parsed("18446744073709551615"), UINT64_MAX);
}
END_TEST

START_TEST(units_are_powers_of_1024)
{
	ck_assert_uint_eq(parsed("1K"), 1024);
	ck_assert_uint_eq(parsed("4m"), 4u << 20);
	ck_assert_uint_eq(parsed("10G"), 10ull << 30);
	ck_assert_uint_eq(parsed("3T"), 3ull << 40);
	ck_assert_uint_eq(parsed("16383P"), 16383ull << 50);
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	static const char *const wrong[] = {"", "K", "-1", "+1", " 1", "1 ", "1KB", "1E", "1.5G", "0x10", "1\n", "G1"};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(store_parse_size(wrong[i], &bytes) == -EINVAL, "'%s' was accepted", wrong[i]);
}
END_TEST

START_TEST(what_does_not_fit_64_bits_is_refused)
{
	uint64_t bytes;

	ck_assert_int_eq(store_parse_size("18446744073709551616", &bytes), -ERANGE);
	ck_assert_int_eq(store_parse_size("16384P", &bytes), -ERANGE);
	ck_assert_int_eq(store_parse_size("99999999999999999999K", &bytes), -ERANGE);
}
END_TEST

Suite *size_suite(void)
{
	Suite *suite = suite_create("size");
	TCase *tests = tcase_create("parse");

	tcase_add_test(tests, digits_alone_are_bytes);
	tcase_add_test(tests, units_are_powers_of_1024);
	tcase_add_test(tests, what_is_no_size_is_refused);
	tcase_add_test(tests, what_does_not_fit_64_bits_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
