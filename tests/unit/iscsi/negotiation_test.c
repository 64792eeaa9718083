/* SPDX-License-Identifier: Apache-2.0
 *
 * Every key of RFC 7143 section 13 by itself and with those that it depends on.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "unit/iscsi/fixture.h"

struct answer {
	const char *offer, *key, *answer;
};

static const struct answer answers[] = {
    {"HeaderDigest=None", "HeaderDigest", "None"},
    {"HeaderDigest=CRC32C", "HeaderDigest", "CRC32C"},
    {"HeaderDigest=CRC32C,None", "HeaderDigest", "CRC32C"},
    {"HeaderDigest=None,CRC32C", "HeaderDigest", "None"},
    {"HeaderDigest=SHA1,CRC32C", "HeaderDigest", "CRC32C"},
    {"HeaderDigest=SHA1", "HeaderDigest", "Reject"},
    {"HeaderDigest=", "HeaderDigest", "Reject"},
    {"HeaderDigest=crc32c", "HeaderDigest", "Reject"},
    {"DataDigest=CRC32C,None", "DataDigest", "CRC32C"},
    {"DataDigest=X-private,None", "DataDigest", "None"},
    {"MaxConnections=1", "MaxConnections", "1"},
    {"MaxConnections=65535", "MaxConnections", "1"},
    {"MaxConnections=0", "MaxConnections", "Reject"},
    {"MaxConnections=65536", "MaxConnections", "Reject"},
    {"InitialR2T=Yes", "InitialR2T", "Yes"},
    {"InitialR2T=No", "InitialR2T", "No"},
    {"InitialR2T=no", "InitialR2T", "Reject"},
    {"ImmediateData=Yes", "ImmediateData", "Yes"},
    {"ImmediateData=No", "ImmediateData", "No"},
    {"ImmediateData=1", "ImmediateData", "Reject"},
    {"MaxBurstLength=512", "MaxBurstLength", "512"},
    {"MaxBurstLength=16777215", "MaxBurstLength", "16777215"},
    {"MaxBurstLength=0x200", "MaxBurstLength", "512"},
    {"MaxBurstLength=511", "MaxBurstLength", "Reject"},
    {"MaxBurstLength=16777216", "MaxBurstLength", "Reject"},
    {"MaxBurstLength=18446744073709552128", "MaxBurstLength", "Reject"},
    {"MaxBurstLength=-1", "MaxBurstLength", "Reject"},
    {"MaxBurstLength=", "MaxBurstLength", "Reject"},
    {"MaxBurstLength=4096 ", "MaxBurstLength", "Reject"},
    {"FirstBurstLength=512", "FirstBurstLength", "512"},
    {"FirstBurstLength=262144", "FirstBurstLength", "65536"},
    {"FirstBurstLength=511", "FirstBurstLength", "Reject"},
    {"FirstBurstLength=4096\nMaxBurstLength=1024", "FirstBurstLength", "1024"},
    {"MaxBurstLength=1024\nFirstBurstLength=4096", "FirstBurstLength", "1024"},
    {"FirstBurstLength=4096\nImmediateData=No\nInitialR2T=Yes", "FirstBurstLength", "Irrelevant"},
    {"ImmediateData=No\nFirstBurstLength=4096", "FirstBurstLength", "Irrelevant"},
    {"ImmediateData=No\nFirstBurstLength=4096\nInitialR2T=No", "FirstBurstLength", "4096"},
    {"DefaultTime2Wait=0", "DefaultTime2Wait", "0"},
    {"DefaultTime2Wait=3600", "DefaultTime2Wait", "3600"},
    {"DefaultTime2Wait=3601", "DefaultTime2Wait", "Reject"},
    {"DefaultTime2Retain=20", "DefaultTime2Retain", "0"},
    {"DefaultTime2Retain=0", "DefaultTime2Retain", "0"},
    {"DefaultTime2Retain=3601", "DefaultTime2Retain", "Reject"},
    {"MaxOutstandingR2T=1", "MaxOutstandingR2T", "1"},
    {"MaxOutstandingR2T=65535", "MaxOutstandingR2T", "8"},
    {"MaxOutstandingR2T=0", "MaxOutstandingR2T", "Reject"},
    {"DataPDUInOrder=No", "DataPDUInOrder", "Yes"},
    {"DataPDUInOrder=Yes", "DataPDUInOrder", "Yes"},
    {"DataSequenceInOrder=No", "DataSequenceInOrder", "Yes"},
    {"ErrorRecoveryLevel=2", "ErrorRecoveryLevel", "0"},
    {"ErrorRecoveryLevel=0", "ErrorRecoveryLevel", "0"},
    {"ErrorRecoveryLevel=3", "ErrorRecoveryLevel", "Reject"},
    {"iSCSIProtocolLevel=0", "iSCSIProtocolLevel", "0"},
    {"iSCSIProtocolLevel=1", "iSCSIProtocolLevel", "1"},
    {"iSCSIProtocolLevel=2", "iSCSIProtocolLevel", "2"},
    {"iSCSIProtocolLevel=31", "iSCSIProtocolLevel", "2"},
    {"iSCSIProtocolLevel=32", "iSCSIProtocolLevel", "Reject"},
    {"TaskReporting=RFC3720", "TaskReporting", "RFC3720"},
    {"TaskReporting=FastAbort,ResponseFence,RFC3720", "TaskReporting", "FastAbort"},
    {"TaskReporting=ResponseFence,FastAbort", "TaskReporting", "ResponseFence"},
    {"TaskReporting=X,RFC3720", "TaskReporting", "RFC3720"},
    {"TaskReporting=SlowAbort", "TaskReporting", "Reject"},
    {"OFMarker=No", "OFMarker", "No"},
    {"OFMarker=Yes", "OFMarker", "No"},
    {"IFMarker=Yes", "IFMarker", "No"},
    {"OFMarkInt=2048~8192", "OFMarkInt", "Reject"},
    {"IFMarkInt=2048", "IFMarkInt", "Reject"},
    {"X-com.example.do=1", "X-com.example.do", "NotUnderstood"},
    {"X#Nobody=1", "X#Nobody", "NotUnderstood"},
    {"Foo=1", "Foo", "NotUnderstood"},
    {"maxburstlength=4096", "maxburstlength", "NotUnderstood"},
    {"Foo=NotUnderstood", "Foo", NULL},
    {"TargetAlias=NotUnderstood", "TargetPortalGroupTag", "1"},
    {"X#NodeArchitecture=Linux,4.19", "X#NodeArchitecture", NULL},
    {"InitiatorAlias=me", "InitiatorAlias", NULL},
    {"MaxRecvDataSegmentLength=512", "MaxRecvDataSegmentLength", "262144"},
};

START_TEST(offer_is_answered)
{
	const struct answer *row = &answers[_i];

	ck_assert_int_eq(login_at_once(row->offer), ISCSI_LOGIN_WANTS_SESSION);
	login_outcome();
	ck_assert_msg(login_answer(row->key) ? row->answer && strcmp(login_answer(row->key), row->answer) == 0
					     : !row->answer,
		      "%s: %s", row->offer, login_answer(row->key));
}
END_TEST

static const char *const forbidden[] = {
    "MaxBurstLength=4096\nMaxBurstLength=4096",
    "HeaderDigest=None\nHeaderDigest=None",
    "OFMarker=No\nOFMarker=No",
    "MaxRecvDataSegmentLength=511",
    "MaxRecvDataSegmentLength=16777216",
    "MaxRecvDataSegmentLength=much",
    "MaxRecvDataSegmentLength=Reject",
    "TargetAddress=192.0.2.1:3260,1",
};

START_TEST(offer_is_against_the_rules)
{
	ck_assert_refused(login_at_once(forbidden[_i]), 0x0200);
}
END_TEST

START_TEST(value_lengths)
{
	char text[1024] = "MaxBurstLength=";

	memset(text + strlen(text), '0', 252);
	strcat(text, "512");
	ck_assert_int_eq(login_at_once(text), ISCSI_LOGIN_WANTS_SESSION);
	strcat(text, "0");
	login_restart();
	ck_assert_refused(login_at_once(text), 0x0200);
	memset(text, 0, sizeof text);
	strcpy(text, "HeaderDigest=");
	memset(text + strlen(text), 'x', 256);
	login_restart();
	ck_assert_refused(login_at_once(text), 0x0200);
	strcpy(text + 200, ",None,");
	memset(text + strlen(text), 'x', 255);
	login_restart();
	ck_assert_int_eq(login_at_once(text), ISCSI_LOGIN_WANTS_SESSION);
}
END_TEST

START_TEST(defaults_hold_without_negotiation)
{
	const struct iscsi_parameters *now;

	login_at_once("");
	now = login_outcome();
	ck_assert(!now->header_digest && !now->data_digest && now->initial_r2t && now->immediate_data);
	ck_assert(now->data_pdu_in_order && now->data_sequence_in_order);
	ck_assert_uint_eq(now->initiator_max_recv_data_segment_length, 8192);
	ck_assert_uint_eq(now->target_max_recv_data_segment_length, 262144);
	ck_assert_uint_eq(now->max_burst_length, 262144);
	ck_assert_uint_eq(now->first_burst_length, 65536);
	ck_assert_uint_eq(now->max_outstanding_r2t, 1);
	ck_assert_uint_eq(now->max_connections, 1);
	ck_assert_uint_eq(now->default_time2wait, 2);
	ck_assert_uint_eq(now->default_time2retain, 20);
	ck_assert_uint_eq(now->error_recovery_level, 0);
	ck_assert_uint_eq(now->protocol_level, 1);
	ck_assert_str_eq(now->task_reporting, "RFC3720");
}
END_TEST

START_TEST(rejected_offer_leaves_the_default)
{
	login_at_once("MaxBurstLength=1\nInitialR2T=maybe\nHeaderDigest=SHA1");
	ck_assert_uint_eq(login_outcome()->max_burst_length, 262144);
	ck_assert(login_outcome()->initial_r2t);
	ck_assert(!login_outcome()->header_digest);
}
END_TEST

START_TEST(default_first_burst_never_exceeds_max_burst)
{
	login_at_once("MaxBurstLength=1024");
	ck_assert_uint_eq(login_outcome()->first_burst_length, 1024);
}
END_TEST

START_TEST(keys_of_a_normal_session_are_irrelevant_in_discovery)
{
	static const char *const keys[] = {
	    "MaxConnections",	 "InitialR2T",	   "ImmediateData",	  "MaxBurstLength",	"FirstBurstLength",
	    "MaxOutstandingR2T", "DataPDUInOrder", "DataSequenceInOrder", "iSCSIProtocolLevel", "TaskReporting"};

	login_send(OPERATIONAL, FULL_FEATURE,
		   "InitiatorName=" FIXTURE_INITIATOR
		   "\nSessionType=Discovery\nMaxConnections=4\nInitialR2T=No\nImmediateData=No\nMaxBurstLength=512\n"
		   "FirstBurstLength=512\nMaxOutstandingR2T=2\nDataPDUInOrder=No\nDataSequenceInOrder=No\n"
		   "iSCSIProtocolLevel=2\nTaskReporting=FastAbort\nDefaultTime2Wait=5\nErrorRecoveryLevel=1\n"
		   "HeaderDigest=CRC32C");
	login_outcome();
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		ck_assert_answer(keys[i], "Irrelevant");
	ck_assert_answer("DefaultTime2Wait", "5");
	ck_assert_answer("ErrorRecoveryLevel", "0");
	ck_assert_answer("HeaderDigest", "CRC32C");
	ck_assert_uint_eq(login_outcome()->max_burst_length, 262144);
}
END_TEST

START_TEST(key_is_settled_for_the_whole_login)
{
	login_send(OPERATIONAL, STAY,
		   "InitiatorName=" FIXTURE_INITIATOR "\nTargetName=" FIXTURE_TARGET "\nMaxBurstLength=4096");
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, "MaxBurstLength=4096"), 0x0200);
}
END_TEST

/* ---- What the target insists on -----------------------------------------------------------------------------------
 */

