/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "plugins_test.h"

START_TEST(the_header_and_its_users_compile_and_plugins_export_their_entry_point_alone)
{
	setenv("CC", TEST_CC, 1);
	setenv("CXX", TEST_CXX, 1);
	setenv("SRCDIR", TEST_SOURCES, 1);
	setenv("FILE_PLUGIN", FILE_PLUGIN, 1);
	setenv("NULL_PLUGIN", NULL_PLUGIN, 1);
	ck_assert_int_eq(system("sh \"$SRCDIR/tests/unit/plugins/header_test.sh\""), 0);
}
END_TEST

TCase *header_tests(void)
{
	TCase *tests = tcase_create("the header");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, the_header_and_its_users_compile_and_plugins_export_their_entry_point_alone);
	return tests;
}
