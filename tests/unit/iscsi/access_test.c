/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "unit/iscsi/fixture.h"

static const struct {
	const char *pattern, *name;
	bool matches;
} patterns[] = {
    {"*", "", true},
    {"*", "anything", true},
    {"", "", true},
    {"", "a", false},
    {"iqn.1993-08.org.debian:*", "iqn.1993-08.org.debian:01:abc", true},
    {"iqn.1993-08.org.debian:*", "iqn.1993-08.org.debian", false},
    {"iqn.1993-08.org.DEBIAN:*", "iqn.1993-08.org.debian:01", true},
    {"*:host?", "iqn.2026-11.org.example:host1", true},
    {"*:host?", "iqn.2026-11.org.example:host12", false},
    {"*:host?", "iqn.2026-11.org.example:host", false},
    {"a*b*c", "abc", true},
    {"a*b*c", "axxbyybzzc", true},
    {"a*b*c", "axxbyybzz", false},
    {"a**c", "ac", true},
    {"*a", "aaab", false},
    {"*ab", "aaab", true},
    {"[ab]", "a", false},
    {"[ab]", "[ab]", true},
    {"a?", "a", false},
};

START_TEST(patterns_match)
{
	ck_assert_msg(iscsi_name_matches(patterns[_i].pattern, patterns[_i].name) == patterns[_i].matches, "%s %s",
		      patterns[_i].pattern, patterns[_i].name);
}
END_TEST

