/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/iscsi/fixture.h"

#define NAMES "InitiatorName=" FIXTURE_INITIATOR "\nTargetName=" FIXTURE_TARGET

START_TEST(one_request_is_enough)
{
	const struct iscsi_login_result *result = iscsi_login_result(fixture_login);

	ck_assert_int_eq(login_at_once(""), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_str_eq(result->initiator_name, FIXTURE_INITIATOR);
	ck_assert_ptr_eq(result->target, &fixture_targets[0]);
	ck_assert_int_eq(result->port->tag, 1);
	ck_assert(!result->discovery);
	login_outcome();
	ck_assert_answer("TargetPortalGroupTag", "1");
	ck_assert_answer("TargetAlias", "first");
	ck_assert_answer("MaxRecvDataSegmentLength", "262144");
	ck_assert_uint_eq(login_answer_count(), 3);
}
END_TEST

START_TEST(response_header_repeats_what_the_request_said)
{
	const uint8_t *bhs = fixture_response.bhs;

	login_at_once("");
	login_outcome();
	ck_assert_int_eq(bhs[0], ISCSI_LOGIN_RESPONSE);
	ck_assert_int_eq(bhs[ISCSI_AT_FLAGS], ISCSI_TRANSIT | OPERATIONAL << 2 | FULL_FEATURE);
	ck_assert_int_eq(bhs[ISCSI_AT_VERSION_MAX], 0);
	ck_assert_int_eq(bhs[ISCSI_AT_VERSION_ACTIVE], 0);
	ck_assert_uint_eq(rt_get_be24(bhs + ISCSI_AT_DATA_SEGMENT_LENGTH), fixture_response.text_bytes);
	ck_assert_mem_eq(bhs + ISCSI_AT_ISID, "\x00\x02\x3d\x00\x00\x01", 6);
	ck_assert_int_eq(rt_get_be16(bhs + ISCSI_AT_TSIH), 7);
	ck_assert_uint_eq(rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG), 0x01020304);
}
END_TEST

START_TEST(stages_follow_one_another)
{
	ck_assert_int_eq(login_send(SECURITY, OPERATIONAL, NAMES "\nAuthMethod=None"), ISCSI_LOGIN_CONTINUES);
	ck_assert(login_is_granted(OPERATIONAL));
	ck_assert_answer("AuthMethod", "None");
	ck_assert_answer("TargetPortalGroupTag", "1");
	ck_assert_pstr_eq(login_answer("MaxRecvDataSegmentLength"), NULL);
	ck_assert_int_eq(login_send(OPERATIONAL, STAY, "MaxBurstLength=4096"), ISCSI_LOGIN_CONTINUES);
	ck_assert_int_eq(fixture_response.bhs[ISCSI_AT_FLAGS], OPERATIONAL << 2);
	ck_assert_answer("MaxBurstLength", "4096");
	ck_assert_answer("MaxRecvDataSegmentLength", "262144");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "FirstBurstLength=8192"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_uint_eq(login_outcome()->first_burst_length, 4096);
	ck_assert_pstr_eq(login_answer("MaxRecvDataSegmentLength"), NULL);
}
END_TEST

START_TEST(operational_stage_may_be_left_out)
{
	ck_assert_int_eq(login_send(SECURITY, FULL_FEATURE, NAMES "\nAuthMethod=CHAP,None"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_uint_eq(login_outcome()->target_max_recv_data_segment_length, 8192);
}
END_TEST

START_TEST(security_stage_may_say_nothing_of_security)
{
	ck_assert_int_eq(login_send(SECURITY, OPERATIONAL, NAMES), ISCSI_LOGIN_CONTINUES);
	ck_assert(login_is_granted(OPERATIONAL));
}
END_TEST

START_TEST(no_acceptable_auth_method)
{
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, NAMES "\nAuthMethod=KRB5,SRP"),
			  ISCSI_LOGIN_AUTHENTICATION_FAILED);
	ck_assert_answer("AuthMethod", "Reject");
}
END_TEST

