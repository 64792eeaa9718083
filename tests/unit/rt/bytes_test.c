/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>

#include "rt/bytes.h"

START_TEST(numbers_are_read_big_endian)
{
	const uint8_t wire[] = {0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88};

	ck_assert_uint_eq(rt_get_be16(wire), 0x8182);
	ck_assert_uint_eq(rt_get_be24(wire), 0x818283);
	ck_assert_uint_eq(rt_get_be32(wire), 0x81828384);
	ck_assert_uint_eq(rt_get_be64(wire), 0x8182838485868788);
}
END_TEST

START_TEST(numbers_are_written_big_endian_and_no_further)
{
	const uint8_t wire[] = {0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0xee};
	uint8_t got[9] = {[2] = 0xee};

	rt_put_be16(got, 0x8182);
	ck_assert_mem_eq(got, wire, 2);
	ck_assert_uint_eq(got[2], 0xee);
	got[3] = 0xee;
	rt_put_be24(got, 0x818283);
	ck_assert_mem_eq(got, wire, 3);
	ck_assert_uint_eq(got[3], 0xee);
	got[4] = 0xee;
	rt_put_be32(got, 0x81828384);
	ck_assert_mem_eq(got, wire, 4);
	ck_assert_uint_eq(got[4], 0xee);
	got[8] = 0xee;
	rt_put_be64(got, 0x8182838485868788);
	ck_assert_mem_eq(got, wire, 9);
}
END_TEST

START_TEST(serial_numbers_are_ordered_across_the_wrap)
{
	ck_assert(rt_serial_before(1, 2));
	ck_assert(!rt_serial_before(2, 1));
	ck_assert(!rt_serial_before(7, 7));
	ck_assert(rt_serial_before(0xffffffff, 0));
	ck_assert(rt_serial_before(0xfffffff0, 0x10));
	ck_assert(!rt_serial_before(0x10, 0xfffffff0));
}
END_TEST

START_TEST(rounding_goes_to_multiples_of_a_power_of_two)
{
	ck_assert_uint_eq(rt_round_down(4095, 4096), 0);
	ck_assert_uint_eq(rt_round_down(8191, 4096), 4096);
	ck_assert_uint_eq(rt_round_up(0, 4096), 0);
	ck_assert_uint_eq(rt_round_up(4096, 4096), 4096);
	ck_assert_uint_eq(rt_round_up(4097, 4096), 8192);
	ck_assert(rt_is_power_of_two(1));
	ck_assert(rt_is_power_of_two(UINT64_C(1) << 63));
	ck_assert(!rt_is_power_of_two(0));
	ck_assert(!rt_is_power_of_two(12));
}
END_TEST

Suite *bytes_suite(void)
{
	Suite *suite = suite_create("bytes");
	TCase *tests = tcase_create("bytes");

	tcase_add_test(tests, numbers_are_read_big_endian);
	tcase_add_test(tests, numbers_are_written_big_endian_and_no_further);
	tcase_add_test(tests, serial_numbers_are_ordered_across_the_wrap);
	tcase_add_test(tests, rounding_goes_to_multiples_of_a_power_of_two);
	suite_add_tcase(suite, tests);
	return suite;
}
