/* SPDX-License-Identifier: Apache-2.0
 *
 * From files and folders to the registry.  Every test uses names of its own, as what is loaded stays.
 */
#include "store/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/runner.h"
#include "unit/store/folder.h"

static struct folder first, second;
static char error[STORE_ERROR_BYTES];

static void setup(void)
{
	folder_create(&first);
	folder_create(&second);
	unsetenv("TGTKIT_PLUGIN_PATH");
	error[0] = '\0';
}

static void teardown(void)
{
	folder_remove(&first);
	folder_remove(&second);
}

static unsigned scan(void)
{
	const char *folders[] = {first.path, second.path};

	return store_plugins_scan(folders, 2);
}

static void assert_refused(const char *file, int status, const char *reason)
{
	ck_assert_int_eq(store_plugins_check_file(file, error), status);
	ck_assert_msg(strstr(error, reason) != NULL, "'%s' does not say '%s'", error, reason);
	ck_assert_msg(strstr(error, file) != NULL, "'%s' does not name '%s'", error, file);
	ck_assert_ptr_null(strchr(error, '\n'));
}

/* ---- The registry --------------------------------------------------------------------------------------------------
 */

START_TEST(a_scan_loads_what_it_finds_and_says_what_it_refuses)
{
	const struct store_plugin *plugin;
	size_t before = store_plugins_count();

	folder_add_specimen(&first, "plain.so");
	folder_add_text(&first, "broken.so", "not ELF");
	folder_add_text(&first, "README", "no plugin");
	folder_add_specimen(&first, ".hidden.so");
	ck_assert_uint_eq(scan(), 1);
	ck_assert_uint_eq(store_plugins_count(), before + 1);
	plugin = store_plugins_by_name("plain");
	ck_assert_ptr_nonnull(plugin);
	ck_assert_ptr_eq(store_plugins_get(before), plugin);
	ck_assert_ptr_null(store_plugins_get(before + 1));
	ck_assert_ptr_eq(store_plugins_by_prefix("plain:x", 5), plugin);
	ck_assert_ptr_null(store_plugins_by_prefix("plain", 4));
	ck_assert_ptr_null(store_plugins_by_name("hidden"));
	ck_assert_str_eq(plugin->file, folder_file(&first, "plain.so"));
	ck_assert_uint_eq(plugin->index, before);
}
END_TEST

START_TEST(a_repeated_scan_only_adds)
{
	const struct store_plugin *plugin;
	size_t count;

	folder_add_specimen(&first, "early.so");
	ck_assert_uint_eq(scan(), 0);
	plugin = store_plugins_by_name("early");
	count = store_plugins_count();
	folder_add_specimen(&first, "later.so");
	ck_assert_uint_eq(scan(), 0);
	ck_assert_uint_eq(store_plugins_count(), count + 1);
	ck_assert_ptr_eq(store_plugins_by_name("early"), plugin);
	ck_assert_ptr_nonnull(store_plugins_by_name("later"));
}
END_TEST

START_TEST(the_first_folder_wins)
{
	folder_add_specimen(&first, "rival.so");
	folder_add_specimen(&second, "rival.so");
	ck_assert_uint_eq(scan(), 0);
	ck_assert_str_eq(store_plugins_by_name("rival")->file, folder_file(&first, "rival.so"));
}
END_TEST

START_TEST(the_environments_folders_come_first)
{
	char path[2 * FOLDER_PATH_BYTES];
	const char *folders[] = {first.path};

	snprintf(path, sizeof(path), "/nonexistent::%s", second.path);
	ck_assert_int_eq(setenv("TGTKIT_PLUGIN_PATH", path, 1), 0);
	folder_add_specimen(&first, "contender.so");
	folder_add_specimen(&second, "contender.so");
	ck_assert_uint_eq(store_plugins_scan(folders, 1), 0);
	ck_assert_str_eq(store_plugins_by_name("contender")->file, folder_file(&second, "contender.so"));
	unsetenv("TGTKIT_PLUGIN_PATH");
}
END_TEST

START_TEST(a_second_claim_to_a_prefix_is_refused_with_both_files)
{
	const char *file;

	folder_add_specimen(&first, "owner.so");
	file = folder_add_specimen(&second, "clash-owner.so");
	ck_assert_uint_eq(scan(), 1);
	ck_assert_ptr_null(store_plugins_by_name("clash-owner"));
	assert_refused(file, -EEXIST, folder_file(&first, "owner.so"));
}
END_TEST

START_TEST(checking_a_file_registers_nothing)
{
	const char *file = folder_add_specimen(&first, "checked.so");
	size_t count = store_plugins_count();

	ck_assert_int_eq(store_plugins_check_file(file, error), 0);
	ck_assert_int_eq(store_plugins_check_file(file, error), 0);
	ck_assert_uint_eq(store_plugins_count(), count);
	/* And does not keep it from being loaded afterwards. */
	ck_assert_uint_eq(scan(), 0);
	ck_assert_ptr_nonnull(store_plugins_by_name("checked"));
}
END_TEST

/* ---- Refusals ------------------------------------------------------------------------------------------------------
 */

