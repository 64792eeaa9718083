/* SPDX-License-Identifier: Apache-2.0
 *
 * CHAP in the security negotiation stage.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/chap.h"
#include "iscsi/text_parse.h"
#include "unit/iscsi/fixture.h"

#define NAMES "InitiatorName=" FIXTURE_INITIATOR "\nTargetName=" FIXTURE_TARGET

static const uint8_t alices_secret[] = "\x00\xff binary, with\nany byte";
static const uint8_t targets_secret[] = "another secret";

static struct iscsi_user users[2];

static void setup(void)
{
	struct iscsi_authentication *authentication = &fixture_targets[0].authentication;

	fixture_setup();
	users[0] = (struct iscsi_user){
	    .account = {.name = "alice", .secret = alices_secret, .secret_bytes = sizeof alices_secret - 1},
	};
	users[1] = (struct iscsi_user){
	    .account = {.name = "bob", .secret = targets_secret, .secret_bytes = sizeof targets_secret - 1},
	    .initiator = "iqn.1991-05.com.microsoft:*",
	};
	authentication->required = true;
	authentication->users = users;
	authentication->user_count = 2;
	authentication->mutual = (struct iscsi_account){
	    .name = "disk1", .secret = targets_secret, .secret_bytes = sizeof targets_secret - 1};
}

/* The challenge of the newest response. */
static struct iscsi_chap_challenge challenge_of_target(void)
{
	struct iscsi_chap_challenge challenge = {0};
	int length;

	ck_assert_ptr_nonnull(login_answer("CHAP_C"));
	length = iscsi_value_binary(login_answer("CHAP_C"), challenge.bytes, sizeof challenge.bytes);
	ck_assert_int_gt(length, 0);
	challenge.length = (size_t)length;
	challenge.algorithm = (enum iscsi_chap_algorithm)atoi(login_answer("CHAP_A"));
	challenge.identifier = (uint8_t)atoi(login_answer("CHAP_I"));
	return challenge;
}

static void encode_base64(char *text, const uint8_t *bytes, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	text += sprintf(text, "0b");
	for (size_t i = 0; i < length; i += 3) {
		uint32_t bits = (uint32_t)bytes[i] << 16 | (uint32_t)(i + 1 < length ? bytes[i + 1] : 0) << 8 |
				(i + 2 < length ? bytes[i + 2] : 0u);

		for (unsigned digit = 0; digit < 4; digit++)
			*text++ = i + digit <= length ? digits[bits >> (18 - 6 * digit) & 63] : '=';
	}
	*text = '\0';
}

static void offer(const char *algorithms)
{
	char text[64];

	ck_assert_int_eq(login_send(SECURITY, OPERATIONAL, NAMES "\nAuthMethod=CHAP,None"), ISCSI_LOGIN_CONTINUES);
	ck_assert(!login_is_granted(OPERATIONAL));
	ck_assert_answer("AuthMethod", "CHAP");
	snprintf(text, sizeof text, "CHAP_A=%s", algorithms);
	ck_assert_int_eq(login_send(SECURITY, OPERATIONAL, text), ISCSI_LOGIN_CONTINUES);
	ck_assert(!login_is_granted(OPERATIONAL));
}

static enum iscsi_login_step respond(const char *name, const struct iscsi_account *account, bool base64,
				     const char *more)
{
	struct iscsi_chap_challenge challenge = challenge_of_target();
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	int length = iscsi_chap_respond(&challenge, account, response);
	char value[128], text[4096];

	ck_assert_int_gt(length, 0);
	if (base64)
		encode_base64(value, response, (size_t)length);
	else
		iscsi_value_put_binary(value, response, (size_t)length);
	snprintf(text, sizeof text, "CHAP_N=%s\nCHAP_R=%s%s%s", name, value, *more ? "\n" : "", more);
	return login_send(SECURITY, OPERATIONAL, text);
}

