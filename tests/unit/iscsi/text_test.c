/* SPDX-License-Identifier: Apache-2.0
 *
 * Making text, reading it, and the values in it.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/text.h"
#include "iscsi/text_parse.h"

START_TEST(pairs_are_added)
{
	struct iscsi_text text = {0};

	iscsi_text_add(&text, "A", "1");
	iscsi_text_add(&text, "Key", "");
	ck_assert_uint_eq(text.length, 9);
	ck_assert_mem_eq(text.bytes, "A=1\0Key=\0", 9);
	iscsi_text_free(&text);
	ck_assert_ptr_null(text.bytes);
	iscsi_text_add(&text, "B", "2");
	ck_assert_uint_eq(text.length, 4);
	iscsi_text_free(&text);
}
END_TEST

START_TEST(text_has_a_limit)
{
	struct iscsi_text text = {0};
	char value[65536];

	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	while (!text.failed)
		iscsi_text_add(&text, "K", value);
	ck_assert_uint_le(text.length, ISCSI_TEXT_MAXIMUM_BYTES);
	ck_assert_uint_gt(text.length + sizeof value + 2, ISCSI_TEXT_MAXIMUM_BYTES);
	ck_assert_uint_eq(text.length % (sizeof value + 2), 0);
	iscsi_text_add(&text, "A", "1");
	ck_assert_uint_eq(text.length % (sizeof value + 2), 0);
	iscsi_text_free(&text);
}
END_TEST

static int check(const char *bytes, size_t length)
{
	char *copy = calloc(1, length + !length); /* the sanitizer guards its end */
	int result;

	memcpy(copy, bytes, length);
	result = iscsi_text_check(copy, length);
	free(copy);
	return result;
}

START_TEST(pairs_are_read)
{
	static const char bytes[] = "A=1\0Key=\0Long=a=b\0\0"; /* and the NUL of C */
	struct iscsi_text_reader reader = {.next = bytes, .end = bytes + sizeof bytes};
	struct iscsi_text_pair pair;

	ck_assert_int_eq(iscsi_text_read(&reader, &pair), 1);
	ck_assert_str_eq(pair.key, "A");
	ck_assert_str_eq(pair.value, "1");
	ck_assert_uint_eq(pair.value_bytes, 1);
	ck_assert_int_eq(iscsi_text_read(&reader, &pair), 1);
	ck_assert_str_eq(pair.key, "Key");
	ck_assert_str_eq(pair.value, "");
	ck_assert_int_eq(iscsi_text_read(&reader, &pair), 1);
	ck_assert_str_eq(pair.value, "a=b");
	ck_assert_int_eq(iscsi_text_read(&reader, &pair), 0);
	ck_assert_int_eq(iscsi_text_read(&reader, &pair), 0);
}
END_TEST

START_TEST(malformed_text_is_found)
{
	ck_assert_int_eq(check("", 0), 0);
	ck_assert_int_eq(check("\0\0", 2), 0);
	ck_assert_int_eq(check("A=1", 4), 0);
	ck_assert_int_eq(check("A=1", 3), -EPROTO);
	ck_assert_int_eq(check("A", 2), -EPROTO);
	ck_assert_int_eq(check("A\0=1", 5), -EPROTO);
	ck_assert_int_eq(check("=1", 3), -EPROTO);
	ck_assert_int_eq(check("A B=1", 6), -EPROTO);
	ck_assert_int_eq(check("A\x80=1", 5), -EPROTO);
	ck_assert_int_eq(check("\0A=1", 5), -EPROTO);
	ck_assert_int_eq(check("A=1\0\0B=1", 9), -EPROTO);
}
END_TEST

START_TEST(key_names_have_a_limit)
{
	char text[80];

	memset(text, 'k', sizeof text);
	memcpy(text + 63, "=1", 3);
	ck_assert_int_eq(check(text, 66), 0);
	text[63] = 'k';
	memcpy(text + 64, "=1", 3);
	ck_assert_int_eq(check(text, 67), -EPROTO);
}
END_TEST

START_TEST(values_have_a_limit)
{
	static char text[ISCSI_LONG_VALUE_BYTES + 4];

	memset(text, 'v', sizeof text);
	memcpy(text, "A=", 2);
	text[ISCSI_LONG_VALUE_BYTES + 2] = '\0';
	ck_assert_int_eq(check(text, ISCSI_LONG_VALUE_BYTES + 3), 0);
	text[ISCSI_LONG_VALUE_BYTES + 2] = 'v';
	text[ISCSI_LONG_VALUE_BYTES + 3] = '\0';
	ck_assert_int_eq(check(text, ISCSI_LONG_VALUE_BYTES + 4), -EPROTO);
}
END_TEST

START_TEST(keys_are_counted)
{
	static char text[4 * (ISCSI_MAXIMUM_KEYS + 1)];

	for (size_t i = 0; i < sizeof text; i += 4)
		memcpy(text + i, "A=1", 4);
	ck_assert_int_eq(check(text, sizeof text - 4), 0);
	ck_assert_int_eq(check(text, sizeof text), -E2BIG);
}
END_TEST

