/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "target/address.h"
#include "unit/runner.h"

static const struct {
	const char *written, *normal;
} good[] = {
    {"127.0.0.1", "127.0.0.1:3260"},	   {"127.0.0.1:1", "127.0.0.1:1"}, {"0.0.0.0:65535", "0.0.0.0:65535"},
    {"[::1]:3261", "[::1]:3261"},	   {"[::1]", "[::1]:3260"},	   {"::1", "[::1]:3260"},
    {"2001:db8::1", "[2001:db8::1]:3260"}, {"[::]:0", "[::]:0"},
};

START_TEST(an_address_has_one_normal_form)
{
	struct sockaddr_storage address;
	char text[TARGET_ADDRESS_BYTES];

	ck_assert_int_eq(target_address_parse(good[_i].written, &address), 0);
	target_address_format(&address, text);
	ck_assert_str_eq(text, good[_i].normal);
}
END_TEST

static const char *const bad[] = {
    "",	    "3260",   ":3260",	 "localhost", "10.0.0.1:",   "10.0.0.1:x",  "10.0.0.1:65536", "10.0.0",
    "[::1", "[::1]x", "[]:3260", "::1::",     "10.0.0.1:-1", "10.0.0.1: 1", "256.0.0.1",      "[10.0.0.1",
};

START_TEST(anything_else_is_refused)
{
	struct sockaddr_storage address;

	ck_assert_int_eq(target_address_parse(bad[_i], &address), -EINVAL);
}
END_TEST

START_TEST(addresses_are_equal_by_address_and_port)
{
	struct sockaddr_storage a, b;

	target_address_parse("10.0.0.1:1", &a);
	target_address_parse("10.0.0.1:1", &b);
	ck_assert(target_address_equal(&a, &b));
	target_address_parse("10.0.0.1:2", &b);
	ck_assert(!target_address_equal(&a, &b));
	target_address_parse("[::1]:1", &a);
	ck_assert(!target_address_equal(&a, &b));
	target_address_parse("[0:0::1]:1", &b);
	ck_assert(target_address_equal(&a, &b));
	target_address_parse("[::2]:1", &b);
	ck_assert(!target_address_equal(&a, &b));
}
END_TEST

static const struct {
	const char *written, *normal; /* NULL: refused */
} advertised[] = {
    {"203.0.113.5", "203.0.113.5:3260"},
    {"[2001:db8::1]:5", "[2001:db8::1]:5"},
    {"san.example.org", "san.example.org:3260"},
    {"san-1:99", "san-1:99"},
    {"a b", NULL},
    {"-x", NULL},
    {"san:99999", NULL},
    {"", NULL},
    {"san,1", NULL},
};

START_TEST(what_is_advertised_gets_a_port)
{
	char normal[300];
	int status = target_advertised_parse(advertised[_i].written, normal, sizeof(normal));

	if (!advertised[_i].normal) {
		ck_assert_int_eq(status, -EINVAL);
		return;
	}
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(normal, advertised[_i].normal);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

Suite *address_suite(void)
{
	Suite *suite = suite_create("address");
	TCase *tests = tcase_create("address");

	tcase_add_loop_test(tests, an_address_has_one_normal_form, 0, COUNT(good));
	tcase_add_loop_test(tests, anything_else_is_refused, 0, COUNT(bad));
	tcase_add_test(tests, addresses_are_equal_by_address_and_port);
	tcase_add_loop_test(tests, what_is_advertised_gets_a_port, 0, COUNT(advertised));
	suite_add_tcase(suite, tests);
	return suite;
}
