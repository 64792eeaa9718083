/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/config/capture.h"
#include "unit/runner.h"

static struct capture capture;

static void teardown(void)
{
	capture_free(&capture);
}

static const char whole_file[] =
    "daemon = { workers = 3; memory_limit = \"256M\"; state_dir = \"/s\"; log_level = \"debug\";\n"
    "  plugin_dirs = [ \"/p\", \"/q\" ]; nop_interval_s = 7; };\n"
    "portal_groups = ( { tag = 5; portals = ( \"[::1]:3261\",\n"
    "    { listen = \"0.0.0.0\"; advertise = \"203.0.113.5:3260\"; } ); } );\n"
    "targets = ( { name = \"iqn.2026-11.org.example:disk1\"; alias = \"one\"; portal_groups = [ 5 ];\n"
    "  luns = ( { lun = 300; path = \"file:/srv/a\"; size = \"10G\"; create = true; block_size = 4096;\n"
    "    physical_block_size = 8192; serial = \"S\"; vendor = \"V\"; product = \"P\"; read_only = false;\n"
    "    removable = true; thin = false; write_cache = false; online = false; backend = \"file\";\n"
    "    features = { unmap = false; orwrite = false; };\n"
    "    options = { direct = true; max_parallel = 4; name = \"x\"; } } );\n"
    "  parameters = { max_sessions = 2; single_initiator = true; immediate_data = false; initial_r2t = true;\n"
    "    header_digest = \"crc32c,none\"; data_digest = [ \"none\" ]; max_recv_data_segment_length = 8192;\n"
    "    max_burst_length = \"64K\"; first_burst_length = \"32K\"; max_outstanding_r2t = 8;\n"
    "    max_queued_commands = 16; }; } );\n";

START_TEST(every_daemon_and_portal_key_reaches_its_member)
{
	const struct target_configuration *configuration = &capture.configuration;
	const struct portal_group_spec *group;

	capture_read(&capture, whole_file);
	ck_assert_str_eq(capture.lines, "");
	ck_assert_uint_eq(configuration->daemon.workers, 3);
	ck_assert_uint_eq(configuration->daemon.memory_limit_bytes, 256u << 20);
	ck_assert_str_eq(configuration->daemon.state_dir, "/s");
	ck_assert_str_eq(configuration->daemon.log_level, "debug");
	ck_assert_uint_eq(configuration->daemon.plugin_dir_count, 2);
	ck_assert_str_eq(configuration->daemon.plugin_dirs[1], "/q");
	ck_assert_uint_eq(configuration->daemon.nop_interval_s, 7);
	ck_assert_uint_eq(configuration->group_count, 1);
	group = &configuration->groups[0];
	ck_assert_uint_eq(group->tag, 5);
	ck_assert_uint_eq(group->portal_count, 2);
	ck_assert_str_eq(group->portals[0].listen, "[::1]:3261");
	ck_assert_ptr_null(group->portals[0].advertise);
	ck_assert_str_eq(group->portals[1].advertise, "203.0.113.5:3260");
}
END_TEST

START_TEST(every_lun_key_reaches_its_member)
{
	const struct lun_spec *lun;

	capture_read(&capture, whole_file);
	lun = &capture.configuration.targets[0].luns[0];
	ck_assert_uint_eq(lun->lun, 300);
	ck_assert_str_eq(lun->path, "file:/srv/a");
	ck_assert_str_eq(lun->backend, "file");
	ck_assert_uint_eq(lun->size_bytes, UINT64_C(10) << 30);
	ck_assert(lun->create && lun->removable && !lun->thin && !lun->write_cache && !lun->online && !lun->read_only);
	ck_assert_uint_eq(lun->block_size, 4096);
	ck_assert_uint_eq(lun->physical_block_size, 8192);
	ck_assert_str_eq(lun->serial, "S");
	ck_assert_str_eq(lun->vendor, "V");
	ck_assert_str_eq(lun->product, "P");
	ck_assert(!lun->features.unmap && !lun->features.orwrite && lun->features.extended_copy);
	ck_assert(lun->features.compare_and_write && lun->features.persistent_reservations);
	ck_assert_uint_eq(lun->setting_count, 3);
	ck_assert_str_eq(lun->settings[0].key, "direct");
	ck_assert_str_eq(lun->settings[0].value, "true");
	ck_assert_str_eq(lun->settings[1].value, "4");
	ck_assert_str_eq(lun->settings[2].value, "x");
}
END_TEST