START_TEST(required_digest_is_proposed)
{
	fixture_targets[0].parameters.header_digests = ISCSI_DIGEST_CRC32C;
	ck_assert_int_eq(login_at_once(""), ISCSI_LOGIN_CONTINUES);
	ck_assert_int_eq(fixture_response.bhs[ISCSI_AT_FLAGS], OPERATIONAL << 2);
	ck_assert_answer("HeaderDigest", "CRC32C");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "HeaderDigest=CRC32C"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(login_outcome()->header_digest);
	ck_assert_uint_eq(login_answer_count(), 0);
}
END_TEST

static const char *const poor_answers[] = {
    "HeaderDigest=None",  "HeaderDigest=Reject", "HeaderDigest=NotUnderstood", "HeaderDigest=CRC32C,None", "",
    "MaxBurstLength=4096"};

START_TEST(required_digest_is_refused)
{
	fixture_targets[0].parameters.header_digests = ISCSI_DIGEST_CRC32C;
	login_at_once("");
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, poor_answers[_i]), 0x0200);
}
END_TEST

START_TEST(required_digest_is_not_offered)
{
	fixture_targets[0].parameters.data_digests = ISCSI_DIGEST_CRC32C;
	ck_assert_refused(login_at_once("DataDigest=None"), 0x0200);
}
END_TEST

