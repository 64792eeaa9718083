/* SPDX-License-Identifier: Apache-2.0
 *
 * Text requests and responses outside login: RFC 7143 sections 6.2, 11.10, 11.11 and 13; SendTargets is appendix C.
 */
#ifndef TGTKIT_ISCSI_TEXT_H
#define TGTKIT_ISCSI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "iscsi/directory.h"
#include "iscsi/parameters.h"

#define ISCSI_TEXT_MAXIMUM_BYTES (4u << 20) /* room for tens of thousands of targets */

/* A growing list of key=value strings, each ended by a NUL. */
struct iscsi_text {
	char *bytes;
	size_t length, capacity;
	bool failed; /* no memory, or over the limit: nothing was added since */
};

void iscsi_text_free(struct iscsi_text *text); /* leaves it empty and usable */
void iscsi_text_append(struct iscsi_text *text, const void *bytes, size_t length); /* as they are */
void iscsi_text_add(struct iscsi_text *text, const char *key, const char *value);

struct iscsi_text_context {
	struct iscsi_directory *directory;
	const char *initiator_name;
	const struct sockaddr_storage *initiator_address; /* for access rules; NULL: not known */
	const struct iscsi_target *target;	      /* of a normal session; NULL in discovery */
	const struct sockaddr_storage *local_address; /* that the initiator connected to */
	struct iscsi_parameters *parameters;	      /* MaxRecvDataSegmentLength may be declared anew */
};

/* The answer to SendTargets=value, added to `response`: what of the directory the initiator may know of. */
void iscsi_send_targets(const struct iscsi_text_context *context, const char *value, struct iscsi_text *response);

/* Answers a whole request (all its PDUs joined) with `response`.  0; -EPROTO: the request is malformed (reject it);
 * -ENOMEM. */
int iscsi_text_answer(const struct iscsi_text_context *context, const char *request, size_t length,
		      struct iscsi_text *response);

#endif
