/* SPDX-License-Identifier: Apache-2.0
 *
 * The Challenge Handshake Authentication Protocol as iSCSI uses it: RFC 1994 and RFC 7143 section 12.1.3.
 */
#ifndef TGTKIT_ISCSI_CHAP_H
#define TGTKIT_ISCSI_CHAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iscsi/directory.h"

#define ISCSI_CHAP_DIGEST_BYTES	   32u	 /* of the longest algorithm */
#define ISCSI_CHAP_CHALLENGE_BYTES 1024u /* the longest that a peer may send */

/* What one side asked the other. */
struct iscsi_chap_challenge {
	enum iscsi_chap_algorithm algorithm;
	uint8_t identifier;
	uint8_t bytes[ISCSI_CHAP_CHALLENGE_BYTES];
	size_t length;
};

/* The first algorithm of `authentication` that stands in the initiator's list (CHAP_A) and that the library has; 0:
 * none. */
enum iscsi_chap_algorithm iscsi_chap_choose(const struct iscsi_authentication *authentication, const char *list);
/* A new random challenge, as long as the algorithm's digest.  0, or -EIO: no random numbers or no such algorithm. */
int iscsi_chap_make_challenge(struct iscsi_chap_challenge *challenge, enum iscsi_chap_algorithm algorithm);
/* The response to a challenge: its length, or -EIO. */
int iscsi_chap_respond(const struct iscsi_chap_challenge *challenge, const struct iscsi_account *account,
		       uint8_t response[static ISCSI_CHAP_DIGEST_BYTES]);
/* Whether `response` is the account's, in time that depends on neither; `account` NULL: never, in the same time. */
bool iscsi_chap_verify(const struct iscsi_chap_challenge *challenge, const struct iscsi_account *account,
		       const uint8_t *response, size_t length);
/* The other side has sent back what it was asked: it may be letting us answer our own question. */
bool iscsi_chap_is_reflection(const struct iscsi_chap_challenge *ours, const struct iscsi_chap_challenge *theirs);

#endif