START_TEST(digest_that_is_switched_off_is_rejected)
{
	fixture_targets[0].parameters.data_digests = ISCSI_DIGEST_NONE;
	ck_assert_int_eq(login_at_once("DataDigest=CRC32C"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(!login_outcome()->data_digest);
	ck_assert_answer("DataDigest", "Reject");
}
END_TEST

START_TEST(preferred_digest_is_proposed_but_may_be_declined)
{
	fixture_targets[0].parameters.prefer_data_digest = true;
	login_at_once("");
	ck_assert_answer("DataDigest", "CRC32C,None");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "DataDigest=None"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(!login_outcome()->data_digest);
}
END_TEST

START_TEST(initiators_order_of_digests_wins)
{
	fixture_targets[0].parameters.prefer_data_digest = true;
	ck_assert_int_eq(login_at_once("DataDigest=None,CRC32C"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(!login_outcome()->data_digest);
}
END_TEST

START_TEST(refusal_of_immediate_data_is_proposed)
{
	fixture_targets[0].parameters.immediate_data = false;
	ck_assert_int_eq(login_at_once("InitialR2T=No"), ISCSI_LOGIN_CONTINUES);
	ck_assert_answer("ImmediateData", "No");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "ImmediateData=No"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(!login_outcome()->immediate_data);
}
END_TEST

START_TEST(immediate_data_may_not_be_insisted_on)
{
	fixture_targets[0].parameters.immediate_data = false;
	login_at_once("");
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, _i ? "ImmediateData=Yes" : "ImmediateData=Reject"),
			  0x0200);
}
END_TEST

START_TEST(immediate_data_is_refused)
{
	fixture_targets[0].parameters.immediate_data = false;
	ck_assert_int_eq(login_at_once("ImmediateData=Yes"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(!login_outcome()->immediate_data);
}
END_TEST

START_TEST(initial_r2t_is_required)
{
	fixture_targets[0].parameters.initial_r2t = true;
	ck_assert_int_eq(login_at_once("InitialR2T=No"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(login_outcome()->initial_r2t);
	ck_assert_answer("InitialR2T", "Yes");
}
END_TEST

START_TEST(small_first_burst_is_proposed)
{
	fixture_targets[0].parameters.first_burst_length = 4096;
	login_at_once("");
	ck_assert_answer("FirstBurstLength", "4096");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "FirstBurstLength=1024"), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_uint_eq(login_outcome()->first_burst_length, 1024);
}
END_TEST

START_TEST(larger_answer_than_proposed)
{
	fixture_targets[0].parameters.first_burst_length = 4096;
	login_at_once("");
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, "FirstBurstLength=8192"), 0x0200);
}
END_TEST

START_TEST(small_first_burst_matters_only_with_unsolicited_data)
{
	fixture_targets[0].parameters.first_burst_length = 4096;
	ck_assert_int_eq(login_at_once("ImmediateData=No"), ISCSI_LOGIN_WANTS_SESSION);
}
END_TEST

START_TEST(small_max_burst_is_the_targets_own_business)
{
	fixture_targets[0].parameters.max_burst_length = 4096;
	fixture_targets[0].parameters.first_burst_length = 4096;
	login_at_once("MaxBurstLength=262144\nFirstBurstLength=65536");
	ck_assert_uint_eq(login_outcome()->max_burst_length, 4096);
	ck_assert_uint_eq(login_outcome()->first_burst_length, 4096);
}
END_TEST

START_TEST(proposal_waits_for_a_long_answer)
{
	char text[12000] = "";

	fixture_targets[0].parameters.immediate_data = false;
	for (unsigned i = 0; i < 200; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%sX-a.key.with.a.long.name.%03u=1",
			 i ? "\n" : "", i);
	login_send_part(OPERATIONAL, "InitiatorName=" FIXTURE_INITIATOR "\nTargetName=" FIXTURE_TARGET "\n");
	login_send(OPERATIONAL, FULL_FEATURE, text);
	ck_assert(fixture_response.bhs[ISCSI_AT_FLAGS] & ISCSI_CONTINUE);
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, ""), ISCSI_LOGIN_CONTINUES);
	ck_assert_answer("ImmediateData", "No");
	ck_assert(!login_is_granted(FULL_FEATURE));
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "ImmediateData=No"), ISCSI_LOGIN_WANTS_SESSION);
}
END_TEST

