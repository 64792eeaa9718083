/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys that say who may log in.
 */
#include <netinet/in.h>

#include "unit/config/capture.h"
#include "unit/runner.h"

static struct capture capture;

static void teardown(void)
{
	capture_free(&capture);
}

static const char whole[] =
    "discovery = { auth = \"chap\"; users = ( { user = \"d\"; secret_file = \"/d\"; } );\n"
    "  mutual = { user = \"m\"; secret_file = \"/m\"; }; };\n"
    "targets = ( { name = \"iqn.2026-11.org.example:a\"; auth = \"chap\";\n"
    "  users = ( { user = \"alice\"; secret_file = \"/a\"; initiator = \"iqn.*\"; }, { user = \"b\"; secret_file = "
    "\"/b\"; } );\n"
    "  mutual = { user = \"disk\"; secret_file = \"/s\"; }; chap_algorithms = [ \"sha256\", \"MD5\" ];\n"
    "  access = \"list\"; initiators = ( { name = \"iqn.x:*\"; address = \"10.0.0.0/8\"; luns = [ 3, 300 ];\n"
    "    read_only = true; }, { } ); } );\n";

START_TEST(every_key_of_authentication_reaches_its_member)
{
	const struct authentication_spec *authentication;

	capture_read(&capture, whole);
	ck_assert_str_eq(capture.lines, "");
	authentication = &capture.configuration.targets[0].authentication;
	ck_assert(authentication->required);
	ck_assert_uint_eq(authentication->user_count, 2);
	ck_assert_str_eq(authentication->users[0].user, "alice");
	ck_assert_str_eq(authentication->users[0].secret_file, "/a");
	ck_assert_str_eq(authentication->users[0].initiator, "iqn.*");
	ck_assert_str_eq(authentication->users[1].initiator, "*");
	ck_assert_str_eq(authentication->mutual.user, "disk");
	ck_assert_str_eq(authentication->mutual.origin.name, "targets[0].mutual");
	ck_assert_uint_eq(authentication->algorithm_count, 2);
	ck_assert_int_eq(authentication->algorithms[0], ISCSI_CHAP_SHA256);
	ck_assert_int_eq(authentication->algorithms[1], ISCSI_CHAP_MD5);
}
END_TEST

START_TEST(every_key_of_discovery_reaches_its_member)
{
	const struct discovery_spec *discovery = &capture.configuration.discovery;

	capture_read(&capture, whole);
	ck_assert(discovery->authentication.required);
	ck_assert_uint_eq(discovery->authentication.user_count, 1);
	ck_assert_str_eq(discovery->authentication.users[0].origin.name, "discovery.users[0]");
	ck_assert_str_eq(discovery->authentication.mutual.secret_file, "/m");
	ck_assert_uint_eq(discovery->authentication.algorithm_count, 0);
}
END_TEST

START_TEST(every_key_of_a_rule_reaches_its_member)
{
	const struct target_spec *target;

	capture_read(&capture, whole);
	target = &capture.configuration.targets[0];
	ck_assert(target->restricted);
	ck_assert_uint_eq(target->initiator_count, 2);
	ck_assert_str_eq(target->initiators[0].name, "iqn.x:*");
	ck_assert_int_eq(target->initiators[0].address.family, AF_INET);
	ck_assert_uint_eq(target->initiators[0].address.prefix_bits, 8);
	ck_assert(target->initiators[0].only_luns && target->initiators[0].read_only);
	ck_assert_uint_eq(target->initiators[0].lun_count, 2);
	ck_assert_uint_eq(target->initiators[0].luns[1], 300);
	ck_assert_str_eq(target->initiators[1].name, "*");
	ck_assert_int_eq(target->initiators[1].address.family, 0);
	ck_assert(!target->initiators[1].only_luns && !target->initiators[1].read_only);
}
END_TEST

START_TEST(without_the_keys_everybody_may_come_in)
{
	capture_read_lun(&capture, "");
	ck_assert(!capture.configuration.targets[0].authentication.required);
	ck_assert(!capture.configuration.targets[0].restricted);
	ck_assert(!capture.configuration.discovery.authentication.required);
	ck_assert_ptr_null(capture.configuration.targets[0].authentication.mutual.user);
}
END_TEST

static const struct {
	const char *keys, *said;
} bad[] = {
    {"auth = \"CHAP\";", "targets[0].auth: \"CHAP\": must be none or chap"},
    {"access = \"none\";", "targets[0].access: \"none\": must be any or list"},
    {"chap_algorithms = [ \"sha512\" ];", "targets[0].chap_algorithms: \"sha512\": must be of "},
    {"chap_algorithms = [ \"md5\", \"md5\" ];", "targets[0].chap_algorithms: \"md5,md5\": must be of "},
    {"users = ( { user = \"\"; secret_file = \"/x\"; } );", "targets[0].users[0].user: \"\": is empty"},
    {"users = ( { user = \"x\"; } );", "targets[0].users[0].secret_file: is missing"},
    {"mutual = { user = \"x\"; secret_file = \"/x\"; initiator = \"*\"; };",
     "targets[0].mutual.initiator: unknown key"},
    {"initiators = ( { luns = [ ]; } );", "targets[0].initiators[0].luns: is empty"},
    {"initiators = ( { luns = ( 1, \"2\" ); } );", "targets[0].initiators[0].luns: item 1 must be a lun, 0 to 16383"},
    {"initiators = ( { address = \"10.1.0.0/8\"; } );", "targets[0].initiators[0].address: \"10.1.0.0/8\" is no "},
};

START_TEST(a_bad_value_is_named)
{
	capture_read_target(&capture, bad[_i].keys);
	ck_assert_msg(strstr(capture.lines, bad[_i].said) != NULL, "\"%s\" instead of \"%s\"", capture.lines,
		      bad[_i].said);
}
END_TEST

Suite *access_keys_suite(void);
Suite *access_keys_suite(void)
{
	Suite *suite = suite_create("keys of authentication and access");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_add_test(tests, every_key_of_authentication_reaches_its_member);
	tcase_add_test(tests, every_key_of_discovery_reaches_its_member);
	tcase_add_test(tests, every_key_of_a_rule_reaches_its_member);
	tcase_add_test(tests, without_the_keys_everybody_may_come_in);
	tcase_add_loop_test(tests, a_bad_value_is_named, 0, sizeof(bad) / sizeof(bad[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
