/* SPDX-License-Identifier: Apache-2.0
 *
 * The security negotiation stage, RFC 7143 section 12: who must authenticate, the CHAP exchange, and who is admitted.
 */
#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/login_private.h"

static const struct iscsi_authentication *authentication_of(const struct iscsi_login *login)
{
	return login->result.discovery ? &login->context.directory->discovery_authentication
				       : &login->result.target->authentication;
}

/* The last question of security: the initiator is who it says. */
static bool admit(struct iscsi_login *login)
{
	struct iscsi_login_result *result = &login->result;

	login->security.state = ISCSI_SECURITY_SETTLED;
	if (result->discovery)
		return true;
	result->lun_map = iscsi_target_admit(result->target, login->initiator_name, login->context.peer_address);
	if (!result->lun_map)
		return iscsi_login_fail(login, ISCSI_LOGIN_FORBIDDEN,
					"no access rule of the target matches this initiator and its address");
	return true;
}

bool iscsi_login_begin_security(struct iscsi_login *login)
{
	if (!authentication_of(login)->required)
		return admit(login);
	if (login->stage != ISCSI_STAGE_SECURITY)
		return iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
					"CHAP is required, and the security stage was skipped");
	return true;
}

void iscsi_login_take_security_key(struct iscsi_login *login, enum iscsi_key_id id, const char *value)
{
	login->security.values[id - ISCSI_KEY_AUTH_METHOD] = value;
}

static const char *value_of(const struct iscsi_login *login, enum iscsi_key_id id)
{
	return login->security.values[id - ISCSI_KEY_AUTH_METHOD];
}

/* The keys that this step of the exchange is about are all there, and no other. */
static bool expect(struct iscsi_login *login, uint64_t needed, uint64_t allowed)
{
	for (enum iscsi_key_id id = ISCSI_KEY_AUTH_METHOD; id <= ISCSI_KEY_CHAP_R; id++) {
		uint64_t bit = UINT64_C(1) << id;

		if (value_of(login, id) && !((needed | allowed) & bit))
			return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "%s is out of order",
						iscsi_keys[id].name);
		if (!value_of(login, id) && (needed & bit))
			return iscsi_login_fail(login, ISCSI_LOGIN_MISSING_PARAMETER, "%s is missing",
						iscsi_keys[id].name);
	}
	return true;
}

#define KEY(id) (UINT64_C(1) << ISCSI_KEY_##id)

static bool answer_method(struct iscsi_login *login)
{
	static const char *const none[] = {"None", NULL}, *const chap[] = {"CHAP", NULL};
	bool required = authentication_of(login)->required;
	const char *offer = value_of(login, ISCSI_KEY_AUTH_METHOD), *chosen;

	if (!expect(login, 0, KEY(AUTH_METHOD)))
		return false;
	if (!offer) {
		if (login->transit && required)
			return iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
						"CHAP is required, and AuthMethod was not offered");
		return true;
	}
	chosen = iscsi_value_choose(offer, required ? chap : none);
	if (!chosen)
		iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
				 "AuthMethod=%s was offered, and the target accepts %s alone", offer,
				 required ? "CHAP" : "None");
	iscsi_text_add(&login->response, "AuthMethod", chosen ? chosen : "Reject");
	if (chosen && required)
		login->security.state = ISCSI_SECURITY_ALGORITHM;
	return chosen != NULL;
}

static void add_number(struct iscsi_login *login, enum iscsi_key_id id, unsigned value)
{
	char text[16];

	snprintf(text, sizeof text, "%u", value);
	iscsi_text_add(&login->response, iscsi_keys[id].name, text);
}

static void add_binary(struct iscsi_login *login, enum iscsi_key_id id, const uint8_t *bytes, size_t length)
{
	char text[2 * ISCSI_CHAP_DIGEST_BYTES + 3];

	iscsi_value_put_binary(text, bytes, length);
	iscsi_text_add(&login->response, iscsi_keys[id].name, text);
}

static bool send_challenge(struct iscsi_login *login)
{
	enum iscsi_chap_algorithm algorithm;
	struct iscsi_chap_challenge *challenge;

	if (!expect(login, KEY(CHAP_A), 0))
		return false;
	algorithm = iscsi_chap_choose(authentication_of(login), value_of(login, ISCSI_KEY_CHAP_A));
	if (!algorithm)
		return iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
					"CHAP_A=%s has no algorithm that the target accepts",
					value_of(login, ISCSI_KEY_CHAP_A));
	challenge = login->security.challenge = malloc(sizeof *challenge);
	if (!challenge || iscsi_chap_make_challenge(challenge, algorithm) != 0)
		return iscsi_login_fail(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "no memory or random numbers for CHAP");
	add_number(login, ISCSI_KEY_CHAP_A, algorithm);
	add_number(login, ISCSI_KEY_CHAP_I, challenge->identifier);
	add_binary(login, ISCSI_KEY_CHAP_C, challenge->bytes, challenge->length);
	login->security.state = ISCSI_SECURITY_RESPONSE;
	return true;
}