START_TEST(refusal_grants_no_transit_and_says_nothing)
{
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, "TargetName=" FIXTURE_TARGET), 0x0207);
	ck_assert_int_eq(fixture_response.bhs[0], ISCSI_LOGIN_RESPONSE);
	ck_assert_int_eq(fixture_response.bhs[ISCSI_AT_FLAGS], OPERATIONAL << 2);
	ck_assert_uint_eq(fixture_response.text_bytes, 0);
	ck_assert_uint_eq(rt_get_be32(fixture_response.bhs + ISCSI_AT_INITIATOR_TASK_TAG), 0x01020304);
}
END_TEST

static const struct {
	const char *text;
	int status;
} identities[] = {
    {"", 0x0207},
    {"TargetName=" FIXTURE_TARGET, 0x0207},
    {"InitiatorName=" FIXTURE_INITIATOR, 0x0207},
    {"InitiatorName=" FIXTURE_INITIATOR "\nSessionType=Normal", 0x0207},
    {"InitiatorName=\nTargetName=" FIXTURE_TARGET, 0x0200},
    {"InitiatorName=has space\nTargetName=" FIXTURE_TARGET, 0x0200},
    {"InitiatorName=" FIXTURE_INITIATOR "\nTargetName=iqn.2026-11.org.example:absent", 0x0203},
    {"InitiatorName=" FIXTURE_INITIATOR "\nTargetName=" FIXTURE_OTHER, 0x0203},
    {"InitiatorName=" FIXTURE_INITIATOR "\nTargetName=", 0x0203},
    {NAMES "\nSessionType=Odd", 0x0209},
    {NAMES "\nInitiatorName=" FIXTURE_INITIATOR, 0x0200},
    {NAMES "\nTargetAlias=mine", 0x0200},
    {NAMES "\nTargetPortalGroupTag=1", 0x0200},
};

START_TEST(identity_is_checked)
{
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, identities[_i].text), identities[_i].status);
}
END_TEST

START_TEST(names_are_compared_without_case)
{
	ck_assert_int_eq(
	    login_send(OPERATIONAL, FULL_FEATURE,
		       "InitiatorName=iqn.1998-01.COM.vmware:ESX_1\nTargetName=IQN.2026-11.org.example:Disk1"),
	    ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_str_eq(iscsi_login_result(fixture_login)->initiator_name, "iqn.1998-01.com.vmware:esx_1");
}
END_TEST

START_TEST(names_may_be_said_again_in_the_next_stage)
{
	login_send(SECURITY, OPERATIONAL, NAMES "\nSessionType=Normal\nInitiatorAlias=me\nAuthMethod=None");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, NAMES "\nSessionType=Normal\nInitiatorAlias=me"),
			 ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_str_eq(iscsi_login_result(fixture_login)->initiator_alias, "me");
}
END_TEST

START_TEST(names_may_not_change)
{
	login_send(SECURITY, OPERATIONAL, NAMES);
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, "InitiatorName=iqn.1993-08.org.debian:01:other"),
			  0x0200);
}
END_TEST

START_TEST(discovery_needs_no_target)
{
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE,
				    "InitiatorName=" FIXTURE_INITIATOR "\nMaxBurstLength=4096\nSessionType=Discovery"),
			 ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(iscsi_login_result(fixture_login)->discovery);
	ck_assert_ptr_null(iscsi_login_result(fixture_login)->target);
	login_outcome();
	ck_assert_answer("MaxBurstLength", "Irrelevant");
	ck_assert_pstr_eq(login_answer("TargetPortalGroupTag"), NULL);
}
END_TEST

