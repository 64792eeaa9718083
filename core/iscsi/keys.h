/* SPDX-License-Identifier: Apache-2.0
 *
 * Every text key of RFC 7143 sections 12 and 13 as one table: who may send it, when, and how an offer is answered.
 */
#ifndef TGTKIT_ISCSI_KEYS_H
#define TGTKIT_ISCSI_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/text_parse.h"

enum iscsi_key_id {
	/* who is who */
	ISCSI_KEY_INITIATOR_NAME,
	ISCSI_KEY_INITIATOR_ALIAS,
	ISCSI_KEY_TARGET_NAME,
	ISCSI_KEY_TARGET_ALIAS,
	ISCSI_KEY_TARGET_ADDRESS,
	ISCSI_KEY_TARGET_PORTAL_GROUP_TAG,
	ISCSI_KEY_SESSION_TYPE,
	ISCSI_KEY_SEND_TARGETS,
	/* security */
	ISCSI_KEY_AUTH_METHOD,
	ISCSI_KEY_CHAP_A,
	ISCSI_KEY_CHAP_I,
	ISCSI_KEY_CHAP_C,
	ISCSI_KEY_CHAP_N,
	ISCSI_KEY_CHAP_R,
	/* operation */
	ISCSI_KEY_HEADER_DIGEST,
	ISCSI_KEY_DATA_DIGEST,
	ISCSI_KEY_MAX_CONNECTIONS,
	ISCSI_KEY_INITIAL_R2T,
	ISCSI_KEY_IMMEDIATE_DATA,
	ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH,
	ISCSI_KEY_MAX_BURST_LENGTH,
	ISCSI_KEY_FIRST_BURST_LENGTH,
	ISCSI_KEY_DEFAULT_TIME2WAIT,
	ISCSI_KEY_DEFAULT_TIME2RETAIN,
	ISCSI_KEY_MAX_OUTSTANDING_R2T,
	ISCSI_KEY_DATA_PDU_IN_ORDER,
	ISCSI_KEY_DATA_SEQUENCE_IN_ORDER,
	ISCSI_KEY_ERROR_RECOVERY_LEVEL,
	ISCSI_KEY_PROTOCOL_LEVEL,
	ISCSI_KEY_TASK_REPORTING,
	ISCSI_KEY_NODE_ARCHITECTURE,
	/* obsolete, RFC 7143 13.25 */
	ISCSI_KEY_OF_MARKER,
	ISCSI_KEY_IF_MARKER,
	ISCSI_KEY_OF_MARK_INT,
	ISCSI_KEY_IF_MARK_INT,
	ISCSI_KEYS,
};

enum iscsi_key_function {
	ISCSI_KEY_DECLARED,	   /* stands as it is said, no answer */
	ISCSI_KEY_SECURITY,	   /* part of an authentication exchange */
	ISCSI_KEY_AND,		   /* booleans */
	ISCSI_KEY_OR,		   /* booleans */
	ISCSI_KEY_MINIMUM,	   /* numbers */
	ISCSI_KEY_MAXIMUM,	   /* numbers */
	ISCSI_KEY_LIST,		   /* the first of the offer that the acceptor can use */
	ISCSI_KEY_CONSTANT_ANSWER, /* whatever is offered */
};

enum {
	ISCSI_KEY_IN_SECURITY = 1u << 0, /* login, security negotiation stage */
	ISCSI_KEY_IN_OPERATIONAL = 1u << 1,
	ISCSI_KEY_IN_LOGIN = ISCSI_KEY_IN_SECURITY | ISCSI_KEY_IN_OPERATIONAL,
	ISCSI_KEY_IN_FULL_FEATURE = 1u << 2,
	ISCSI_KEY_IN_ANY_PHASE = ISCSI_KEY_IN_LOGIN | ISCSI_KEY_IN_FULL_FEATURE,
};

struct iscsi_key {
	const char *name;
	enum iscsi_key_function function;
	uint8_t when;		      /* ISCSI_KEY_IN_... */
	bool from_initiator;	      /* else only the target may send it */
	bool irrelevant_in_discovery; /* RFC 7143 13: "Irrelevant when: SessionType=Discovery" */
	bool long_value;	      /* a list or a binary value; else a simple value */
	uint32_t minimum, maximum;    /* of a number */
	uint16_t parameter;	      /* offset in struct iscsi_parameters of what booleans and numbers set */
	const char *answer;	      /* constant */
};

extern const struct iscsi_key iscsi_keys[ISCSI_KEYS];

/* ISCSI_KEYS: not a key that we know, to be answered NotUnderstood. */
enum iscsi_key_id iscsi_key_find(const char *name);
/* RFC 7143 6.1: simple values are 255 bytes at most, and so are the elements of a list. */
bool iscsi_key_allows_length(const struct iscsi_key *key, const struct iscsi_text_pair *pair);

#endif
