/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "rt/memory.h"

#define TOTAL 16u

static uint8_t first[5], second[1], third[10];
static struct tgtkit_segment segments[] = {
    {first, sizeof(first), 0},
    {second, sizeof(second), 0},
    {NULL, 0, 0},
    {third, sizeof(third), 0},
};
#define COUNT 4u

static void setup(void)
{
	memset(first, 'a', sizeof(first));
	memset(second, 'b', sizeof(second));
	memset(third, 'c', sizeof(third));
}

static void assert_content(const char *expected)
{
	char got[TOTAL];

	memcpy(got, first, sizeof(first));
	memcpy(got + sizeof(first), second, sizeof(second));
	memcpy(got + sizeof(first) + sizeof(second), third, sizeof(third));
	ck_assert_mem_eq(got, expected, TOTAL);
}

START_TEST(write_crosses_segments_and_touches_nothing_else)
{
	rt_segments_write(segments, COUNT, 3, "12345", 5);
	assert_content("aaa12345cccccccc");
}
END_TEST

START_TEST(write_can_fill_everything)
{
	rt_segments_write(segments, COUNT, 0, "0123456789abcdef", TOTAL);
	assert_content("0123456789abcdef");
}
END_TEST

START_TEST(read_gives_what_was_written_at_every_offset_and_length)
{
	const char *content = "0123456789abcdef";

	rt_segments_write(segments, COUNT, 0, content, TOTAL);
	for (size_t offset = 0; offset < TOTAL; offset++)
		for (size_t length = 0; length <= TOTAL - offset; length++) {
			char got[TOTAL + 1];

			memset(got, '!', sizeof(got));
			rt_segments_read(segments, COUNT, offset, got, length);
			ck_assert_mem_eq(got, content + offset, length);
			ck_assert_int_eq(got[length], '!');
		}
}
END_TEST

START_TEST(zero_crosses_segments_and_touches_nothing_else)
{
	rt_segments_zero(segments, COUNT, 4, 3);
	assert_content("aaaa\0\0\0ccccccccc");
}
END_TEST

START_TEST(nothing_at_the_end_is_allowed)
{
	rt_segments_write(segments, COUNT, TOTAL, "x", 0);
	rt_segments_zero(segments, 0, 0, 0);
	assert_content("aaaaabcccccccccc");
}
END_TEST

Suite *segments_suite(void)
{
	Suite *suite = suite_create("segments");
	TCase *tests = tcase_create("segments");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, write_crosses_segments_and_touches_nothing_else);
	tcase_add_test(tests, write_can_fill_everything);
	tcase_add_test(tests, read_gives_what_was_written_at_every_offset_and_length);
	tcase_add_test(tests, zero_crosses_segments_and_touches_nothing_else);
	tcase_add_test(tests, nothing_at_the_end_is_allowed);
	suite_add_tcase(suite, tests);
	return suite;
}
