/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/config/capture.h"
#include "unit/runner.h"

static struct capture capture;

static void setup(void)
{
	capture_init(&capture);
}

static void teardown(void)
{
	capture_free(&capture);
}

START_TEST(paths_become_luns_of_one_target_in_group_1)
{
	const char *const listen[] = {"127.0.0.1:0", "[::1]:3260"}, *const paths[] = {"/a.img", "null:1G"};
	const struct conf_command_line line = {listen, 2, "iqn.2026-11.org.example:x", paths, 2};
	const struct target_configuration *configuration = &capture.configuration;

	conf_from_command_line(&line, &capture.configuration, &capture.problems);
	ck_assert_str_eq(capture.lines, "");
	ck_assert_uint_eq(configuration->target_count, 1);
	ck_assert_str_eq(configuration->targets[0].name, "iqn.2026-11.org.example:x");
	ck_assert_uint_eq(configuration->targets[0].lun_count, 2);
	ck_assert_str_eq(configuration->targets[0].luns[1].path, "null:1G");
	ck_assert_uint_eq(configuration->targets[0].luns[1].lun, 1);
	ck_assert(configuration->targets[0].luns[1].write_cache);
	ck_assert_uint_eq(configuration->group_count, 1);
	ck_assert_uint_eq(configuration->groups[0].tag, 1);
	ck_assert_uint_eq(configuration->groups[0].portal_count, 2);
	ck_assert_str_eq(configuration->groups[0].portals[1].listen, "[::1]:3260");
}
END_TEST

START_TEST(without_listen_only_this_host_reaches_it_and_no_state_is_kept)
{
	const char *const paths[] = {"/a.img"};
	const struct conf_command_line line = {.paths = paths, .path_count = 1};

	conf_from_command_line(&line, &capture.configuration, &capture.problems);
	ck_assert_str_eq(capture.lines, "");
	ck_assert_uint_eq(capture.configuration.groups[0].portal_count, 1);
	ck_assert_str_eq(capture.configuration.groups[0].portals[0].listen, "127.0.0.1");
	ck_assert_str_eq(capture.configuration.daemon.state_dir, "");
}
END_TEST

START_TEST(the_default_target_name_is_valid)
{
	const char *const paths[] = {"/a.img"};
	const struct conf_command_line line = {.paths = paths, .path_count = 1};
	const char *name;

	conf_from_command_line(&line, &capture.configuration, &capture.problems);
	name = capture.configuration.targets[0].name;
	ck_assert_int_eq(strncmp(name, "iqn.2026-11.org.tgtkit:", strlen("iqn.2026-11.org.tgtkit:")), 0);
	ck_assert(iscsi_name_is_valid(name));
}
END_TEST

START_TEST(a_bad_argument_is_named)
{
	const char *const listen[] = {"nowhere"}, *const paths[] = {""};
	const struct conf_command_line line = {listen, 1, "not-a-name", paths, 1};

	conf_from_command_line(&line, &capture.configuration, &capture.problems);
	ck_assert_uint_eq(capture.problems.count, 3);
	ck_assert_ptr_nonnull(strstr(capture.lines, "--listen: \"nowhere\": is no numeric address"));
	ck_assert_ptr_nonnull(strstr(capture.lines, "--target: \"not-a-name\": is no iSCSI name"));
	ck_assert_ptr_nonnull(strstr(capture.lines, "PATH : \"\": is empty"));
}
END_TEST

Suite *command_line_suite(void)
{
	Suite *suite = suite_create("command_line");
	TCase *tests = tcase_create("command_line");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, paths_become_luns_of_one_target_in_group_1);
	tcase_add_test(tests, without_listen_only_this_host_reaches_it_and_no_state_is_kept);
	tcase_add_test(tests, the_default_target_name_is_valid);
	tcase_add_test(tests, a_bad_argument_is_named);
	suite_add_tcase(suite, tests);
	return suite;
}
