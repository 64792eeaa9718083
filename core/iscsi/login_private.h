/* SPDX-License-Identifier: Apache-2.0
 *
 * One login between its source files: login.c drives the stages and frames the responses, login_text.c acts on the keys
 * of a whole request, login_security.c on those of the security negotiation stage.
 */
#ifndef TGTKIT_ISCSI_LOGIN_PRIVATE_H
#define TGTKIT_ISCSI_LOGIN_PRIVATE_H

#include "iscsi/chap.h"
#include "iscsi/keys.h"
#include "iscsi/login.h"
#include "iscsi/negotiation.h"

enum iscsi_login_stage { ISCSI_STAGE_SECURITY = 0, ISCSI_STAGE_OPERATIONAL = 1, ISCSI_STAGE_FULL_FEATURE = 3 };

enum iscsi_security_state {
	ISCSI_SECURITY_METHOD,	  /* AuthMethod is awaited */
	ISCSI_SECURITY_ALGORITHM, /* CHAP was agreed, CHAP_A is awaited */
	ISCSI_SECURITY_RESPONSE,  /* the challenge is out */
	ISCSI_SECURITY_SETTLED,	  /* the initiator is admitted */
};

struct iscsi_login_security {
	enum iscsi_security_state state;
	/* Of AuthMethod to CHAP_R in the request that is being read. */
	const char *values[ISCSI_KEY_CHAP_R - ISCSI_KEY_AUTH_METHOD + 1];
	struct iscsi_chap_challenge *challenge; /* owned; NULL unless CHAP is under way */
};

struct iscsi_login {
	struct iscsi_login_context context;
	struct iscsi_login_result result;
	struct iscsi_negotiation negotiation;
	struct iscsi_login_security security;
	enum iscsi_login_status status; /* of the failure, once there is one */
	enum iscsi_login_stage stage;
	uint32_t initiator_task_tag;
	uint32_t requests;
	bool begun;		/* the first PDU was seen */
	bool identified;	/* the first whole request was seen: initiator, session type and target are known */
	uint64_t seen;		/* one bit per key, all requests together */
	struct iscsi_text text; /* of the request, while it comes in several PDUs */
	struct iscsi_text response;
	size_t response_sent, last_part; /* what went out, and where the newest PDU's share begins */
	bool transit;			 /* the request that is being answered asked for another stage */
	char initiator_name[ISCSI_NAME_BYTES];
	char initiator_alias[ISCSI_SIMPLE_VALUE_BYTES + 1];
	char target_name[ISCSI_NAME_BYTES];
};

/* Ends the login: logs why, with the initiator's name and address; returns false. */
bool iscsi_login_fail(struct iscsi_login *login, enum iscsi_login_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Acts on a whole request, adds the answers to login->response.  false: failed. */
bool iscsi_login_take_text(struct iscsi_login *login, const char *text, size_t length);

/* The first whole request has said who wants what: whether it needs a security stage, and may have it. */
bool iscsi_login_begin_security(struct iscsi_login *login);
/* One key of the security stage; the value stays valid until the text is ended. */
void iscsi_login_take_security_key(struct iscsi_login *login, enum iscsi_key_id id, const char *value);
/* All keys of a request in the security stage were taken. */
bool iscsi_login_end_security_text(struct iscsi_login *login);

#endif