static const char *const algorithms[] = {"5", "6", "7", "8", "5,6,7,8"};

START_TEST(one_way)
{
	offer(algorithms[_i % 5]);
	ck_assert_answer("CHAP_A", _i % 5 == 4 ? "8" : algorithms[_i % 5]);
	ck_assert_int_eq(respond("alice", &users[0].account, _i >= 5, ""), ISCSI_LOGIN_CONTINUES);
	ck_assert(login_is_granted(OPERATIONAL));
	ck_assert_uint_eq(login_answer_count(), 0);
	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, "MaxBurstLength=4096"), ISCSI_LOGIN_WANTS_SESSION);
}
END_TEST

START_TEST(mutual)
{
	struct iscsi_chap_challenge ours = {.identifier = 200, .length = ISCSI_CHAP_CHALLENGE_BYTES};
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	char text[2 * ISCSI_CHAP_CHALLENGE_BYTES + 64], value[2 * ISCSI_CHAP_DIGEST_BYTES + 3];
	int length;

	offer(algorithms[_i]);
	ours.algorithm = (enum iscsi_chap_algorithm)atoi(login_answer("CHAP_A"));
	memset(ours.bytes, 0xa5, ours.length);
	strcpy(text, "CHAP_I=200\nCHAP_C=");
	iscsi_value_put_binary(text + strlen(text), ours.bytes, ours.length);
	ck_assert_int_eq(respond("alice", &users[0].account, false, text), ISCSI_LOGIN_CONTINUES);
	ck_assert(login_is_granted(OPERATIONAL));
	length = iscsi_chap_respond(&ours, &fixture_targets[0].authentication.mutual, response);
	iscsi_value_put_binary(value, response, (size_t)length);
	ck_assert_answer("CHAP_N", "disk1");
	ck_assert_answer("CHAP_R", value);
}
END_TEST

START_TEST(stage_may_be_left_later)
{
	struct iscsi_chap_challenge challenge;
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	char text[128] = "CHAP_N=alice\nCHAP_R=";

	offer("7");
	challenge = challenge_of_target();
	iscsi_value_put_binary(text + strlen(text), response,
			       (size_t)iscsi_chap_respond(&challenge, &users[0].account, response));
	ck_assert_int_eq(login_send(SECURITY, STAY, text), ISCSI_LOGIN_CONTINUES);
	ck_assert_int_eq(login_send(SECURITY, FULL_FEATURE, ""), ISCSI_LOGIN_WANTS_SESSION);
}
END_TEST

START_TEST(wrong_secret)
{
	offer("7");
	ck_assert_refused(respond("alice", &users[1].account, false, ""), 0x0201);
	ck_assert_uint_eq(fixture_response.text_bytes, 0);
}
END_TEST

START_TEST(wrong_name)
{
	offer("5");
	ck_assert_refused(respond("mallory", &users[0].account, false, ""), 0x0201);
}
END_TEST

START_TEST(user_of_another_initiator)
{
	offer("5");
	ck_assert_refused(respond("bob", &users[1].account, false, ""), 0x0201);
}
END_TEST

START_TEST(no_users_admit_nobody)
{
	fixture_targets[0].authentication.user_count = 0;
	offer("5");
	ck_assert_refused(respond("alice", &users[0].account, false, ""), 0x0201);
}
END_TEST

static const char *const wrong_responses[] = {"0x00", "0x", "nothing", "", "0b!!!!", "12345"};

START_TEST(malformed_response)
{
	char text[64];

	offer("5");
	snprintf(text, sizeof text, "CHAP_N=alice\nCHAP_R=%s", wrong_responses[_i]);
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, text), 0x0201);
}
END_TEST

START_TEST(no_acceptable_algorithm)
{
	login_send(SECURITY, OPERATIONAL, NAMES "\nAuthMethod=CHAP");
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, "CHAP_A=4,9"), 0x0201);
}
END_TEST