START_TEST(stages_out_of_order)
{
	static const struct {
		int current, next;
	} wrong[] = {{2, STAY},
		     {3, STAY},
		     {OPERATIONAL, SECURITY},
		     {OPERATIONAL, OPERATIONAL},
		     {OPERATIONAL, 2},
		     {SECURITY, SECURITY},
		     {SECURITY, 2}};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		login_restart();
		ck_assert_refused(login_send(wrong[i].current, wrong[i].next, NAMES), 0x020b);
	}
}
END_TEST

START_TEST(stage_may_not_change_without_transit)
{
	login_send(SECURITY, STAY, NAMES);
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, ""), 0x020b);
	login_restart();
	login_send(SECURITY, OPERATIONAL, NAMES);
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, ""), 0x020b);
}
END_TEST

START_TEST(transit_and_continue_exclude_each_other)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, OPERATIONAL, FULL_FEATURE);
	bhs[ISCSI_AT_FLAGS] |= ISCSI_CONTINUE;
	ck_assert_refused(login_send_bytes(bhs, "", 0), 0x0200);
}
END_TEST

START_TEST(other_opcodes_do_not_belong_in_a_login)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, OPERATIONAL, FULL_FEATURE);
	bhs[0] = ISCSI_SCSI_COMMAND;
	ck_assert_refused(login_send_bytes(bhs, "", 0), 0x020b);
	login_restart();
	login_send(SECURITY, STAY, NAMES);
	ck_assert_refused(login_send_bytes(bhs, "", 0), 0x020b);
}
END_TEST

START_TEST(only_version_0_is_spoken)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, OPERATIONAL, FULL_FEATURE);
	bhs[ISCSI_AT_VERSION_MAX] = 2;
	bhs[ISCSI_AT_VERSION_ACTIVE] = 1;
	ck_assert_refused(login_send_bytes(bhs, "", 0), 0x0205);
	login_restart();
	login_make_header(bhs, SECURITY, STAY);
	bhs[ISCSI_AT_VERSION_MAX] = 2;
	ck_assert_refused(login_send_bytes(bhs, "", 0), 0x0207);
}
END_TEST

START_TEST(header_fields_stay_the_same)
{
	static const int at[] = {ISCSI_AT_ISID + 5, ISCSI_AT_TSIH + 1, ISCSI_AT_CID + 1, ISCSI_AT_INITIATOR_TASK_TAG};
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_send(SECURITY, STAY, NAMES);
	login_make_header(bhs, SECURITY, STAY);
	bhs[at[_i]] ^= 0x10;
	ck_assert_refused(login_send_bytes(bhs, "", 0), 0x0200);
}
END_TEST

START_TEST(result_has_what_the_header_said)
{
	const struct iscsi_login_result *result = iscsi_login_result(fixture_login);
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, SECURITY, STAY);
	rt_put_be16(bhs + ISCSI_AT_TSIH, 0x1234);
	rt_put_be16(bhs + ISCSI_AT_CID, 0x5678);
	login_send_bytes(bhs, "InitiatorName=" FIXTURE_INITIATOR "\0TargetName=" FIXTURE_TARGET, sizeof NAMES);
	ck_assert_int_eq(login_status(), 0);
	ck_assert_int_eq(result->tsih, 0x1234);
	ck_assert_int_eq(result->cid, 0x5678);
	ck_assert_mem_eq(result->isid, "\x00\x02\x3d\x00\x00\x01", 6);
	ck_assert_int_eq(rt_get_be16(fixture_response.bhs + ISCSI_AT_TSIH), 0x1234);
}
END_TEST

START_TEST(request_may_come_in_parts)
{
	ck_assert_int_eq(login_send_part(OPERATIONAL, "InitiatorName=" FIXTURE_INITIATOR "\nTarget"),
			 ISCSI_LOGIN_CONTINUES);
	ck_assert_int_eq(fixture_response.bhs[ISCSI_AT_FLAGS], OPERATIONAL << 2);
	ck_assert_uint_eq(fixture_response.text_bytes, 0);
	login_send_part(OPERATIONAL, "Name=" FIXTURE_TARGET "\nMaxBurst");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "Length=512"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_uint_eq(login_outcome()->max_burst_length, 512);
	ck_assert_answer("TargetPortalGroupTag", "1");
}
END_TEST