START_TEST(every_target_key_reaches_its_member)
{
	const struct iscsi_target_parameters *parameters;
	const struct target_spec *target;

	capture_read(&capture, whole_file);
	target = &capture.configuration.targets[0];
	parameters = &target->parameters;
	ck_assert_str_eq(target->name, "iqn.2026-11.org.example:disk1");
	ck_assert_str_eq(target->alias, "one");
	ck_assert_uint_eq(target->group_tag_count, 1);
	ck_assert_uint_eq(target->group_tags[0], 5);
	ck_assert_uint_eq(parameters->max_sessions, 2);
	ck_assert(parameters->single_initiator && !parameters->immediate_data && parameters->initial_r2t);
	ck_assert_uint_eq(parameters->header_digests, ISCSI_DIGEST_NONE | ISCSI_DIGEST_CRC32C);
	ck_assert(parameters->prefer_header_digest);
	ck_assert_uint_eq(parameters->data_digests, ISCSI_DIGEST_NONE);
	ck_assert(!parameters->prefer_data_digest);
	ck_assert_uint_eq(parameters->max_recv_data_segment_length, 8192);
	ck_assert_uint_eq(parameters->max_burst_length, 65536);
	ck_assert_uint_eq(parameters->first_burst_length, 32768);
	ck_assert_uint_eq(parameters->max_outstanding_r2t, 8);
	ck_assert_uint_eq(parameters->max_queued_commands, 16);
}
END_TEST

START_TEST(what_is_not_given_has_its_default)
{
	const struct iscsi_target_parameters *parameters;
	const struct lun_spec *lun;

	capture_read_lun(&capture, "");
	ck_assert_str_eq(capture.lines, "");
	parameters = &capture.configuration.targets[0].parameters;
	ck_assert_uint_eq(parameters->max_recv_data_segment_length, 262144);
	ck_assert_uint_eq(parameters->max_burst_length, 1u << 20);
	ck_assert_uint_eq(parameters->first_burst_length, 65536);
	ck_assert_uint_eq(parameters->max_outstanding_r2t, 4);
	ck_assert_uint_eq(parameters->max_queued_commands, 128);
	ck_assert(parameters->immediate_data && !parameters->initial_r2t && !parameters->prefer_header_digest);
	lun = &capture.configuration.targets[0].luns[0];
	ck_assert(lun->thin && lun->write_cache && lun->online && lun->features.unmap && !lun->create);
	ck_assert_uint_eq(lun->block_size, 512);
	ck_assert_uint_eq(capture.configuration.daemon.memory_limit_bytes, 1u << 30);
	ck_assert_str_eq(capture.configuration.daemon.state_dir, TGTKIT_STATEDIR);
}
END_TEST

START_TEST(without_portal_groups_group_1_listens_everywhere)
{
	capture_read(&capture, "targets = ( );");
	ck_assert_str_eq(capture.lines, "");
	ck_assert_uint_eq(capture.configuration.group_count, 1);
	ck_assert_uint_eq(capture.configuration.groups[0].tag, 1);
	ck_assert_str_eq(capture.configuration.groups[0].portals[0].listen, "[::]:3260");
	ck_assert_str_eq(capture.configuration.groups[0].portals[1].listen, "0.0.0.0:3260");
}
END_TEST

START_TEST(arrays_and_lists_of_scalars_mean_the_same)
{
	capture_read(&capture, "daemon = { plugin_dirs = ( \"/p\" ); };\n"
			       "portal_groups = ( { tag = 1; portals = [ \"127.0.0.1\", \"::1\" ]; } );\n"
			       "targets = ( { name = \"iqn.2026-11.org.example:a\"; portal_groups = ( 1 ); } );");
	ck_assert_str_eq(capture.lines, "");
	ck_assert_uint_eq(capture.configuration.daemon.plugin_dir_count, 1);
	ck_assert_uint_eq(capture.configuration.groups[0].portal_count, 2);
	ck_assert_uint_eq(capture.configuration.targets[0].group_tags[0], 1);
}
END_TEST