static const struct {
	const char *text;
	int status;
} first_steps[] = {
    {NAMES "\nAuthMethod=None", 0x0201},
    {NAMES "\nAuthMethod=KRB5", 0x0201},
    {NAMES, 0x0201},
    {NAMES "\nAuthMethod=CHAP\nCHAP_A=5", 0x0200},
    {NAMES "\nCHAP_A=5", 0x0200},
    {NAMES "\nCHAP_N=alice\nCHAP_R=0x00", 0x0200},
};

START_TEST(first_step)
{
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, first_steps[_i].text), first_steps[_i].status);
}
END_TEST

static const struct {
	const char *text;
	int status;
} second_steps[] = {
    {"", 0x0207},
    {"CHAP_N=alice\nCHAP_R=0x00", 0x0207},
    {"CHAP_A=5\nCHAP_N=alice", 0x0200},
    {"AuthMethod=None", 0x0200},
};

START_TEST(second_step)
{
	login_send(SECURITY, OPERATIONAL, NAMES "\nAuthMethod=CHAP");
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, second_steps[_i].text), second_steps[_i].status);
}
END_TEST

static const struct {
	const char *text;
	int status;
} third_steps[] = {
    {"", 0x0207},
    {"CHAP_N=alice", 0x0207},
    {"CHAP_R=0x00", 0x0207},
    {"CHAP_N=alice\nCHAP_R=0x00\nCHAP_I=1", 0x0207},
    {"CHAP_N=alice\nCHAP_R=0x00\nCHAP_C=0x11", 0x0207},
    {"CHAP_N=alice\nCHAP_R=0x00\nCHAP_A=5", 0x0200},
};

START_TEST(third_step)
{
	offer("5");
	ck_assert_refused(login_send(SECURITY, OPERATIONAL, third_steps[_i].text), third_steps[_i].status);
}
END_TEST

START_TEST(stage_may_not_be_skipped)
{
	ck_assert_refused(login_at_once(""), 0x0201);
}
END_TEST

START_TEST(chap_may_not_be_repeated)
{
	login_send(SECURITY, STAY, NAMES "\nAuthMethod=CHAP");
	login_send(SECURITY, STAY, "CHAP_A=5");
	ck_assert_refused(login_send(SECURITY, STAY, "CHAP_A=5"), 0x0200);
}
END_TEST

static const struct {
	const char *text;
	int status;
} questions[] = {
    {"CHAP_I=256\nCHAP_C=0x1122", 0x0200},
    {"CHAP_I=x\nCHAP_C=0x1122", 0x0200},
    {"CHAP_I=1\nCHAP_C=1122", 0x0200},
    {"CHAP_I=1\nCHAP_C=0x", 0x0200},
};

START_TEST(malformed_question_of_the_initiator)
{
	offer("5");
	ck_assert_refused(respond("alice", &users[0].account, false, questions[_i].text), questions[_i].status);
}
END_TEST

START_TEST(challenge_of_the_initiator_is_too_long)
{
	uint8_t bytes[ISCSI_CHAP_CHALLENGE_BYTES + 1] = {1};
	char text[2 * sizeof bytes + 32] = "CHAP_I=1\nCHAP_C=";

	iscsi_value_put_binary(text + strlen(text), bytes, sizeof bytes);
	offer("5");
	ck_assert_refused(respond("alice", &users[0].account, false, text), 0x0200);
}
END_TEST

START_TEST(mutual_without_a_mutual_user)
{
	fixture_targets[0].authentication.mutual.name = NULL;
	offer("5");
	ck_assert_refused(respond("alice", &users[0].account, false, "CHAP_I=1\nCHAP_C=0x1122"), 0x0201);
}
END_TEST

START_TEST(mutual_with_the_same_secret)
{
	fixture_targets[0].authentication.mutual.secret = alices_secret;
	fixture_targets[0].authentication.mutual.secret_bytes = sizeof alices_secret - 1;
	offer("5");
	ck_assert_refused(respond("alice", &users[0].account, false, "CHAP_I=1\nCHAP_C=0x1122"), 0x0201);
}
END_TEST