START_TEST(request_has_a_limit)
{
	char part[8001];

	memset(part, 'x', sizeof part - 1);
	part[sizeof part - 1] = '\0';
	login_send_part(OPERATIONAL, part);
	ck_assert_int_eq(login_send_part(OPERATIONAL, part), ISCSI_LOGIN_CONTINUES);
	ck_assert_refused(login_send_part(OPERATIONAL, part), 0x0302);
}
END_TEST

START_TEST(number_of_requests_has_a_limit)
{
	login_send(OPERATIONAL, STAY, NAMES);
	for (unsigned i = 1; i < ISCSI_LOGIN_MAXIMUM_REQUESTS; i++)
		ck_assert_int_eq(login_send(OPERATIONAL, STAY, ""), ISCSI_LOGIN_CONTINUES);
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, ""), 0x0200);
}
END_TEST

START_TEST(number_of_keys_has_a_limit)
{
	char text[8192] = "";

	for (unsigned i = 0; i < 257; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%sX-k%u=1", i ? "\n" : "", i);
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, text), 0x0200);
}
END_TEST

static void make_unknown_keys(char *text, size_t size, unsigned count)
{
	text[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		snprintf(text + strlen(text), size - strlen(text),
			 "\nX-a.key.with.a.long.name.that.nobody.knows.%03u=1", i);
}

START_TEST(long_answer_comes_in_parts)
{
	char text[12000];
	unsigned answers;

	make_unknown_keys(text, sizeof text, 150);
	login_send_part(OPERATIONAL, NAMES);
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, text), ISCSI_LOGIN_CONTINUES);
	ck_assert_int_eq(fixture_response.bhs[ISCSI_AT_FLAGS], ISCSI_CONTINUE | OPERATIONAL << 2);
	ck_assert_uint_eq(fixture_response.text_bytes, ISCSI_LOGIN_DATA_SEGMENT_BYTES);
	answers = login_answer_count();
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, ""), ISCSI_LOGIN_WANTS_SESSION);
	login_outcome();
	ck_assert_int_eq(fixture_response.bhs[ISCSI_AT_FLAGS], ISCSI_TRANSIT | OPERATIONAL << 2 | FULL_FEATURE);
	ck_assert_uint_gt(fixture_response.text_bytes, 0);
	ck_assert_uint_lt(answers, 150);
	ck_assert_answer("MaxRecvDataSegmentLength", "262144");
}
END_TEST

START_TEST(nothing_may_be_said_before_a_long_answer_is_complete)
{
	char text[12000];

	make_unknown_keys(text, sizeof text, 150);
	login_send_part(OPERATIONAL, NAMES);
	login_send(OPERATIONAL, FULL_FEATURE, text);
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, "MaxBurstLength=512"), 0x0200);
}
END_TEST

static const struct {
	const char *bytes;
	size_t length;
} malformed[] = {
    {"InitiatorName", 13},							 /* neither = nor NUL */
    {"InitiatorName=x", 15},							 /* no NUL */
    {"InitiatorName\0", 14},							 /* no = */
    {"=x", 3},									 /* no key */
    {"Initiator Name=x", 17},							 /* a space in the key */
    {"InitiatorName=x\0\0TargetName=y", 29},					 /* a hole */
    {"A2345678901234567890123456789012345678901234567890123456789012345=1", 68}, /* 65 bytes of key */
};

START_TEST(malformed_text)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, OPERATIONAL, FULL_FEATURE);
	ck_assert_refused(login_send_bytes(bhs, malformed[_i].bytes, malformed[_i].length), 0x0200);
}
END_TEST