START_TEST(a_file_that_is_no_plugin_is_refused)
{
	assert_refused(folder_add_text(&first, "text.so", "#!/bin/sh\n"), -ENOEXEC, "no ELF");
	assert_refused(folder_add_text(&first, "empty.so", ""), -ENOEXEC, "no ELF");
	assert_refused(folder_add_text(&first, "truncated.so", "\177ELF\2\1\1 and then nothing of use"), -ENOEXEC,
		       "cannot be loaded");
	assert_refused(folder_add_stranger(&first, "stranger.so"), -ENOEXEC, TGTKIT_PLUGIN_SYMBOL);
	assert_refused(folder_file(&first, "missing.so"), -ENOENT, "No such file");
	assert_refused(folder_add_specimen(&first, "plugin.dll"), -EINVAL, "NAME.so");
}
END_TEST

START_TEST(a_folder_called_like_a_plugin_is_refused)
{
	ck_assert_int_eq(mkdir(folder_file(&first, "folder.so"), 0755), 0);
	assert_refused(folder_file(&first, "folder.so"), -EINVAL, "not a regular file");
	ck_assert_int_eq(rmdir(folder_file(&first, "folder.so")), 0);
}
END_TEST

START_TEST(a_plugin_that_declares_another_name_is_refused)
{
	assert_refused(folder_add_specimen(&first, "liar-1.so"), -EINVAL, "somebody-else");
}
END_TEST

START_TEST(a_plugin_of_another_version_is_refused)
{
	assert_refused(folder_add_specimen(&first, "old-1.so"), -EINVAL, "1.0");
}
END_TEST

START_TEST(a_plugin_that_cannot_work_here_is_refused)
{
	assert_refused(folder_add_specimen(&first, "null-1.so"), -ENODEV, "cannot work here");
}
END_TEST

START_TEST(a_file_that_others_can_write_is_refused)
{
	const char *file = folder_add_specimen(&first, "writable.so");

	ck_assert_int_eq(chmod(file, 0775), 0);
	assert_refused(file, -EPERM, "chmod");
	ck_assert_int_eq(chmod(file, 0757), 0);
	assert_refused(file, -EPERM, "chmod");
	ck_assert_uint_eq(scan(), 1);
	ck_assert_int_eq(chmod(file, 0755), 0);
	ck_assert_int_eq(store_plugins_check_file(file, error), 0);
}
END_TEST

START_TEST(a_folder_that_others_can_write_is_refused)
{
	const char *file = folder_add_specimen(&first, "exposed.so");

	ck_assert_int_eq(chmod(first.path, 0777), 0);
	ck_assert_int_eq(store_plugins_check_file(file, error), -EPERM);
	ck_assert_ptr_nonnull(strstr(error, first.path));
	ck_assert_uint_eq(scan(), 1);
	ck_assert_ptr_null(store_plugins_by_name("exposed"));
	ck_assert_int_eq(chmod(first.path, 0700), 0);
}
END_TEST

START_TEST(a_link_is_as_safe_as_what_it_points_to)
{
	const char *target = folder_add_specimen(&second, "linked.so");

	ck_assert_int_eq(symlink(target, folder_file(&first, "linked.so")), 0);
	ck_assert_int_eq(store_plugins_check_file(folder_file(&first, "linked.so"), error), 0);
	ck_assert_int_eq(chmod(second.path, 0777), 0);
	ck_assert_int_eq(store_plugins_check_file(folder_file(&first, "linked.so"), error), -EPERM);
	ck_assert_ptr_nonnull(strstr(error, second.path));
	ck_assert_int_eq(chmod(second.path, 0700), 0);
}
END_TEST

START_TEST(a_file_of_another_user_is_refused)
{
	const char *file = folder_add_specimen(&first, "foreign.so");

	/* Only root can give a file away; for anyone else root's own files prove nothing. */
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(file, 65534, 65534), 0);
	assert_refused(file, -EPERM, "65534");
}
END_TEST

Suite *load_suite(void)
{
	Suite *suite = suite_create("load");
	TCase *registry = tcase_create("registry"), *refusals = tcase_create("refusals");

	tcase_add_checked_fixture(registry, setup, teardown);
	tcase_set_timeout(registry, 60);
	tcase_add_test(registry, a_scan_loads_what_it_finds_and_says_what_it_refuses);
	tcase_add_test(registry, a_repeated_scan_only_adds);
	tcase_add_test(registry, the_first_folder_wins);
	tcase_add_test(registry, the_environments_folders_come_first);
	tcase_add_test(registry, a_second_claim_to_a_prefix_is_refused_with_both_files);
	tcase_add_test(registry, checking_a_file_registers_nothing);
	suite_add_tcase(suite, registry);
	tcase_add_checked_fixture(refusals, setup, teardown);
	tcase_set_timeout(refusals, 60);
	tcase_add_test(refusals, a_file_that_is_no_plugin_is_refused);
	tcase_add_test(refusals, a_folder_called_like_a_plugin_is_refused);
	tcase_add_test(refusals, a_plugin_that_declares_another_name_is_refused);
	tcase_add_test(refusals, a_plugin_of_another_version_is_refused);
	tcase_add_test(refusals, a_plugin_that_cannot_work_here_is_refused);
	tcase_add_test(refusals, a_file_that_others_can_write_is_refused);
	tcase_add_test(refusals, a_folder_that_others_can_write_is_refused);
	tcase_add_test(refusals, a_link_is_as_safe_as_what_it_points_to);
	tcase_add_test(refusals, a_file_of_another_user_is_refused);
	suite_add_tcase(suite, refusals);
	return suite;
}
