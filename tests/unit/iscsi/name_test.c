/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "iscsi/directory.h"

static const char *const valid[] = {
    "iqn.2026-11.org.example",
    "iqn.2026-11.org.example:disk1",
    "iqn.1993-08.org.debian:01:abc-def.0",
    "iqn.2001-04.com.example:storage:disk2.sys1.xyz",
    "iqn.2026-01.org.example:pl\xc3\xa4ttli",
    "eui.02004567a425678d",
    "naa.52004567ba64678d",
    "naa.62004567ba64678d0123456789abcdef",
};

static const char *const invalid[] = {
    "",
    "iqn.",
    "iqn.2026-11",
    "iqn.2026-11.",
    "iqn.2026-11.:disk",
    "iqn.2026-11..org",
    "iqn.2026-00.org.example",
    "iqn.2026-13.org.example",
    "iqn.26-11.org.example",
    "iqn.2026-11.org.example:Disk1",
    "iqn.2026-11.org.example:disk 1",
    "iqn.2026-11.org.example:disk_1",
    "iqn.2026-11.org.example:disk/1",
    "iqn.2026-11.org.example:\x7f",
    "iqn.2026-11.org.example:\xff",
    "iqn.2026-11.org.example:\xc3",
    "iqn.2026-11.org.example:\xc0\xaf",	    /* overlong */
    "iqn.2026-11.org.example:\xed\xa0\x80", /* a surrogate */
    "iqn.2026-11.org.example:\xc2\x85",	    /* a control character */
    "iqn.2026-11.org.example:\xf4\x90\x80\x80",
    "eui.02004567a425678",
    "eui.02004567a425678d0",
    "eui.02004567A425678D",
    "eui.02004567g425678d",
    "naa.52004567ba64678",
    "naa.52004567ba64678d0",
    "org.example:disk",
};

START_TEST(name_is_valid)
{
	ck_assert_msg(iscsi_name_is_valid(valid[_i]), "%s", valid[_i]);
}
END_TEST

START_TEST(name_is_invalid)
{
	ck_assert_msg(!iscsi_name_is_valid(invalid[_i]), "%s", invalid[_i]);
}
END_TEST

START_TEST(longest_name)
{
	char name[ISCSI_NAME_BYTES + 1] = "iqn.2026-11.org.example:";

	memset(name + strlen(name), 'x', 223 - strlen(name));
	ck_assert(iscsi_name_is_valid(name));
	ck_assert(iscsi_name_is_presentable(name));
	strcat(name, "x");
	ck_assert(!iscsi_name_is_valid(name));
	ck_assert(!iscsi_name_is_presentable(name));
}
END_TEST

START_TEST(initiators_may_be_called_what_they_like)
{
	ck_assert(iscsi_name_is_presentable("iqn.1998-01.com.vmware:ESX_1"));
	ck_assert(iscsi_name_is_presentable("m\xc3\xa4rz"));
	ck_assert(!iscsi_name_is_presentable(""));
	ck_assert(!iscsi_name_is_presentable("two words"));
	ck_assert(!iscsi_name_is_presentable("line\nend"));
	ck_assert(!iscsi_name_is_presentable("\xff"));
}
END_TEST

START_TEST(normal_form_has_no_capitals)
{
	char name[] = "IQN.2026-11.org.Example:ZA[\xc3\x84";

	iscsi_name_normalise(name);
	ck_assert_str_eq(name, "iqn.2026-11.org.example:za[\xc3\x84");
}
END_TEST

Suite *name_suite(void)
{
	Suite *suite = suite_create("name");
	TCase *tests = tcase_create("name");

	tcase_add_loop_test(tests, name_is_valid, 0, sizeof valid / sizeof *valid);
	tcase_add_loop_test(tests, name_is_invalid, 0, sizeof invalid / sizeof *invalid);
	tcase_add_test(tests, longest_name);
	tcase_add_test(tests, initiators_may_be_called_what_they_like);
	tcase_add_test(tests, normal_form_has_no_capitals);
	suite_add_tcase(suite, tests);
	return suite;
}