/* Text of one LUN's line 4, and what must be said about it. */
static const struct {
	const char *lun_key, *said;
} bad_lun_keys[] = {
    {"sise = \"1G\";", ":4: targets[0].luns[0].sise: unknown key; a LUN knows: lun, path, backend, size, "},
    {"size = \"1X\";", ":4: targets[0].luns[0].size: \"1X\" is no size: write bytes, or a number with K, M, G, T or P"},
    {"size = \"9999999P\";", ":4: targets[0].luns[0].size: 9999999P is out of range"},
    {"size = true;", ":4: targets[0].luns[0].size: must be a size: "},
    {"size = -1;", ":4: targets[0].luns[0].size: -1 is out of range"},
    {"create = \"yes\";", ":4: targets[0].luns[0].create: must be true or false, without quotes"},
    {"create = 1;", ":4: targets[0].luns[0].create: must be true or false, without quotes"},
    {"block_size = \"512\";", ":4: targets[0].luns[0].block_size: must be a whole number, without quotes"},
    {"block_size = 256;", ":4: targets[0].luns[0].block_size: 256 is out of range: must be from 512 to 4096"},
    {"serial = 5;", ":4: targets[0].luns[0].serial: must be a string, in quotes"},
    {"vendor = \"ninechars\";", ":4: targets[0].luns[0].vendor: \"ninechars\": is longer than 8 characters"},
    {"product = \"a\\tb\";", ":4: targets[0].luns[0].product: \"a\tb\": has a character that is not printable ASCII"},
    {"features = true;", ":4: targets[0].luns[0].features: must be a group: { ... }"},
    {"features = { caw = true; };", ":4: targets[0].luns[0].features.caw: unknown key; features knows: persistent_"},
    {"features = {\n unmap = 1; };", ":5: targets[0].luns[0].features.unmap: must be true or false"},
    {"options = 3;", ":4: targets[0].luns[0].options: must be a group: { ... }"},
    {"options = {\n\n a = [ 1 ]; };", ":6: targets[0].luns[0].options.a: must be a single value: "},
};

START_TEST(a_bad_lun_key_is_named_with_file_line_and_key)
{
	capture_read_lun(&capture, bad_lun_keys[_i].lun_key);
	ck_assert_uint_eq(capture.problems.count, 1);
	ck_assert_msg(!strncmp(capture.lines, bad_lun_keys[_i].said, strlen(bad_lun_keys[_i].said)),
		      "\"%s\" instead of \"%s\"", capture.lines, bad_lun_keys[_i].said);
}
END_TEST

static const struct {
	const char *target_key, *said;
} bad_target_keys[] = {
    {"luns = { };", ":3: targets[0].luns: must be a list of groups: "},
    {"luns = ( 5 );", ":3: targets[0].luns[0]: must be a group: { ... }"},
    {"luns = ( { } );", ":3: targets[0].luns[0].lun: is missing: a LUN needs it\n"
			":3: targets[0].luns[0].path: is missing: a LUN needs it\n"},
    {"luns = ( { lun = 16384; path = \"a\"; } );",
     ":3: targets[0].luns[0].lun: 16384 is out of range: must be from 0 "},
    {"luns = ( { lun = 0; path = \"\"; } );", ":3: targets[0].luns[0].path: \"\": is empty"},
    {"portal_groups = 1;", ":3: targets[0].portal_groups: must be an array or list of tags"},
    {"portal_groups = [ 1, 0 ];", ":3: targets[0].portal_groups: item 1 must be a tag, 1 to 65535"},
    {"portal_groups = ( \"1\" );", ":3: targets[0].portal_groups: item 0 must be a tag, 1 to 65535"},
    {"parameters = { max_outstanding_r2t = 9; };", ":3: targets[0].parameters.max_outstanding_r2t: 9 is out of range"},
    {"parameters = { header_digest = \"md5\"; };", ":3: targets[0].parameters.header_digest: \"md5\": must be none, "},
    {"parameters = { header_digest = [ 1 ]; };", ":3: targets[0].parameters.header_digest: item 0 must be a string"},
    {"parameters = { data_digest = \"none,none\"; };",
     ":3: targets[0].parameters.data_digest: \"none,none\": must be "},
};

