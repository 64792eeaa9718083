/* SPDX-License-Identifier: Apache-2.0
 *
 * The login phase of one connection, RFC 7143 section 6, as a state machine without I/O: login requests in, login
 * responses out.  The caller does the sending, the timeout and the session.
 */
#ifndef TGTKIT_ISCSI_LOGIN_H
#define TGTKIT_ISCSI_LOGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iscsi/directory.h"
#include "iscsi/parameters.h"
#include "iscsi/pdu.h"

/* What an unauthenticated peer may send in one logical request (all PDUs joined by the C bit), and what we accept as a
 * data segment during login (RFC 7143 13.12: the default of MaxRecvDataSegmentLength). */
#define ISCSI_LOGIN_TEXT_BYTES	       16384u
#define ISCSI_LOGIN_DATA_SEGMENT_BYTES 8192u
#define ISCSI_LOGIN_MAXIMUM_REQUESTS   64u

struct iscsi_login_context {
	struct iscsi_directory *directory; /* a reference is held by the caller while the login lasts */
	uint16_t portal_group_tag;
	const char *peer; /* "192.0.2.7:51234", for messages; outlives the login */
	const struct sockaddr_storage *peer_address; /* for access rules; outlives the login; NULL: not known */
};

struct iscsi_login; /* about 1 KiB, and the text while a request or its answer is under way */

struct iscsi_login *iscsi_login_create(const struct iscsi_login_context *context); /* NULL: no memory */
void iscsi_login_free(struct iscsi_login *login);

enum iscsi_login_step {
	ISCSI_LOGIN_CONTINUES, /* send the response, wait for the next request */
	/* The initiator is known, authenticated and admitted, and the last request asked for the full feature phase:
	 * the caller makes or finds the session and calls iscsi_login_accept or iscsi_login_refuse, which fill the
	 * response. */
	ISCSI_LOGIN_WANTS_SESSION,
	ISCSI_LOGIN_FAILED, /* send the response, close */
};

/* A response to be sent: BHS complete but for StatSN, ExpCmdSN and MaxCmdSN, which the caller keeps. */
struct iscsi_login_response {
	uint8_t bhs[ISCSI_BHS_BYTES];
	const uint8_t *text; /* valid until the next call */
	uint32_t text_bytes; /* at most ISCSI_LOGIN_DATA_SEGMENT_BYTES */
};

/* One login request PDU (bhs, data).  data_bytes has been checked against ISCSI_LOGIN_DATA_SEGMENT_BYTES. */
enum iscsi_login_step iscsi_login_request(struct iscsi_login *login, const uint8_t bhs[static ISCSI_BHS_BYTES],
					  const uint8_t *data, uint32_t data_bytes,
					  struct iscsi_login_response *response);
void iscsi_login_accept(struct iscsi_login *login, uint16_t tsih, struct iscsi_login_response *response);
void iscsi_login_refuse(struct iscsi_login *login, enum iscsi_login_status status,
			struct iscsi_login_response *response);

/* What a login that wants a session has found out. */
struct iscsi_login_result {
	bool discovery;
	const struct iscsi_target *target;    /* NULL for discovery; of the context's directory */
	const struct iscsi_target_port *port; /* NULL for discovery */
	struct scsi_lun_map *lun_map;	      /* what the access rules show of the target; no reference of its own */
	const char *initiator_name, *initiator_alias;
	uint8_t isid[6];
	uint16_t tsih, cid;
	struct iscsi_parameters parameters;
};
const struct iscsi_login_result *iscsi_login_result(const struct iscsi_login *login);

#endif
