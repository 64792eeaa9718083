/* SPDX-License-Identifier: Apache-2.0
 *
 * What the keys of a login request mean.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "iscsi/login_private.h"

#define BIT(id) (UINT64_C(1) << (id))

static bool take_name(char name[static ISCSI_NAME_BYTES], const char *value)
{
	if (!iscsi_name_is_presentable(value))
		return false;
	strcpy(name, value);
	iscsi_name_normalise(name);
	return true;
}

static bool take_identity(struct iscsi_login *login, enum iscsi_key_id id, const char *value)
{
	switch (id) {
	case ISCSI_KEY_INITIATOR_NAME:
		if (!take_name(login->initiator_name, value))
			return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "InitiatorName is no iSCSI name");
		return true;
	case ISCSI_KEY_TARGET_NAME:
		if (!take_name(login->target_name, value))
			return iscsi_login_fail(login, ISCSI_LOGIN_NOT_FOUND, "TargetName is no iSCSI name");
		return true;
	case ISCSI_KEY_SESSION_TYPE:
		login->result.discovery = strcmp(value, "Discovery") == 0;
		if (!login->result.discovery && strcmp(value, "Normal") != 0)
			return iscsi_login_fail(login, ISCSI_LOGIN_SESSION_TYPE_NOT_SUPPORTED,
						"SessionType=%s is neither Normal nor Discovery", value);
		return true;
	default:
		strcpy(login->initiator_alias, value);
		return true;
	}
}

static bool is_identity(enum iscsi_key_id id)
{
	return id == ISCSI_KEY_INITIATOR_NAME || id == ISCSI_KEY_TARGET_NAME || id == ISCSI_KEY_SESSION_TYPE ||
	       id == ISCSI_KEY_INITIATOR_ALIAS;
}

/* libiscsi says who it is again when it enters the operational stage: nothing new, so no renegotiation. */
static bool says_the_same(struct iscsi_login *login, enum iscsi_key_id id, const char *value)
{
	char name[ISCSI_NAME_BYTES];

	switch (id) {
	case ISCSI_KEY_INITIATOR_NAME:
		return take_name(name, value) && strcmp(name, login->initiator_name) == 0;
	case ISCSI_KEY_TARGET_NAME:
		return take_name(name, value) && strcmp(name, login->target_name) == 0;
	case ISCSI_KEY_SESSION_TYPE:
		return strcmp(value, login->result.discovery ? "Discovery" : "Normal") == 0;
	case ISCSI_KEY_INITIATOR_ALIAS:
		return strcmp(value, login->initiator_alias) == 0;
	default:
		return false;
	}
}

static bool is_proposed(const struct iscsi_login *login, enum iscsi_key_id id)
{
	return (login->negotiation.proposed & BIT(id)) != 0;
}

/* Who, when, how often and how long: the table's columns that hold for every key.  false: failed. */
static bool check_key(struct iscsi_login *login, enum iscsi_key_id id, const struct iscsi_text_pair *pair,
		      uint64_t seen_before)
{
	const struct iscsi_key *key = &iscsi_keys[id];
	uint8_t phase = login->stage == ISCSI_STAGE_SECURITY ? ISCSI_KEY_IN_SECURITY : ISCSI_KEY_IN_OPERATIONAL;

	if (!iscsi_key_allows_length(key, pair))
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "the value of %s is too long", key->name);
	if (!key->from_initiator)
		return iscsi_value_is_answer_only(pair->value) ||
		       iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "only a target may send %s", key->name);
	if ((key->when & ISCSI_KEY_IN_LOGIN) && !(key->when & phase))
		return iscsi_login_fail(
		    login, ISCSI_LOGIN_INITIATOR_ERROR, "%s does not belong in the %s stage", key->name,
		    phase == ISCSI_KEY_IN_SECURITY ? "security negotiation" : "operational negotiation");
	if ((login->seen & BIT(id)) && !is_proposed(login, id) &&
	    !((seen_before & BIT(id)) && says_the_same(login, id, pair->value)))
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "%s is negotiated twice", key->name);
	return true;
}