START_TEST(padding_may_be_counted_as_text)
{
	static const char text[] = "InitiatorName=" FIXTURE_INITIATOR "\0TargetName=" FIXTURE_TARGET "\0\0\0";
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, OPERATIONAL, FULL_FEATURE);
	ck_assert_int_eq(login_send_bytes(bhs, text, sizeof text), ISCSI_LOGIN_WANTS_SESSION);
}
END_TEST

START_TEST(caller_may_refuse_the_session)
{
	login_at_once("");
	iscsi_login_refuse(fixture_login, ISCSI_LOGIN_SESSION_DOES_NOT_EXIST, &fixture_response);
	ck_assert_int_eq(login_status(), 0x020a);
	ck_assert_uint_eq(fixture_response.text_bytes, 0);
	ck_assert_int_eq(fixture_response.bhs[ISCSI_AT_FLAGS], OPERATIONAL << 2);
}
END_TEST

START_TEST(caller_may_refuse_before_any_request)
{
	iscsi_login_refuse(fixture_login, ISCSI_LOGIN_OUT_OF_RESOURCES, &fixture_response);
	ck_assert_int_eq(login_status(), 0x0302);
	ck_assert_int_eq(fixture_response.bhs[0], ISCSI_LOGIN_RESPONSE);
}
END_TEST

START_TEST(keys_of_another_stage)
{
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, NAMES "\nMaxBurstLength=512"), 0x0200);
	login_restart();
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, NAMES "\nAuthMethod=None"), 0x0200);
	login_restart();
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, NAMES "\nSendTargets=All"), ISCSI_LOGIN_WANTS_SESSION);
	login_outcome();
	ck_assert_answer("SendTargets", "Reject");
}
END_TEST

Suite *login_suite(void)
{
	Suite *suite = suite_create("login");
	TCase *tests = tcase_create("login");

	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_add_test(tests, one_request_is_enough);
	tcase_add_test(tests, response_header_repeats_what_the_request_said);
	tcase_add_test(tests, stages_follow_one_another);
	tcase_add_test(tests, operational_stage_may_be_left_out);
	tcase_add_test(tests, security_stage_may_say_nothing_of_security);
	tcase_add_test(tests, no_acceptable_auth_method);
	tcase_add_test(tests, refusal_grants_no_transit_and_says_nothing);
	tcase_add_loop_test(tests, identity_is_checked, 0, sizeof identities / sizeof *identities);
	tcase_add_test(tests, names_are_compared_without_case);
	tcase_add_test(tests, names_may_be_said_again_in_the_next_stage);
	tcase_add_test(tests, names_may_not_change);
	tcase_add_test(tests, discovery_needs_no_target);
	tcase_add_test(tests, stages_out_of_order);
	tcase_add_test(tests, stage_may_not_change_without_transit);
	tcase_add_test(tests, transit_and_continue_exclude_each_other);
	tcase_add_test(tests, other_opcodes_do_not_belong_in_a_login);
	tcase_add_test(tests, only_version_0_is_spoken);
	tcase_add_loop_test(tests, header_fields_stay_the_same, 0, 4);
	tcase_add_test(tests, result_has_what_the_header_said);
	tcase_add_test(tests, request_may_come_in_parts);
	tcase_add_test(tests, request_has_a_limit);
	tcase_add_test(tests, number_of_requests_has_a_limit);
	tcase_add_test(tests, number_of_keys_has_a_limit);
	tcase_add_test(tests, long_answer_comes_in_parts);
	tcase_add_test(tests, nothing_may_be_said_before_a_long_answer_is_complete);
	tcase_add_loop_test(tests, malformed_text, 0, sizeof malformed / sizeof *malformed);
	tcase_add_test(tests, padding_may_be_counted_as_text);
	tcase_add_test(tests, caller_may_refuse_the_session);
	tcase_add_test(tests, caller_may_refuse_before_any_request);
	tcase_add_test(tests, keys_of_another_stage);
	suite_add_tcase(suite, tests);
	return suite;
}
