/* SPDX-License-Identifier: Apache-2.0
 *
 * What initiators in the field send when they log in, and what they expect of the answer.
 */
#include <check.h>

#include "unit/iscsi/fixture.h"

START_TEST(linux_normal_session)
{
	const struct iscsi_parameters *now;

	ck_assert_int_eq(
	    login_send(OPERATIONAL, FULL_FEATURE,
		       "InitiatorName=" FIXTURE_INITIATOR "\nInitiatorAlias=host\nTargetName=" FIXTURE_TARGET
		       "\nSessionType=Normal\nHeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=2\n"
		       "DefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\nInitialR2T=No\n"
		       "ImmediateData=Yes\nMaxBurstLength=16776192\nFirstBurstLength=262144\n"
		       "MaxOutstandingR2T=1\nMaxConnections=1\nDataPDUInOrder=Yes\nDataSequenceInOrder=Yes\n"
		       "MaxRecvDataSegmentLength=262144"),
	    ISCSI_LOGIN_WANTS_SESSION);
	now = login_outcome();
	ck_assert_uint_eq(now->max_burst_length, 16776192);
	ck_assert_uint_eq(now->first_burst_length, 65536);
	ck_assert_uint_eq(now->initiator_max_recv_data_segment_length, 262144);
	ck_assert_uint_eq(now->default_time2wait, 2);
	ck_assert_uint_eq(now->default_time2retain, 0);
	ck_assert(!now->initial_r2t && now->immediate_data && !now->header_digest && !now->data_digest);
	ck_assert_answer("IFMarker", "No");
	ck_assert_answer("OFMarker", "No");
	/* An answer to every offer, and what the target declares. */
	ck_assert_uint_eq(login_answer_count(), 15 + 3);
}
END_TEST

START_TEST(linux_with_digests)
{
	login_at_once("HeaderDigest=CRC32C\nDataDigest=CRC32C\nMaxRecvDataSegmentLength=262144");
	ck_assert(login_outcome()->header_digest);
	ck_assert(login_outcome()->data_digest);
}
END_TEST

START_TEST(linux_discovery)
{
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE,
				    "InitiatorName=" FIXTURE_INITIATOR "\nInitiatorAlias=host\nSessionType=Discovery\n"
				    "HeaderDigest=None\nDataDigest=None\nDefaultTime2Wait=2\nDefaultTime2Retain=0\n"
				    "IFMarker=No\nOFMarker=No\nErrorRecoveryLevel=0\nMaxRecvDataSegmentLength=32768"),
			 ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_uint_eq(login_outcome()->initiator_max_recv_data_segment_length, 32768);
	ck_assert_uint_eq(login_answer_count(), 7 + 1);
}
END_TEST

/* libiscsi begins with security and repeats the names in the next stage. */
START_TEST(libiscsi_normal_session)
{
	ck_assert_int_eq(login_send(SECURITY, OPERATIONAL,
				    "InitiatorName=" FIXTURE_INITIATOR
				    "\nInitiatorAlias=host\nTargetName=" FIXTURE_TARGET
				    "\nSessionType=Normal\nAuthMethod=None"),
			 ISCSI_LOGIN_CONTINUES);
	ck_assert(login_is_granted(OPERATIONAL));
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE,
				    "InitiatorName=" FIXTURE_INITIATOR
				    "\nInitiatorAlias=host\nTargetName=" FIXTURE_TARGET
				    "\nSessionType=Normal\nHeaderDigest=None,CRC32C\nDataDigest=None\nInitialR2T=No\n"
				    "ImmediateData=Yes\nMaxBurstLength=262144\nFirstBurstLength=262144\n"
				    "MaxRecvDataSegmentLength=262144\nDataPDUInOrder=Yes\nDefaultTime2Wait=2\n"
				    "DefaultTime2Retain=0\nIFMarker=No\nOFMarker=No\nMaxConnections=1\n"
				    "MaxOutstandingR2T=1\nErrorRecoveryLevel=0\nDataSequenceInOrder=Yes"),
			 ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_uint_eq(login_outcome()->max_burst_length, 262144);
}
END_TEST

/* Windows sends the operational keys in a request of their own and leaves the stage with an empty one. */
START_TEST(windows_normal_session)
{
	ck_assert_int_eq(login_send(SECURITY, OPERATIONAL,
				    "InitiatorName=iqn.1991-05.com.microsoft:win-host\nSessionType=Normal\n"
				    "TargetName=" FIXTURE_TARGET "\nAuthMethod=None"),
			 ISCSI_LOGIN_CONTINUES);
	ck_assert(login_is_granted(OPERATIONAL));
	ck_assert_int_eq(
	    login_send(OPERATIONAL, STAY,
		       "HeaderDigest=None,CRC32C\nDataDigest=None,CRC32C\nErrorRecoveryLevel=2\nInitialR2T=No\n"
		       "ImmediateData=Yes\nMaxRecvDataSegmentLength=65536\nMaxBurstLength=262144\n"
		       "FirstBurstLength=65536\nMaxConnections=32\nDataPDUInOrder=Yes\n"
		       "DataSequenceInOrder=Yes\nMaxOutstandingR2T=16\nDefaultTime2Wait=0\n"
		       "DefaultTime2Retain=60"),
	    ISCSI_LOGIN_CONTINUES);
	ck_assert_answer("MaxConnections", "1");
	ck_assert_answer("MaxOutstandingR2T", "8");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, ""), ISCSI_LOGIN_WANTS_SESSION);
	ck_assert_uint_eq(login_outcome()->initiator_max_recv_data_segment_length, 65536);
	ck_assert_uint_eq(login_answer_count(), 0);
}
END_TEST

/* iPXE offers CHAP and None whatever it has, and needs the whole login from stage 0. */
START_TEST(ipxe_normal_session)
{
	ck_assert_int_eq(login_send(SECURITY, OPERATIONAL,
				    "InitiatorName=iqn.2010-04.org.ipxe:host\nTargetName=" FIXTURE_TARGET
				    "\nSessionType=Normal\nAuthMethod=CHAP,None"),
			 ISCSI_LOGIN_CONTINUES);
	ck_assert_answer("AuthMethod", "None");
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE,
				    "HeaderDigest=None\nDataDigest=None\nMaxConnections=1\nInitialR2T=Yes\n"
				    "ImmediateData=No\nMaxRecvDataSegmentLength=8192\nMaxBurstLength=262144\n"
				    "DefaultTime2Wait=2\nDefaultTime2Retain=0\nMaxOutstandingR2T=1\n"
				    "DataPDUInOrder=Yes\nDataSequenceInOrder=Yes\nErrorRecoveryLevel=0"),
			 ISCSI_LOGIN_WANTS_SESSION);
	ck_assert(!login_outcome()->immediate_data);
}
END_TEST

Suite *initiators_suite(void)
{
	Suite *suite = suite_create("initiators");
	TCase *tests = tcase_create("initiators");

	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_add_test(tests, linux_normal_session);
	tcase_add_test(tests, linux_with_digests);
	tcase_add_test(tests, linux_discovery);
	tcase_add_test(tests, libiscsi_normal_session);
	tcase_add_test(tests, windows_normal_session);
	tcase_add_test(tests, ipxe_normal_session);
	suite_add_tcase(suite, tests);
	return suite;
}