Suite *negotiation_suite(void)
{
	Suite *suite = suite_create("negotiation");
	TCase *tests = tcase_create("keys");

	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_add_loop_test(tests, offer_is_answered, 0, sizeof answers / sizeof *answers);
	tcase_add_loop_test(tests, offer_is_against_the_rules, 0, sizeof forbidden / sizeof *forbidden);
	tcase_add_test(tests, value_lengths);
	tcase_add_test(tests, defaults_hold_without_negotiation);
	tcase_add_test(tests, rejected_offer_leaves_the_default);
	tcase_add_test(tests, default_first_burst_never_exceeds_max_burst);
	tcase_add_test(tests, keys_of_a_normal_session_are_irrelevant_in_discovery);
	tcase_add_test(tests, key_is_settled_for_the_whole_login);
	suite_add_tcase(suite, tests);

	tests = tcase_create("proposals");
	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_add_test(tests, required_digest_is_proposed);
	tcase_add_loop_test(tests, required_digest_is_refused, 0, sizeof poor_answers / sizeof *poor_answers);
	tcase_add_test(tests, required_digest_is_not_offered);
	tcase_add_test(tests, digest_that_is_switched_off_is_rejected);
	tcase_add_test(tests, preferred_digest_is_proposed_but_may_be_declined);
	tcase_add_test(tests, initiators_order_of_digests_wins);
	tcase_add_test(tests, refusal_of_immediate_data_is_proposed);
	tcase_add_loop_test(tests, immediate_data_may_not_be_insisted_on, 0, 2);
	tcase_add_test(tests, immediate_data_is_refused);
	tcase_add_test(tests, initial_r2t_is_required);
	tcase_add_test(tests, small_first_burst_is_proposed);
	tcase_add_test(tests, larger_answer_than_proposed);
	tcase_add_test(tests, small_first_burst_matters_only_with_unsolicited_data);
	tcase_add_test(tests, small_max_burst_is_the_targets_own_business);
	tcase_add_test(tests, proposal_waits_for_a_long_answer);
	suite_add_tcase(suite, tests);
	return suite;
}