START_TEST(a_bad_target_key_is_named_with_file_line_and_key)
{
	capture_read_target(&capture, bad_target_keys[_i].target_key);
	ck_assert_uint_ge(capture.problems.count, 1);
	ck_assert_msg(!strncmp(capture.lines, bad_target_keys[_i].said, strlen(bad_target_keys[_i].said)),
		      "\"%s\" instead of \"%s\"", capture.lines, bad_target_keys[_i].said);
}
END_TEST

static const struct {
	const char *text, *said;
} bad_files[] = {
    {"deamon = { };", ":1: deamon: unknown key; the file knows: daemon, discovery, portal_groups, targets\n"},
    {"daemon = 1;", ":1: daemon: must be a group: { ... }\n"},
    {"daemon = {\n log_level = \"loud\"; };",
     ":2: daemon.log_level: \"loud\": must be error, warning, info or debug\n"},
    {"daemon = { workers = 257; };", ":1: daemon.workers: 257 is out of range: must be from 0 to 256\n"},
    {"daemon = { workers = 1.5; };", ":1: daemon.workers: must be a whole number, without quotes\n"},
    {"daemon = { plugin_dirs = \"/p\"; };", ":1: daemon.plugin_dirs: must be an array or a list of strings\n"},
    {"daemon = { plugin_dirs = [ 1 ]; };", ":1: daemon.plugin_dirs: item 0 must be a string, in quotes\n"},
    {"portal_groups = ( { portals = ( \"::1\" ); } );",
     ":1: portal_groups[0].tag: is missing: a portal group needs it\n"},
    {"portal_groups = ( { tag = 0; portals = ( \"::1\" ); } );", ":1: portal_groups[0].tag: 0 is out of range: "},
    {"portal_groups = ( { tag = 1; portals = ( \"3260\" ); } );",
     ":1: portal_groups[0].portals[0]: \"3260\": is no numeric address with or without a port"},
    {"portal_groups = ( { tag = 1; portals = ( 3260 ); } );",
     ":1: portal_groups[0].portals[0]: must be an address in "},
    {"portal_groups = ( { tag = 1; portals = ( { listen = \"a.example\"; } ); } );",
     ":1: portal_groups[0].portals[0].listen: \"a.example\": is no numeric address"},
    {"portal_groups = ( { tag = 1; portals = ( { advertise = \"a b\"; } ); } );",
     ":1: portal_groups[0].portals[0].advertise: \"a b\": is no address or host name"},
    {"portal_groups = ( { tag = 1; portals = \"::1\"; } );", ":1: portal_groups[0].portals: must be a list of "},
    {"targets = ( { name = \"disk1\"; } );", ":1: targets[0].name: \"disk1\": is no iSCSI name"},
    {"targets = ( { } );", ":1: targets[0].name: is missing: a target needs it\n"},
    {"targets = 1;", ":1: targets: must be a list of groups: "},
    {"targets = (\n", ":2: syntax error\n"},
    {"daemon = { workers = 1;\nworkers = 2; };", ":2: duplicate setting name\n"},
    {"@include \"/nonexistent/file\"\n", ":1: cannot open include file\n"},
};

START_TEST(a_bad_file_is_named_with_line_and_key)
{
	capture_read(&capture, bad_files[_i].text);
	ck_assert_msg(!strncmp(capture.lines, bad_files[_i].said, strlen(bad_files[_i].said)),
		      "\"%s\" instead of \"%s\"", capture.lines, bad_files[_i].said);
}
END_TEST

START_TEST(every_problem_of_a_file_is_reported)
{
	capture_read(&capture, "daemon = { workers = \"a\";\n memory_limit = \"b\"; };\nnonsense = 1;\n");
	ck_assert_uint_eq(capture.problems.count, 3);
	ck_assert_ptr_nonnull(strstr(capture.lines, ":1: daemon.workers: "));
	ck_assert_ptr_nonnull(strstr(capture.lines, ":2: daemon.memory_limit: "));
	ck_assert_ptr_nonnull(strstr(capture.lines, ":3: nonsense: "));
}
END_TEST