static const struct iscsi_account *find_account(const struct iscsi_login *login, const char *name)
{
	const struct iscsi_authentication *authentication = authentication_of(login);

	for (size_t i = 0; i < authentication->user_count; i++) {
		const struct iscsi_user *user = &authentication->users[i];

		if (strcmp(user->account.name, name) == 0 &&
		    (!user->initiator || iscsi_name_matches(user->initiator, login->initiator_name)))
			return &user->account;
	}
	return NULL;
}

static bool secrets_are_equal(const struct iscsi_account *a, const struct iscsi_account *b)
{
	return a->secret_bytes == b->secret_bytes && CRYPTO_memcmp(a->secret, b->secret, a->secret_bytes) == 0;
}

static bool take_their_challenge(struct iscsi_login *login, struct iscsi_chap_challenge *theirs)
{
	uint64_t identifier;
	int length = iscsi_value_binary(value_of(login, ISCSI_KEY_CHAP_C), theirs->bytes, sizeof theirs->bytes);

	if (!iscsi_value_number(value_of(login, ISCSI_KEY_CHAP_I), &identifier) || identifier > 255)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "CHAP_I is no number below 256");
	if (length <= 0)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR,
					"CHAP_C is no binary value of up to %u bytes", ISCSI_CHAP_CHALLENGE_BYTES);
	theirs->algorithm = login->security.challenge->algorithm;
	theirs->identifier = (uint8_t)identifier;
	theirs->length = (size_t)length;
	return true;
}

/* Mutual CHAP: the initiator wants to know whether this is the target.  12.1.3 and 9.2.1: never with the secret of the
 * other direction, nor on a challenge that came from here, or the answer would serve somebody in between. */
static bool prove_target(struct iscsi_login *login, const struct iscsi_account *initiator)
{
	const struct iscsi_account *mutual = &authentication_of(login)->mutual;
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	struct iscsi_chap_challenge theirs;
	int length;

	if (!take_their_challenge(login, &theirs))
		return false;
	if (!mutual->name)
		return iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
					"mutual CHAP is asked for, and no mutual user is configured");
	if (secrets_are_equal(mutual, initiator))
		return iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
					"mutual user %s has the secret of user %s: give it one of its own",
					mutual->name, initiator->name);
	if (iscsi_chap_is_reflection(login->security.challenge, &theirs))
		return iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
					"the target's challenge came back as CHAP_C");
	length = iscsi_chap_respond(&theirs, mutual, response);
	if (length < 0)
		return iscsi_login_fail(login, ISCSI_LOGIN_TARGET_ERROR,
					"the response of mutual CHAP cannot be computed");
	iscsi_text_add(&login->response, iscsi_keys[ISCSI_KEY_CHAP_N].name, mutual->name);
	add_binary(login, ISCSI_KEY_CHAP_R, response, (size_t)length);
	return true;
}

static bool check_response(struct iscsi_login *login)
{
	const char *name = value_of(login, ISCSI_KEY_CHAP_N);
	bool mutual = value_of(login, ISCSI_KEY_CHAP_I) || value_of(login, ISCSI_KEY_CHAP_C);
	uint64_t asked_back = KEY(CHAP_I) | KEY(CHAP_C);
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	const struct iscsi_account *account;
	int length;

	if (!expect(login, KEY(CHAP_N) | KEY(CHAP_R) | (mutual ? asked_back : 0), 0))
		return false;
	length = iscsi_value_binary(value_of(login, ISCSI_KEY_CHAP_R), response, sizeof response);
	account = find_account(login, name);
	/* One message for all: which of name and secret was wrong is nobody's business. */
	if (!iscsi_chap_verify(login->security.challenge, account, response, length < 0 ? 0 : (size_t)length))
		return iscsi_login_fail(login, ISCSI_LOGIN_AUTHENTICATION_FAILED,
					"CHAP name %s or its secret is wrong, or not for this initiator", name);
	return (!mutual || prove_target(login, account)) && admit(login);
}

bool iscsi_login_end_security_text(struct iscsi_login *login)
{
	struct iscsi_login_security *security = &login->security;
	bool good;

	if (security->state == ISCSI_SECURITY_ALGORITHM)
		good = send_challenge(login);
	else if (security->state == ISCSI_SECURITY_RESPONSE)
		good = check_response(login);
	else if (security->state == ISCSI_SECURITY_SETTLED && authentication_of(login)->required)
		good = expect(login, 0, 0);
	else
		good = answer_method(login);
	memset(security->values, 0, sizeof security->values);
	return good;
}