/* As many asterisks as fit must not take more than quadratic time. */
START_TEST(hostile_pattern_is_cheap)
{
	char pattern[ISCSI_NAME_BYTES], name[ISCSI_NAME_BYTES];

	for (size_t i = 0; i < sizeof pattern - 1; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	memcpy(pattern + sizeof pattern - 2, "b", 2);
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	ck_assert(!iscsi_name_matches(pattern, name));
}
END_TEST

static const struct {
	const char *range, *address;
	bool contains;
} ranges[] = {
    {"10.0.0.0/8", "10.255.0.1", true},
    {"10.0.0.0/8", "11.0.0.1", false},
    {"192.0.2.128/25", "192.0.2.200", true},
    {"192.0.2.128/25", "192.0.2.127", false},
    {"192.0.2.7", "192.0.2.7", true},
    {"192.0.2.7", "192.0.2.6", false},
    {"192.0.2.7/32", "::ffff:192.0.2.7", true},
    {"0.0.0.0/0", "198.51.100.1", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "198.51.100.1", false},
    {"2001:db8::/33", "2001:db8:7fff::1", true},
    {"2001:db8::/33", "2001:db8:8000::1", false},
    {"2001:db8::1", "2001:db8::1", true},
    {"2001:db8::1", "2001:db8::2", false},
};

START_TEST(ranges_contain)
{
	struct sockaddr_storage address = fixture_address(ranges[_i].address, 1);
	struct iscsi_address_range range;

	ck_assert_int_eq(iscsi_address_range_parse(ranges[_i].range, &range), 0);
	ck_assert_msg(iscsi_address_range_contains(&range, &address) == ranges[_i].contains, "%s %s", ranges[_i].range,
		      ranges[_i].address);
	ck_assert(!iscsi_address_range_contains(&range, NULL));
}
END_TEST

START_TEST(empty_range_is_any_address)
{
	struct sockaddr_storage address = fixture_address("192.0.2.7", 1);
	struct iscsi_address_range range = {0};

	ck_assert(iscsi_address_range_contains(&range, &address));
	ck_assert(iscsi_address_range_contains(&range, NULL));
}
END_TEST

static const char *const wrong_ranges[] = {
    "",
    "/",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8 ",
    "10.0.0.0/+8",
    "10.0.0.1/8",
    "10.0.0/8",
    "2001:db8::/129",
    "2001:db8::1/64",
    "2001:db8::/0064",
    "host",
    "::ffff:10.0.0.0/104/1",
    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
};

START_TEST(wrong_ranges_are_refused)
{
	struct iscsi_address_range range = {0};

	ck_assert_int_eq(iscsi_address_range_parse(wrong_ranges[_i], &range), -EINVAL);
	ck_assert_int_eq(range.family, 0);
}
END_TEST

/* ---- Rules --------------------------------------------------------------------------------------------------------
 */

static struct scsi_lun_map all_luns, some_luns;
static struct iscsi_access_rule rules[2];

static void setup(void)
{
	fixture_setup();
	rules[0] = (struct iscsi_access_rule){.initiator = "iqn.1993-08.org.debian:*", .lun_map = &some_luns};
	ck_assert_int_eq(iscsi_address_range_parse("192.0.2.0/24", &rules[0].address), 0);
	rules[1] = (struct iscsi_access_rule){.initiator = "iqn.1991-05.com.microsoft:*", .lun_map = &all_luns};
	fixture_targets[0].restricted = true;
	fixture_targets[0].rules = rules;
	fixture_targets[0].rule_count = 2;
}

START_TEST(first_rule_that_matches_decides)
{
	ck_assert_int_eq(login_at_once(""), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_ptr_eq(iscsi_login_result(fixture_login)->lun_map, &some_luns);
	rules[1] = rules[0];
	rules[1].lun_map = &all_luns;
	ck_assert_ptr_eq(iscsi_target_admit(&fixture_targets[0], FIXTURE_INITIATOR, NULL), NULL);
	rules[0].initiator = "nobody";
	rules[1].address.family = 0;
	ck_assert_ptr_eq(iscsi_target_admit(&fixture_targets[0], FIXTURE_INITIATOR, NULL), &all_luns);
}
END_TEST

START_TEST(no_rule_matches)
{
	rules[0].initiator = "iqn.1993-08.org.debian:other";
	ck_assert_refused(login_at_once(""), 0x0202);
	ck_assert_uint_eq(fixture_response.text_bytes, 0);
}
END_TEST

START_TEST(address_is_outside)
{
	ck_assert_int_eq(iscsi_address_range_parse("198.51.100.0/24", &rules[0].address), 0);
	ck_assert_refused(login_at_once(""), 0x0202);
}
END_TEST

START_TEST(list_without_rules_admits_nobody)
{
	fixture_targets[0].rule_count = 0;
	ck_assert_refused(login_at_once(""), 0x0202);
}
END_TEST

START_TEST(unrestricted_target_shows_its_own_map)
{
	fixture_targets[0].restricted = false;
	login_at_once("");
	ck_assert_ptr_eq(iscsi_login_result(fixture_login)->lun_map, fixture_targets[0].lun_map);
}
END_TEST

Suite *access_suite(void)
{
	Suite *suite = suite_create("access");
	TCase *tests = tcase_create("matching");

	tcase_add_loop_test(tests, patterns_match, 0, sizeof patterns / sizeof *patterns);
	tcase_add_test(tests, hostile_pattern_is_cheap);
	tcase_add_loop_test(tests, ranges_contain, 0, sizeof ranges / sizeof *ranges);
	tcase_add_test(tests, empty_range_is_any_address);
	tcase_add_loop_test(tests, wrong_ranges_are_refused, 0, sizeof wrong_ranges / sizeof *wrong_ranges);
	suite_add_tcase(suite, tests);

	tests = tcase_create("rules");
	tcase_add_checked_fixture(tests, setup, fixture_teardown);
	tcase_add_test(tests, first_rule_that_matches_decides);
	tcase_add_test(tests, no_rule_matches);
	tcase_add_test(tests, address_is_outside);
	tcase_add_test(tests, list_without_rules_admits_nobody);
	tcase_add_test(tests, unrestricted_target_shows_its_own_map);
	suite_add_tcase(suite, tests);
	return suite;
}
