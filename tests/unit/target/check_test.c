/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "target/check.h"
#include "unit/runner.h"
#include "unit/target/fakes.h"
#include "unit/target/folder.h"
#include "unit/target/sample.h"

static struct target_configuration configuration;
static struct target_spec *target;

static void setup(void)
{
	fakes_init();
	folder_make();
	sample_init(&configuration);
	target = sample_add_target(&configuration, "a");
}

static void teardown(void)
{
	target_configuration_free(&configuration);
	folder_remove();
	fakes_end();
}

static const char *check(void)
{
	target_check(&configuration, &sample_problem_sink);
	return sample_problems;
}

START_TEST(a_good_configuration_has_its_units_addresses_and_groups)
{
	struct lun_spec *lun = sample_add_lun(&configuration, target, 0, "mem:x");

	ck_assert_str_eq(check(), "");
	ck_assert_uint_eq(configuration.unit_count, 1);
	ck_assert_ptr_eq(lun->unit, &configuration.units[0]);
	ck_assert_str_eq(lun->unit->name, "mem:x");
	ck_assert_str_eq(lun->unit->plugin_path, "x");
	ck_assert_ptr_eq(lun->unit->target, target);
	ck_assert_uint_eq(target->group_tag_count, 1);
	ck_assert_uint_eq(target->group_tags[0], 1);
	ck_assert_int_eq(configuration.groups[0].portals[0].address.ss_family, AF_INET);
}
END_TEST

START_TEST(too_little_memory_for_the_workers)
{
	configuration.daemon.workers = 5;
	ck_assert_str_eq(check(), "f:1: daemon.memory_limit: 67108864 bytes are too little for 5 workers, which need "
				  "16777216 each: raise it or set workers lower\n");
}
END_TEST

START_TEST(a_tag_twice)
{
	sample_add_group(&configuration, 1, "127.0.0.1:3261", NULL);
	ck_assert_str_eq(check(), "f:10: portal_groups.tag: portal group 1 is given twice, first at f:10\n");
}
END_TEST

START_TEST(a_portal_twice_in_a_group_or_in_two)
{
	sample_add_group(&configuration, 2, "[::1]:1", "[0:0::1]:1");
	sample_add_group(&configuration, 3, "127.0.0.1", NULL);
	ck_assert_str_eq(check(), "f:20: portal_groups.listen: portal [0:0::1]:1 is given twice, first at f:20\n"
				  "f:30: portal_groups.listen: portal 127.0.0.1 is given twice, first at f:10\n");
}
END_TEST

START_TEST(a_group_without_portals)
{
	sample_add_group(&configuration, 2, NULL, NULL);
	ck_assert_str_eq(check(), "f:20: portal_groups.portals: portal group 2 has no portal\n");
}
END_TEST

START_TEST(a_target_name_twice)
{
	sample_add_target(&configuration, "a");
	ck_assert_str_eq(check(),
			 "f:200: target.name: target iqn.2026-11.org.example:a is given twice, first at f:100\n");
}
END_TEST

START_TEST(a_group_that_is_not_there_or_given_twice)
{
	static const uint16_t tags[] = {1, 7, 1};

	target->group_tags = tags;
	target->group_tag_count = 3;
	ck_assert_str_eq(check(), "f:100: target.portal_groups: there is no portal group 7\n"
				  "f:100: target.portal_groups: portal group 1 is given twice\n");
}
END_TEST

START_TEST(a_first_burst_above_the_longest)
{
	target->parameters.first_burst_length = 65537;
	ck_assert_str_eq(check(),
			 "f:100: parameters.first_burst_length: 65537 is more than max_burst_length (65536)\n");
}
END_TEST

START_TEST(a_lun_twice)
{
	sample_add_lun(&configuration, target, 3, "mem:x");
	sample_add_lun(&configuration, target, 3, "mem:y");
	ck_assert_str_eq(check(),
			 "f:102: lun.lun: LUN 3 of target iqn.2026-11.org.example:a is given twice, first at f:101\n");
}
END_TEST

START_TEST(block_sizes_that_cannot_be)
{
	struct lun_spec *lun = sample_add_lun(&configuration, target, 0, "mem:x");

	lun->block_size = 1024;
	ck_assert_str_eq(check(), "f:101: lun.block_size: 1024: must be 512 or 4096\n");
	lun->block_size = 4096;
	lun->physical_block_size = 512;
	sample_problems[0] = '\0';
	ck_assert_str_eq(check(), "f:101: lun.physical_block_size: 512: must be a power of two and not less than "
				  "block_size\n");
	lun->physical_block_size = 12288;
	sample_problems[0] = '\0';
	ck_assert_ptr_nonnull(strstr(check(), "physical_block_size: 12288: must be a power of two"));
}
END_TEST

START_TEST(create_needs_a_size_in_whole_blocks_and_the_right_to_write)
{
	struct lun_spec *lun = sample_add_lun(&configuration, target, 0, "mem:x");

	lun->create = true;
	ck_assert_str_eq(check(), "f:101: lun.create: needs size: how large shall the store be?\n");
	lun->size_bytes = 1000;
	lun->read_only = true;
	sample_problems[0] = '\0';
	ck_assert_str_eq(check(), "f:101: lun.size: 1000 is no multiple of block_size\n"
				  "f:101: lun.create: a read-only LUN cannot create its store\n");
}
END_TEST