static const struct {
	const char *value;
	bool good;
	uint64_t number;
} numbers[] = {
    {"0", true, 0},
    {"007", true, 7},
    {"18446744073709551615", true, UINT64_MAX},
    {"18446744073709551616", false, 0},
    {"99999999999999999999999", false, 0},
    {"0xfF", true, 255},
    {"0Xffffffffffffffff", true, UINT64_MAX},
    {"0x10000000000000000", false, 0},
    {"", false, 0},
    {"0x", false, 0},
    {"1a", false, 0},
    {"0xg", false, 0},
    {"+1", false, 0},
    {"-1", false, 0},
    {" 1", false, 0},
    {"1 ", false, 0},
    {"0b10", false, 0},
};

START_TEST(numbers_are_read)
{
	uint64_t number = 0;

	ck_assert_msg(iscsi_value_number(numbers[_i].value, &number) == numbers[_i].good, "%s", numbers[_i].value);
	ck_assert_uint_eq(number, numbers[_i].number);
}
END_TEST

START_TEST(booleans_are_read)
{
	bool boolean;

	ck_assert(iscsi_value_boolean("Yes", &boolean) && boolean);
	ck_assert(iscsi_value_boolean("No", &boolean) && !boolean);
	ck_assert(!iscsi_value_boolean("yes", &boolean));
	ck_assert(!iscsi_value_boolean("", &boolean));
	ck_assert(!iscsi_value_boolean("Yes,No", &boolean));
}
END_TEST

START_TEST(lists_are_searched_in_their_own_order)
{
	static const char *const acceptable[] = {"A", "Bee", NULL};

	ck_assert_pstr_eq(iscsi_value_choose("A", acceptable), "A");
	ck_assert_pstr_eq(iscsi_value_choose("X,Bee,A", acceptable), "Bee");
	ck_assert_pstr_eq(iscsi_value_choose("AA,Be,Bees", acceptable), NULL);
	ck_assert_pstr_eq(iscsi_value_choose("", acceptable), NULL);
	ck_assert_pstr_eq(iscsi_value_choose(",,A", acceptable), "A");
	ck_assert_pstr_eq(iscsi_value_choose("X,", acceptable), NULL);
}
END_TEST

static const struct {
	const char *value;
	int length;
	uint8_t bytes[8];
} binaries[] = {
    {"0x00ff", 2, {0x00, 0xff}},
    {"0XAbCd", 2, {0xab, 0xcd}},
    {"0x123", 2, {0x01, 0x23}},
    {"0x1122334455667788", 8, {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}},
    {"0x112233445566778899", -EINVAL, {0}},
    {"0x", -EINVAL, {0}},
    {"0x1g", -EINVAL, {0}},
    {"0bAP8=", 2, {0x00, 0xff}},
    {"0BAP8=", 2, {0x00, 0xff}},
    {"0b+/+/", 3, {0xfb, 0xff, 0xbf}},
    {"0bAA==", 1, {0}},
    {"0bESIzRFVmd4g=", 8, {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88}},
    {"0bESIzRFVmd4iZ", -EINVAL, {0}}, /* nine bytes */
    {"0b", -EINVAL, {0}},
    {"0bAP8", -EINVAL, {0}},
    {"0bAP9=", -EINVAL, {0}}, /* bits left over */
    {"0bA===", -EINVAL, {0}},
    {"0b====", -EINVAL, {0}},
    {"0bA=AA", -EINVAL, {0}},
    {"0bAP8-", -EINVAL, {0}},
    {"1234", -EINVAL, {0}},
    {"", -EINVAL, {0}},
};

START_TEST(binary_values_are_read)
{
	uint8_t bytes[8] = {0};

	ck_assert_msg(iscsi_value_binary(binaries[_i].value, bytes, sizeof bytes) == binaries[_i].length, "%s",
		      binaries[_i].value);
	if (binaries[_i].length > 0)
		ck_assert_mem_eq(bytes, binaries[_i].bytes, sizeof bytes);
}
END_TEST

START_TEST(binary_values_are_written)
{
	char value[16];

	iscsi_value_put_binary(value, (const uint8_t *)"\x00\x9f\xff", 3);
	ck_assert_str_eq(value, "0x009fff");
}
END_TEST

Suite *text_suite(void)
{
	Suite *suite = suite_create("text");
	TCase *tests = tcase_create("text");

	tcase_add_test(tests, pairs_are_added);
	tcase_add_test(tests, text_has_a_limit);
	tcase_add_test(tests, pairs_are_read);
	tcase_add_test(tests, malformed_text_is_found);
	tcase_add_test(tests, key_names_have_a_limit);
	tcase_add_test(tests, values_have_a_limit);
	tcase_add_test(tests, keys_are_counted);
	tcase_add_loop_test(tests, numbers_are_read, 0, sizeof numbers / sizeof *numbers);
	tcase_add_test(tests, booleans_are_read);
	tcase_add_test(tests, lists_are_searched_in_their_own_order);
	tcase_add_loop_test(tests, binary_values_are_read, 0, sizeof binaries / sizeof *binaries);
	tcase_add_test(tests, binary_values_are_written);
	suite_add_tcase(suite, tests);
	return suite;
}
