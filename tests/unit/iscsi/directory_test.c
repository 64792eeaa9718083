/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>

#include "iscsi/directory.h"

static unsigned released;

static void count_release(struct iscsi_directory *directory)
{
	(void)directory;
	released++;
}

START_TEST(last_reference_releases)
{
	struct iscsi_directory directory = {.references = 1, .released = count_release};

	released = 0;
	ck_assert_ptr_eq(iscsi_directory_hold(&directory), &directory);
	iscsi_directory_drop(&directory);
	ck_assert_uint_eq(released, 0);
	iscsi_directory_drop(&directory);
	ck_assert_uint_eq(released, 1);
	iscsi_directory_drop(NULL);
}
END_TEST

START_TEST(targets_are_found_by_name)
{
	static const struct iscsi_target targets[] = {{.name = "a"}, {.name = "b"}, {.name = "d"}, {.name = "da"}};
	struct iscsi_directory directory = {.targets = targets};

	for (directory.target_count = 0; directory.target_count <= 4; directory.target_count++) {
		for (size_t i = 0; i < 4; i++)
			ck_assert_ptr_eq(iscsi_directory_find_target(&directory, targets[i].name),
					 i < directory.target_count ? &targets[i] : NULL);
		ck_assert_ptr_null(iscsi_directory_find_target(&directory, "c"));
		ck_assert_ptr_null(iscsi_directory_find_target(&directory, ""));
	}
}
END_TEST

START_TEST(ports_are_found_by_tag)
{
	static const struct iscsi_target_port ports[] = {{.tag = 3}, {.tag = 1}};
	struct iscsi_target target = {.ports = ports, .port_count = 2};

	ck_assert_ptr_eq(iscsi_target_find_port(&target, 1), &ports[1]);
	ck_assert_ptr_eq(iscsi_target_find_port(&target, 3), &ports[0]);
	ck_assert_ptr_null(iscsi_target_find_port(&target, 2));
}
END_TEST

Suite *directory_suite(void)
{
	Suite *suite = suite_create("directory");
	TCase *tests = tcase_create("directory");

	tcase_add_test(tests, last_reference_releases);
	tcase_add_test(tests, targets_are_found_by_name);
	tcase_add_test(tests, ports_are_found_by_tag);
	suite_add_tcase(suite, tests);
	return suite;
}
