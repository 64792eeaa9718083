/* SPDX-License-Identifier: Apache-2.0
 *
 * Logout, RFC 7143 sections 11.14 and 11.15.  Closing the session, or its one connection, comes to the same: the tasks
 * end without a response, and the logout is answered when they have ended.
 */
#include "iscsi/full_feature.h"
#include "iscsi/session.h"
#include "rt/log.h"

enum { CLOSE_SESSION = 0, CLOSE_CONNECTION = 1, REMOVE_FOR_RECOVERY = 2 };
enum { CLOSED = 0, CID_NOT_FOUND = 1, RECOVERY_NOT_SUPPORTED = 2, CLEANUP_FAILED = 3 };
enum { AT_CID = 20 };

static uint8_t response_to(const struct iscsi_connection *connection, const uint8_t *bhs)
{
	uint8_t reason = bhs[ISCSI_AT_FLAGS] & 0x7f;
	uint16_t cid = rt_get_be16(bhs + AT_CID);

	if (reason == REMOVE_FOR_RECOVERY)
		return RECOVERY_NOT_SUPPORTED; /* error recovery level 0 */
	if (reason == CLOSE_CONNECTION && cid != connection->cid)
		return CID_NOT_FOUND;
	return CLOSED;
}

void iscsi_logout_finish(struct iscsi_connection *connection, bool all_ended)
{
	struct iscsi_output *response = connection->farewell;

	connection->farewell = NULL;
	connection->leaving_session = NULL;
	if (!all_ended)
		response->header[ISCSI_AT_RESPONSE] = CLEANUP_FAILED;
	iscsi_output_queue(connection, response);
	iscsi_connection_finish(connection);
}

void iscsi_logout_request(struct iscsi_connection *connection, const uint8_t *bhs)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(20);
	struct iscsi_output *output;
	uint8_t response;

	if ((bhs[ISCSI_AT_FLAGS] & 0x7f) > REMOVE_FOR_RECOVERY) {
		iscsi_reject(connection, bhs, ISCSI_REJECT_INVALID_PDU_FIELD);
		return;
	}
	output = iscsi_output_take(connection);
	if (!output) {
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	response = response_to(connection, bhs);
	output->header[0] = ISCSI_LOGOUT_RESPONSE;
	output->header[ISCSI_AT_FLAGS] = ISCSI_FINAL;
	output->header[ISCSI_AT_RESPONSE] = response;
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG));
	iscsi_output_put_sequence_numbers(connection, output);
	if (response != CLOSED) {
		iscsi_output_queue(connection, output);
		return;
	}
	rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(connection->session), RT_LOG_DEBUG, "%s: %s has logged out",
			     connection->peer, connection->session->initiator_name);
	connection->farewell = output;
	iscsi_connection_leave(connection);
}