START_TEST(an_absent_plugin)
{
	sample_add_lun(&configuration, target, 0, "nope:x");
	sample_add_lun(&configuration, target, 1, "x")->backend = "gone";
	ck_assert_str_eq(check(), "f:101: lun.path: nope:x: no plugin\nf:102: lun.backend: x: no plugin\n");
}
END_TEST

START_TEST(the_option_that_the_plugin_complains_of_is_named)
{
	static const struct store_setting settings[] = {{"fast", "true"}, {"depth", "12"}, {"other", "1"}};
	struct lun_spec *lun = sample_add_lun(&configuration, target, 0, "mem:x");

	lun->settings = settings;
	lun->setting_count = 2;
	ck_assert_str_eq(check(), "f:101: options.depth: \"12\" is bad for an option\n");
	/* Of two mistakes the plugin host names the first. */
	lun->setting_count = 3;
	sample_problems[0] = '\0';
	ck_assert_str_eq(check(), "f:101: options.depth: \"12\" is bad for an option\n");
}
END_TEST

START_TEST(one_store_under_two_names_is_one_unit)
{
	struct target_spec *second = sample_add_target(&configuration, "b");
	char real[600], link[600];

	folder_write("disk", "");
	ck_assert_int_eq(symlink("disk", folder_path("link")), 0);
	snprintf(real, sizeof(real), "mem:%s", folder_path("disk"));
	snprintf(link, sizeof(link), "mem:%s", folder_path("link"));
	sample_add_lun(&configuration, target, 0, real)->read_only = true;
	sample_add_lun(&configuration, second, 5, link);
	ck_assert_str_eq(check(), "");
	ck_assert_uint_eq(configuration.unit_count, 1);
	ck_assert_ptr_eq(second->luns[0].unit, target->luns[0].unit);
	/* One of its mappings may write, so the store has to be opened for it. */
	ck_assert(!configuration.units[0].read_only);
}
END_TEST

START_TEST(a_unit_whose_mappings_all_read_only_is_read_only)
{
	sample_add_lun(&configuration, target, 0, "mem:x")->read_only = true;
	sample_add_lun(&configuration, target, 1, "mem:x")->read_only = true;
	ck_assert_str_eq(check(), "");
	ck_assert(configuration.units[0].read_only);
}
END_TEST

START_TEST(an_attribute_given_differently_for_one_unit)
{
	static const struct store_setting settings[] = {{"fast", "true"}};
	struct lun_spec *first = sample_add_lun(&configuration, target, 0, "mem:x");
	struct lun_spec *second = sample_add_lun(&configuration, target, 1, "mem:x");

	first->settings = settings;
	first->setting_count = 1;
	second->block_size = 4096;
	second->serial = "S";
	sample_give(&configuration, &second->origin, "block_size");
	sample_give(&configuration, &second->origin, "options");
	/* `serial` is not among the keys that were given, so there is nothing to differ. */
	ck_assert_str_eq(check(), "f:102: lun.block_size: differs from that at f:101, which is the same logical unit "
				  "(mem:x)\n"
				  "f:102: lun.options: differs from that at f:101, which is the same logical unit "
				  "(mem:x)\n");
}
END_TEST

START_TEST(one_serial_for_two_units)
{
	sample_add_lun(&configuration, target, 0, "mem:x")->serial = "S1";
	sample_add_lun(&configuration, target, 1, "mem:y")->serial = "S1";
	ck_assert_str_eq(check(),
			 "f:102: lun.serial: mem:x has the same serial: initiators would take both for one disk\n");
}
END_TEST

START_TEST(a_store_that_its_plugin_refuses)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	sample_add_lun(&configuration, target, 4, "mem:y");
	ck_assert_str_eq(check(), "");
	fakes.fail_open = "y";
	target_check_stores(&configuration, &sample_problem_sink);
	ck_assert_str_eq(sample_problems,
			 "f:102: lun.path: target iqn.2026-11.org.example:a, LUN 4: mem:y: there is no "
			 "such thing\n");
	ck_assert_uint_eq(fakes.store_count, 0);
}
END_TEST

Suite *check_suite(void)
{
	Suite *suite = suite_create("check");
	TCase *tests = tcase_create("check");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_good_configuration_has_its_units_addresses_and_groups);
	tcase_add_test(tests, too_little_memory_for_the_workers);
	tcase_add_test(tests, a_tag_twice);
	tcase_add_test(tests, a_portal_twice_in_a_group_or_in_two);
	tcase_add_test(tests, a_group_without_portals);
	tcase_add_test(tests, a_target_name_twice);
	tcase_add_test(tests, a_group_that_is_not_there_or_given_twice);
	tcase_add_test(tests, a_first_burst_above_the_longest);
	tcase_add_test(tests, a_lun_twice);
	tcase_add_test(tests, block_sizes_that_cannot_be);
	tcase_add_test(tests, create_needs_a_size_in_whole_blocks_and_the_right_to_write);
	tcase_add_test(tests, an_absent_plugin);
	tcase_add_test(tests, the_option_that_the_plugin_complains_of_is_named);
	tcase_add_test(tests, one_store_under_two_names_is_one_unit);
	tcase_add_test(tests, a_unit_whose_mappings_all_read_only_is_read_only);
	tcase_add_test(tests, an_attribute_given_differently_for_one_unit);
	tcase_add_test(tests, one_serial_for_two_units);
	tcase_add_test(tests, a_store_that_its_plugin_refuses);
	suite_add_tcase(suite, tests);
	return suite;
}