/* Keys of features that do not exist yet: the default, or nothing, is accepted, as it asks for nothing. */
static const struct {
	const char *text, *said;
} later_keys[] = {
    {"daemon = { flush_timeout_s = 20; api = { }; };", ""},
    {"portal_groups = ( { tag = 1; alua_state = \"active/optimized\"; portals = ( ); } );", ""},
    {"daemon = { flush_timeout_s = 5; };",
     ":1: daemon.flush_timeout_s: is not available in this version: only 20 is\n"},
    {"daemon = { api = { socket = \"x\"; }; };", ":1: daemon.api.socket: \"x\": is no absolute path\n"},
    {"daemon = { api = { mode = \"999\"; }; };",
     ":1: daemon.api.mode: \"999\": must be permissions in octal, like \"0660\"\n"},
};

START_TEST(a_key_of_a_later_version_is_refused_unless_it_asks_for_nothing)
{
	capture_read(&capture, later_keys[_i].text);
	ck_assert_str_eq(capture.lines, later_keys[_i].said);
}
END_TEST

START_TEST(an_unreadable_file_is_one_problem)
{
	capture_init(&capture);
	conf_read_file("/nonexistent/tgtkit.conf", &capture.configuration, &capture.problems);
	ck_assert_str_eq(capture.lines, "/nonexistent/tgtkit.conf: cannot be read: No such file or directory\n");
}
END_TEST

START_TEST(a_folder_is_no_file)
{
	capture_init(&capture);
	conf_read_file("/tmp", &capture.configuration, &capture.problems);
	ck_assert_str_eq(capture.lines, "/tmp: is a folder; a configuration file is needed\n");
}
END_TEST

START_TEST(a_problem_in_an_included_file_names_that_file)
{
	char folder[] = "/tmp/tgtkit-config-XXXXXX", main_file[64], included[64], said[256];
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(main_file, sizeof(main_file), "%s/main.conf", folder);
	snprintf(included, sizeof(included), "%s/more.conf", folder);
	file = fopen(main_file, "w");
	fputs("\n@include \"more.conf\"\n", file);
	fclose(file);
	file = fopen(included, "w");
	fputs("daemon = {\n\n  wrokers = 1; };\n", file);
	fclose(file);
	capture_init(&capture);
	conf_read_file(main_file, &capture.configuration, &capture.problems);
	unlink(main_file);
	unlink(included);
	rmdir(folder);
	snprintf(said, sizeof(said), "%s:3: daemon.wrokers: unknown key", included);
	ck_assert_msg(!strncmp(capture.lines, said, strlen(said)), "%s", capture.lines);
}
END_TEST

static const struct {
	const char *setting, *said;
} settings[] = {
    {"daemon.workers=2", ""},
    {"daemon.memory_limit=64M", ""},
    {"daemon.plugin_dirs=/a:/b", ""},
    {"daemon.workers=many", "--set: daemon.workers=many: \"many\" is no whole number\n"},
    {"daemon.workers=-1", "--set: daemon.workers=-1: -1 is out of range: must be from 0 to 256\n"},
    {"daemon.workers", "--set: daemon.workers: must be KEY=VALUE, for example daemon.workers=2\n"},
    {"daemon.nothing=1", "--set: daemon.nothing=1: unknown key; --set knows the keys of the daemon group "
			 "(daemon.workers, daemon.log_level, ...)\n"},
    {"workers=1", "--set: workers=1: unknown key; --set knows the keys of the daemon group "
		  "(daemon.workers, daemon.log_level, ...)\n"},
    {"daemon.api=1", "--set: daemon.api=1: can be set in a configuration file only\n"},
    {"daemon.api.socket=/x", ""},
    {"daemon.api.mode=0600", ""},
    {"daemon.workers.socket=/x", "--set: daemon.workers.socket=/x: unknown key; --set knows the keys of the daemon "
				 "group (daemon.workers, daemon.log_level, ...)\n"},
};

