/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "s3/text.h"
#include "unit/runner.h"

START_TEST(encodes_all_but_unreserved)
{
	struct s3_text text = {0};

	s3_text_encode(&text, "a/B+c d~é", true);
	s3_text_encode(&text, "/=", false);
	ck_assert_str_eq(text.data, "a/B%2Bc%20d~%C3%A9%2F%3D");
	s3_text_free(&text);
}
END_TEST

START_TEST(decodes_what_servers_encode)
{
	char good[] = "a%2Fb+c%2b", cut[] = "a%2", hidden[] = "a%00b", wrong[] = "%zz";

	ck_assert(s3_decode(good));
	ck_assert_str_eq(good, "a/b c+");
	ck_assert(!s3_decode(cut));
	ck_assert(!s3_decode(hidden));
	ck_assert(!s3_decode(wrong));
}
END_TEST

START_TEST(base64_round_trips_and_refuses_other_lengths)
{
	const unsigned char bytes[5] = {0, 255, 7, 8, 9};
	unsigned char back[5];
	char base64[9];

	s3_base64(bytes, 5, base64);
	ck_assert_str_eq(base64, "AP8HCAk=");
	ck_assert(s3_base64_decode(base64, back, 5));
	ck_assert_mem_eq(bytes, back, 5);
	ck_assert(!s3_base64_decode(base64, back, 4));
	ck_assert(!s3_base64_decode("AP8HCAk", back, 5));
	ck_assert(!s3_base64_decode("AP8H*Ak=", back, 5));
	ck_assert(!s3_base64_decode("AP8=CAk=", back, 5));
}
END_TEST

START_TEST(numbers_are_whole_and_bounded)
{
	uint64_t number;

	ck_assert(s3_parse_number("18446744073709551615", 20, 10, UINT64_MAX, &number));
	ck_assert_uint_eq(number, UINT64_MAX);
	ck_assert(!s3_parse_number("18446744073709551616", 20, 10, UINT64_MAX, &number));
	ck_assert(s3_parse_number("0a", 2, 16, 10, &number));
	ck_assert_uint_eq(number, 10);
	ck_assert(!s3_parse_number("0b", 2, 16, 10, &number));
	ck_assert(!s3_parse_number("", 0, 10, 10, &number));
	ck_assert(!s3_parse_number("1 ", 2, 10, 10, &number));
	ck_assert(!s3_parse_number("0A", 2, 16, 255, &number));
}
END_TEST

START_TEST(grows_and_formats)
{
	struct s3_text text = {0};

	for (int i = 0; i < 1000; i++)
		s3_text_format(&text, "%03d", i);
	ck_assert(!text.failed);
	ck_assert_uint_eq(text.length, 3000);
	ck_assert_str_eq(text.data + 2994, "998999");
	s3_text_clear(&text);
	ck_assert_str_eq(text.data, "");
	s3_text_free(&text);
}
END_TEST

Suite *text_suite(void)
{
	Suite *suite = suite_create("text");
	TCase *tests = tcase_create("text");

	tcase_add_test(tests, encodes_all_but_unreserved);
	tcase_add_test(tests, decodes_what_servers_encode);
	tcase_add_test(tests, base64_round_trips_and_refuses_other_lengths);
	tcase_add_test(tests, numbers_are_whole_and_bounded);
	tcase_add_test(tests, grows_and_formats);
	suite_add_tcase(suite, tests);
	return suite;
}
