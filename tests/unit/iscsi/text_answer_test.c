/* SPDX-License-Identifier: Apache-2.0
 *
 * Text requests in the full feature phase, SendTargets above all.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iscsi/text.h"
#include "unit/iscsi/fixture.h"

static struct iscsi_text response;
static struct iscsi_parameters parameters;
static struct sockaddr_storage local;
static struct iscsi_text_context context;

static void setup(void)
{
	fixture_setup();
	iscsi_parameters_set_defaults(&parameters);
	local = fixture_address("198.51.100.9", 3260);
	context = (struct iscsi_text_context){
	    .directory = &fixture_directory,
	    .initiator_name = FIXTURE_INITIATOR,
	    .local_address = &local,
	    .parameters = &parameters,
	};
}

static void teardown(void)
{
	iscsi_text_free(&response);
	fixture_teardown();
}

/* The answer with a newline for each NUL. */
static const char *ask(const char *request, size_t length)
{
	static char lines[1024];

	iscsi_text_free(&response);
	ck_assert_int_eq(iscsi_text_answer(&context, request, length, &response), 0);
	ck_assert_uint_lt(response.length, sizeof lines);
	for (size_t i = 0; i < response.length; i++)
		lines[i] = response.bytes[i] ? response.bytes[i] : '\n';
	lines[response.length] = '\0';
	return lines;
}

#define ASK(text) ask(text, sizeof text)

#define FIRST  "TargetName=" FIXTURE_TARGET "\nTargetAddress=192.0.2.1:3260,1\n"
#define SECOND "TargetName=" FIXTURE_OTHER "\nTargetAddress=[2001:db8::2]:3261,2\n"

START_TEST(discovery_of_all)
{
	ck_assert_str_eq(ASK("SendTargets=All"), FIRST SECOND);
}
END_TEST

START_TEST(discovery_by_name)
{
	ck_assert_str_eq(ASK("SendTargets=" FIXTURE_OTHER), SECOND);
	ck_assert_str_eq(ASK("SendTargets=IQN.2026-11.org.EXAMPLE:disk2"), SECOND);
	ck_assert_str_eq(ASK("SendTargets=iqn.2026-11.org.example:absent"), "");
	ck_assert_str_eq(ASK("SendTargets=all"), "");
}
END_TEST

START_TEST(discovery_of_nothing)
{
	ck_assert_str_eq(ASK("SendTargets="), "SendTargets=Reject\n");
}
END_TEST

START_TEST(normal_session_knows_its_own_target)
{
	context.target = &fixture_targets[0];
	ck_assert_str_eq(ASK("SendTargets="), FIRST);
	ck_assert_str_eq(ASK("SendTargets=" FIXTURE_TARGET), FIRST);
	ck_assert_str_eq(ASK("SendTargets=" FIXTURE_OTHER), "SendTargets=Reject\n");
	ck_assert_str_eq(ASK("SendTargets=All"), "SendTargets=Reject\n");
}
END_TEST

static const struct {
	const char *portal, *local, *address;
} wildcards[] = {
    {"0.0.0.0", "198.51.100.9", "198.51.100.9:3260"},	     {"::", "2001:db8::9", "[2001:db8::9]:3260"},
    {"::", "::ffff:198.51.100.9", "198.51.100.9:3260"},	     {"::", "198.51.100.9", "198.51.100.9:3260"},
    {"0.0.0.0", "::ffff:198.51.100.9", "198.51.100.9:3260"}, {"0.0.0.0", "2001:db8::9", NULL},
    {"::ffff:192.0.2.1", "2001:db8::9", "192.0.2.1:3260"},
};

START_TEST(wildcard_portal_is_where_the_initiator_connected)
{
	char expected[300] = "";

	fixture_portals[0].address = fixture_address(wildcards[_i].portal, 3260);
	local = fixture_address(wildcards[_i].local, 4000);
	if (wildcards[_i].address)
		snprintf(expected, sizeof expected, "TargetName=%s\nTargetAddress=%s,1\n", FIXTURE_TARGET,
			 wildcards[_i].address);
	ck_assert_str_eq(ASK("SendTargets=" FIXTURE_TARGET), expected);
}
END_TEST

START_TEST(advertised_address_wins)
{
	fixture_portals[0].address = fixture_address("0.0.0.0", 3260);
	fixture_portals[0].advertise = "203.0.113.5:3260";
	ck_assert_str_eq(ASK("SendTargets=" FIXTURE_TARGET),
			 "TargetName=" FIXTURE_TARGET "\nTargetAddress=203.0.113.5:3260,1\n");
}
END_TEST

START_TEST(ipv6_wildcard_leaves_ipv4_to_its_own_portal)
{
	struct iscsi_portal both[2] = {
	    {.address = fixture_address("::", 3260)},
	    {.address = fixture_address("0.0.0.0", 3260), .advertise = "203.0.113.5:3260"},
	};
	struct iscsi_portal_group group = {.tag = 1, .portals = both, .portal_count = 2};

	fixture_directory.groups = &group;
	fixture_directory.group_count = 1;
	ck_assert_str_eq(ASK("SendTargets=All"), "TargetName=" FIXTURE_TARGET "\nTargetAddress=203.0.113.5:3260,1\n");
	local = fixture_address("2001:db8::9", 3260);
	ck_assert_str_eq(ASK("SendTargets=All"),
			 "TargetName=" FIXTURE_TARGET
			 "\nTargetAddress=[2001:db8::9]:3260,1\nTargetAddress=203.0.113.5:3260,1\n");
}
END_TEST