START_TEST(set_goes_through_the_same_table)
{
	capture_init(&capture);
	conf_set(settings[_i].setting, &capture.configuration, &capture.problems);
	ck_assert_str_eq(capture.lines, settings[_i].said);
}
END_TEST

START_TEST(set_overrides_the_file)
{
	capture_read(&capture, "daemon = { workers = 7; };");
	conf_set("daemon.workers=2", &capture.configuration, &capture.problems);
	conf_set("daemon.plugin_dirs=/a:/b", &capture.configuration, &capture.problems);
	ck_assert_uint_eq(capture.configuration.daemon.workers, 2);
	ck_assert_uint_eq(capture.configuration.daemon.plugin_dir_count, 2);
	ck_assert_str_eq(capture.configuration.daemon.plugin_dirs[1], "/b");
}
END_TEST

/* docs/tgtkit.conf; `uncomment`: with its example lines, those with a single "#", taken for real ones. */
static void read_example(bool uncomment)
{
	const char *source = getenv("srcdir");
	static char text[16384];
	char path[4096], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/docs/tgtkit.conf", source ? source : ".");
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s cannot be read", path);
	text[0] = '\0';
	while (fgets(line, sizeof(line), file))
		strcat(text, line + (uncomment && line[0] == '#' && line[1] != '#'));
	fclose(file);
	capture_read(&capture, text);
}

START_TEST(the_example_that_is_installed_is_good_as_it_is)
{
	read_example(false);
	ck_assert_str_eq(capture.lines, "");
	ck_assert_uint_eq(capture.configuration.target_count, 0);
}
END_TEST

START_TEST(the_example_that_is_installed_is_good_when_uncommented)
{
	read_example(true);
	ck_assert_str_eq(capture.lines, "");
	ck_assert_uint_eq(capture.configuration.target_count, 1);
	ck_assert_uint_eq(capture.configuration.targets[0].lun_count, 3);
}
END_TEST

START_TEST(capitals_in_a_target_name_are_folded)
{
	capture_read(&capture, "targets = ( { name = \"IQN.2026-11.org.Example:Disk1\"; } );");
	ck_assert_str_eq(capture.lines, "");
	ck_assert_str_eq(capture.configuration.targets[0].name, "iqn.2026-11.org.example:disk1");
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

Suite *load_suite(void)
{
	Suite *suite = suite_create("load");
	TCase *tests = tcase_create("load");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, every_daemon_and_portal_key_reaches_its_member);
	tcase_add_test(tests, every_lun_key_reaches_its_member);
	tcase_add_test(tests, every_target_key_reaches_its_member);
	tcase_add_test(tests, what_is_not_given_has_its_default);
	tcase_add_test(tests, without_portal_groups_group_1_listens_everywhere);
	tcase_add_test(tests, arrays_and_lists_of_scalars_mean_the_same);
	tcase_add_loop_test(tests, a_bad_lun_key_is_named_with_file_line_and_key, 0, COUNT(bad_lun_keys));
	tcase_add_loop_test(tests, a_bad_target_key_is_named_with_file_line_and_key, 0, COUNT(bad_target_keys));
	tcase_add_loop_test(tests, a_bad_file_is_named_with_line_and_key, 0, COUNT(bad_files));
	tcase_add_test(tests, every_problem_of_a_file_is_reported);
	tcase_add_loop_test(tests, a_key_of_a_later_version_is_refused_unless_it_asks_for_nothing, 0,
			    COUNT(later_keys));
	tcase_add_test(tests, an_unreadable_file_is_one_problem);
	tcase_add_test(tests, a_folder_is_no_file);
	tcase_add_test(tests, a_problem_in_an_included_file_names_that_file);
	tcase_add_loop_test(tests, set_goes_through_the_same_table, 0, COUNT(settings));
	tcase_add_test(tests, set_overrides_the_file);
	tcase_add_test(tests, the_example_that_is_installed_is_good_as_it_is);
	tcase_add_test(tests, the_example_that_is_installed_is_good_when_uncommented);
	tcase_add_test(tests, capitals_in_a_target_name_are_folded);
	suite_add_tcase(suite, tests);
	return suite;
}