START_TEST(reflection)
{
	char text[128];

	offer("7");
	snprintf(text, sizeof text, "CHAP_I=1\nCHAP_C=%s", login_answer("CHAP_C"));
	ck_assert_refused(respond("alice", &users[0].account, false, text), 0x0201);
}
END_TEST

START_TEST(unauthenticated_initiators_learn_nothing_of_mutual)
{
	offer("7");
	ck_assert_refused(respond("alice", &users[1].account, false, "CHAP_I=1\nCHAP_C=0x1122"), 0x0201);
	ck_assert_uint_eq(fixture_response.text_bytes, 0);
}
END_TEST

START_TEST(access_rules_come_after_authentication)
{
	fixture_targets[0].restricted = true;
	offer("7");
	ck_assert_refused(respond("alice", &users[0].account, false, ""), 0x0202);
	login_restart();
	offer("7");
	ck_assert_refused(respond("alice", &users[1].account, false, ""), 0x0201);
}
END_TEST

START_TEST(discovery_has_users_of_its_own)
{
	const char *names = "InitiatorName=" FIXTURE_INITIATOR "\nSessionType=Discovery";

	ck_assert_int_eq(login_send(OPERATIONAL, FULL_FEATURE, names), ISCSI_LOGIN_WANTS_SESSION);
	fixture_directory.discovery_authentication.required = true;
	fixture_directory.discovery_authentication.users = users;
	fixture_directory.discovery_authentication.user_count = 1;
	login_restart();
	ck_assert_refused(login_send(OPERATIONAL, FULL_FEATURE, names), 0x0201);
	login_restart();
	login_send(SECURITY, OPERATIONAL,
		   "InitiatorName=" FIXTURE_INITIATOR "\nSessionType=Discovery\nAuthMethod=None,CHAP");
	ck_assert_answer("AuthMethod", "CHAP");
	login_send(SECURITY, OPERATIONAL, "CHAP_A=5");
	respond("alice", &users[0].account, false, "");
	ck_assert(login_is_granted(OPERATIONAL));
}
END_TEST

#define LOOP(name, rows) tcase_add_loop_test(tests, name, 0, sizeof(rows) / sizeof *(rows))

Suite *login_security_suite(void)
{
	Suite *suite = suite_create("login security");
	TCase *tests = tcase_create("chap");

	tcase_add_checked_fixture(tests, setup, fixture_teardown);
	tcase_add_loop_test(tests, one_way, 0, 10);
	LOOP(mutual, algorithms);
	tcase_add_test(tests, stage_may_be_left_later);
	tcase_add_test(tests, wrong_secret);
	tcase_add_test(tests, wrong_name);
	tcase_add_test(tests, user_of_another_initiator);
	tcase_add_test(tests, no_users_admit_nobody);
	LOOP(malformed_response, wrong_responses);
	tcase_add_test(tests, no_acceptable_algorithm);
	LOOP(first_step, first_steps);
	LOOP(second_step, second_steps);
	LOOP(third_step, third_steps);
	tcase_add_test(tests, stage_may_not_be_skipped);
	tcase_add_test(tests, chap_may_not_be_repeated);
	LOOP(malformed_question_of_the_initiator, questions);
	tcase_add_test(tests, challenge_of_the_initiator_is_too_long);
	tcase_add_test(tests, mutual_without_a_mutual_user);
	tcase_add_test(tests, mutual_with_the_same_secret);
	tcase_add_test(tests, reflection);
	tcase_add_test(tests, unauthenticated_initiators_learn_nothing_of_mutual);
	tcase_add_test(tests, access_rules_come_after_authentication);
	tcase_add_test(tests, discovery_has_users_of_its_own);
	suite_add_tcase(suite, tests);
	return suite;
}