static bool take_known(struct iscsi_login *login, enum iscsi_key_id id, const struct iscsi_text_pair *pair)
{
	const struct iscsi_key *key = &iscsi_keys[id];

	if (is_identity(id) || !key->from_initiator || id == ISCSI_KEY_NODE_ARCHITECTURE)
		return true;
	if (!(key->when & ISCSI_KEY_IN_LOGIN)) {
		iscsi_text_add(&login->response, key->name, "Reject");
		return true;
	}
	if (key->function == ISCSI_KEY_SECURITY) {
		iscsi_login_take_security_key(login, id, pair->value);
		return true;
	}
	if (iscsi_negotiation_take(&login->negotiation, id, pair->value, &login->response) != 0)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "%s=%s is not allowed here", key->name,
					pair->value);
	return true;
}

static struct iscsi_text_reader reader_of(const char *text, size_t length)
{
	return (struct iscsi_text_reader){.next = text, .end = text + length};
}

/* Keys have no order, and what the others mean depends on these. */
static bool take_identities(struct iscsi_login *login, const char *text, size_t length)
{
	struct iscsi_text_reader reader = reader_of(text, length);
	struct iscsi_text_pair pair;
	uint64_t seen_before = login->seen;

	while (iscsi_text_read(&reader, &pair) > 0) {
		enum iscsi_key_id id = iscsi_key_find(pair.key);

		if (id == ISCSI_KEYS)
			continue;
		if (!check_key(login, id, &pair, seen_before))
			return false;
		if (is_identity(id) && !(login->seen & BIT(id)) && !take_identity(login, id, pair.value))
			return false;
		login->seen |= BIT(id);
	}
	return true;
}

static bool find_target(struct iscsi_login *login)
{
	struct iscsi_login_result *result = &login->result;
	uint16_t tag = login->context.portal_group_tag;

	if (login->target_name[0] == '\0')
		return iscsi_login_fail(login, ISCSI_LOGIN_MISSING_PARAMETER, "TargetName is missing");
	result->target = iscsi_directory_find_target(login->context.directory, login->target_name);
	if (!result->target)
		return iscsi_login_fail(login, ISCSI_LOGIN_NOT_FOUND, "there is no target of this name");
	result->port = iscsi_target_find_port(result->target, tag);
	if (!result->port)
		return iscsi_login_fail(login, ISCSI_LOGIN_NOT_FOUND, "the target is not on portal group %" PRIu16,
					tag);
	return true;
}

static void name_target(struct iscsi_login *login)
{
	char tag[8];

	snprintf(tag, sizeof tag, "%" PRIu16, login->context.portal_group_tag);
	iscsi_text_add(&login->response, "TargetPortalGroupTag", tag);
	if (login->result.target->alias && login->result.target->alias[0])
		iscsi_text_add(&login->response, "TargetAlias", login->result.target->alias);
}

/* The first whole request has to say who wants what, RFC 7143 6.3.1. */
static bool identify(struct iscsi_login *login)
{
	if (login->initiator_name[0] == '\0')
		return iscsi_login_fail(login, ISCSI_LOGIN_MISSING_PARAMETER, "InitiatorName is missing");
	if (!login->result.discovery && !find_target(login))
		return false;
	login->identified = true;
	if (!iscsi_login_begin_security(login))
		return false;
	iscsi_negotiation_begin(&login->negotiation,
				login->result.discovery ? NULL : &login->result.target->parameters);
	if (!login->result.discovery)
		name_target(login);
	return true;
}

static bool take_others(struct iscsi_login *login, const char *text, size_t length)
{
	struct iscsi_text_reader reader = reader_of(text, length);
	struct iscsi_text_pair pair;

	while (iscsi_text_read(&reader, &pair) > 0) {
		enum iscsi_key_id id = iscsi_key_find(pair.key);

		if (id != ISCSI_KEYS) {
			if (!take_known(login, id, &pair))
				return false;
		} else if (!iscsi_value_is_answer_only(pair.value)) {
			iscsi_text_add(&login->response, pair.key, "NotUnderstood");
		}
	}
	return true;
}

bool iscsi_login_take_text(struct iscsi_login *login, const char *text, size_t length)
{
	int malformed = iscsi_text_check(text, length);

	/* Both are the initiator's error: the same text would not do better another time. */
	if (malformed)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR,
					malformed == -E2BIG ? "the text has too many keys" : "the text is malformed");
	if (!take_identities(login, text, length))
		return false;
	if (!login->identified && !identify(login))
		return false;
	if (!take_others(login, text, length))
		return false;
	if (login->stage == ISCSI_STAGE_SECURITY)
		return iscsi_login_end_security_text(login);
	iscsi_negotiation_end_text(&login->negotiation, &login->response);
	return true;
}