START_TEST(target_without_a_portal_is_not_shown)
{
	fixture_targets[0].port_count = 0;
	ck_assert_str_eq(ASK("SendTargets=All"), SECOND);
	fixture_directory.group_count = 1; /* the group of the other is gone */
	ck_assert_str_eq(ASK("SendTargets=All"), "");
}
END_TEST

START_TEST(target_on_two_groups)
{
	static const struct iscsi_target_port ports[] = {{.tag = 1}, {.tag = 2}};

	fixture_targets[0].ports = ports;
	fixture_targets[0].port_count = 2;
	ck_assert_str_eq(ASK("SendTargets=" FIXTURE_TARGET), FIRST "TargetAddress=[2001:db8::2]:3261,2\n");
}
END_TEST

START_TEST(targets_are_shown_to_those_they_admit)
{
	struct iscsi_access_rule rule = {.initiator = "iqn.1993-08.org.debian:*",
					 .lun_map = fixture_targets[0].lun_map};

	fixture_targets[0].restricted = true;
	ck_assert_str_eq(ASK("SendTargets=All"), SECOND);
	ck_assert_str_eq(ASK("SendTargets=" FIXTURE_TARGET), "");
	fixture_targets[0].rules = &rule;
	fixture_targets[0].rule_count = 1;
	ck_assert_str_eq(ASK("SendTargets=All"), FIRST SECOND);
	ck_assert_int_eq(iscsi_address_range_parse("192.0.2.0/24", &rule.address), 0);
	ck_assert_str_eq(ASK("SendTargets=All"), SECOND);
	context.initiator_address = &fixture_portals[0].address;
	ck_assert_str_eq(ASK("SendTargets=All"), FIRST SECOND);
}
END_TEST

START_TEST(other_keys)
{
	ck_assert_str_eq(ASK("X-foo=1"), "X-foo=NotUnderstood\n");
	ck_assert_str_eq(ASK("X-foo=NotUnderstood"), "");
	ck_assert_str_eq(ASK("InitiatorAlias=me"), "");
	ck_assert_str_eq(ASK("MaxBurstLength=512"), "MaxBurstLength=Reject\n");
	ck_assert_str_eq(ASK("InitiatorName=other"), "InitiatorName=Reject\n");
	ck_assert_str_eq(ASK("TargetAlias=NotUnderstood"), "");
	ck_assert_str_eq(ask("", 0), "");
	ck_assert_uint_eq(parameters.max_burst_length, 262144);
}
END_TEST

START_TEST(max_recv_data_segment_length_is_declared_anew)
{
	ck_assert_str_eq(ASK("MaxRecvDataSegmentLength=512"), "");
	ck_assert_uint_eq(parameters.initiator_max_recv_data_segment_length, 512);
	ck_assert_str_eq(ASK("MaxRecvDataSegmentLength=16777215"), "");
	ck_assert_uint_eq(parameters.initiator_max_recv_data_segment_length, 16777215);
}
END_TEST

static const struct {
	const char *text;
	size_t length;
} malformed[] = {
    {"SendTargets=All", 15},
    {"SendTargets", 12},
    {"SendTargets=All\0SendTargets=All", 32},
    {"MaxRecvDataSegmentLength=511", 29},
    {"MaxRecvDataSegmentLength=16777216", 34},
    {"MaxRecvDataSegmentLength=x", 27},
    {"TargetAddress=192.0.2.1", 24},
};

START_TEST(malformed_requests)
{
	ck_assert_int_eq(iscsi_text_answer(&context, malformed[_i].text, malformed[_i].length, &response), -EPROTO);
}
END_TEST

START_TEST(value_too_long)
{
	char request[300] = "SendTargets=";

	memset(request + strlen(request), 'x', 256);
	ck_assert_int_eq(iscsi_text_answer(&context, request, strlen(request) + 1, &response), -EPROTO);
}
END_TEST

START_TEST(more_targets_than_any_response_holds)
{
	static struct iscsi_target many[100000];

	for (size_t i = 0; i < sizeof many / sizeof *many; i++)
		many[i] = fixture_targets[0];
	fixture_directory.targets = many;
	fixture_directory.target_count = sizeof many / sizeof *many;
	ck_assert_int_eq(iscsi_text_answer(&context, "SendTargets=All", 16, &response), -ENOMEM);
	fixture_directory.target_count = 10000;
	iscsi_text_free(&response);
	ck_assert_int_eq(iscsi_text_answer(&context, "SendTargets=All", 16, &response), 0);
}
END_TEST

Suite *text_answer_suite(void)
{
	Suite *suite = suite_create("text answer");
	TCase *tests = tcase_create("text answer");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, discovery_of_all);
	tcase_add_test(tests, discovery_by_name);
	tcase_add_test(tests, discovery_of_nothing);
	tcase_add_test(tests, normal_session_knows_its_own_target);
	tcase_add_loop_test(tests, wildcard_portal_is_where_the_initiator_connected, 0,
			    sizeof wildcards / sizeof *wildcards);
	tcase_add_test(tests, advertised_address_wins);
	tcase_add_test(tests, ipv6_wildcard_leaves_ipv4_to_its_own_portal);
	tcase_add_test(tests, target_without_a_portal_is_not_shown);
	tcase_add_test(tests, target_on_two_groups);
	tcase_add_test(tests, targets_are_shown_to_those_they_admit);
	tcase_add_test(tests, other_keys);
	tcase_add_test(tests, max_recv_data_segment_length_is_declared_anew);
	tcase_add_loop_test(tests, malformed_requests, 0, sizeof malformed / sizeof *malformed);
	tcase_add_test(tests, value_too_long);
	tcase_add_test(tests, more_targets_than_any_response_holds);
	suite_add_tcase(suite, tests);
	return suite;
}
