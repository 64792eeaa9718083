/* SPDX-License-Identifier: Apache-2.0
 *
 * The login phase of a connection: the state machine of login.h between socket, registry and session.
 */
#include <stdlib.h>
#include <string.h>

#include "iscsi/admission.h"
#include "iscsi/connection.h"
#include "iscsi/full_feature.h"
#include "iscsi/registry.h"
#include "iscsi/session.h"
#include "rt/log.h"

static void send_response(struct iscsi_connection *connection, const struct iscsi_login_response *response)
{
	struct iscsi_output *output = iscsi_output_take(connection);

	if (output && response->text_bytes)
		output->flat = malloc(response->text_bytes);
	if (!output || (response->text_bytes && !output->flat)) {
		if (output)
			iscsi_output_release(connection, output);
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	memcpy(output->header, response->bhs, ISCSI_BHS_BYTES);
	if (response->text_bytes)
		memcpy(output->flat, response->text, response->text_bytes);
	output->data_bytes = response->text_bytes;
	if (connection->session) {
		iscsi_output_put_sequence_numbers(connection, output);
	} else {
		rt_put_be32(output->header + ISCSI_AT_STAT_SN, connection->stat_sn++);
		rt_put_be32(output->header + ISCSI_AT_EXP_CMD_SN, connection->login_cmd_sn);
		rt_put_be32(output->header + ISCSI_AT_MAX_CMD_SN, connection->login_cmd_sn);
	}
	iscsi_output_queue(connection, output);
}

static void refuse(struct iscsi_connection *connection, enum iscsi_login_status status)
{
	struct iscsi_login_response response;

	iscsi_login_refuse(connection->login, status, &response);
	send_response(connection, &response);
	iscsi_connection_finish(connection);
}

bool iscsi_login_phase_accepts(struct iscsi_connection *connection, const uint8_t *bhs)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);

	if (iscsi_pdu_opcode(bhs) == ISCSI_LOGIN_REQUEST)
		return true;
	rt_log_limited_about(&limit, RT_ABOUT(.address = connection->peer), RT_LOG_WARNING,
			     "%s: PDU with opcode %02Xh before login", connection->peer, iscsi_pdu_opcode(bhs));
	refuse(connection, ISCSI_LOGIN_INVALID_DURING_LOGIN);
	return false;
}

static void enter_full_feature(struct iscsi_connection *connection, struct iscsi_session *session)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(20);
	struct iscsi_login_response response;

	connection->session = session;
	connection->cid = iscsi_login_result(connection->login)->cid;
	iscsi_login_accept(connection->login, session->tsih, &response);
	send_response(connection, &response);
	if (connection->state == ISCSI_CONNECTION_CLOSED)
		return;
	connection->state = ISCSI_CONNECTION_FULL_FEATURE;
	connection->receiver.header_digest = connection->transmitter.header_digest = session->parameters.header_digest;
	connection->receiver.data_digest = connection->transmitter.data_digest = session->parameters.data_digest;
	rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(session), RT_LOG_INFO, "%s logged in from %s to %s",
			     session->initiator_name, connection->peer,
			     session->discovery ? "discovery" : session->target_name);
	connection->logged_in = true;
	iscsi_admission_logged_in();
	iscsi_connection_start_watch(connection);
	if (connection->draining)
		iscsi_connection_check_drained(connection);
}

/* The target and its access rules may have gone, or changed, since the login began. */
static enum iscsi_login_status refresh_target(struct iscsi_connection *connection, struct iscsi_login_result *login)
{
	if (login->discovery || connection->login_directory == connection->worker->directory)
		return ISCSI_LOGIN_SUCCESS;
	login->target = iscsi_directory_find_target(connection->worker->directory, login->target->name);
	if (!login->target)
		return ISCSI_LOGIN_TARGET_REMOVED;
	login->port = iscsi_target_find_port(login->target, connection->portal_group_tag);
	if (!login->port)
		return ISCSI_LOGIN_TARGET_REMOVED;
	login->lun_map = iscsi_target_admit(login->target, login->initiator_name, &connection->peer_address);
	return login->lun_map ? ISCSI_LOGIN_SUCCESS : ISCSI_LOGIN_FORBIDDEN;
}

static void make_session(struct iscsi_connection *connection, struct iscsi_registry_entry *entry)
{
	struct iscsi_login_result login = *iscsi_login_result(connection->login);
	enum iscsi_login_status status = refresh_target(connection, &login);
	struct iscsi_session *session;

	if (status == ISCSI_LOGIN_SUCCESS)
		status = iscsi_session_create(connection, &login, entry, connection->login_cmd_sn, &session);
	if (status == ISCSI_LOGIN_SUCCESS) {
		enter_full_feature(connection, session);
		return;
	}
	iscsi_registry_remove(entry);
	refuse(connection, status);
}

static void claim(struct iscsi_connection *connection)
{
	const struct iscsi_login_result *login = iscsi_login_result(connection->login);
	struct iscsi_registry_entry *entry;
	enum iscsi_login_status status;
	struct iscsi_session_identity identity = {
	    .initiator_name = login->initiator_name,
	    .target_name = login->discovery ? "" : login->target->name,
	    .portal_group_tag = connection->portal_group_tag,
	    .tsih = login->tsih,
	    .cid = login->cid,
	    .max_sessions = login->discovery ? 0 : login->target->parameters.max_sessions,
	    .single_initiator = !login->discovery && login->target->parameters.single_initiator,
	};

	memcpy(identity.isid, login->isid, sizeof identity.isid);
	status = iscsi_registry_claim(connection, &identity, &entry);
	if (status != ISCSI_LOGIN_SUCCESS) {
		refuse(connection, status);
	} else if (entry) {
		make_session(connection, entry);
	} else {
		connection->state = ISCSI_CONNECTION_WAITS_FOR_SESSION;
		(void)rt_fd_modify(&connection->socket, 0);
	}
}

void iscsi_login_phase_resume(struct iscsi_connection *connection, enum iscsi_login_status status,
			      struct iscsi_registry_entry *entry)
{
	connection->claim = NULL;
	connection->state = ISCSI_CONNECTION_LOGIN;
	(void)rt_fd_modify(&connection->socket, RT_FD_READ);
	if (status != ISCSI_LOGIN_SUCCESS)
		refuse(connection, status);
	else
		make_session(connection, entry);
}

void iscsi_login_phase_pdu(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data,
			   uint32_t length)
{
	struct iscsi_login_response response;
	enum iscsi_login_step step;

	if (!connection->stat_sn_known) {
		connection->stat_sn = rt_get_be32(bhs + ISCSI_AT_EXP_STAT_SN);
		connection->stat_sn_known = true;
	}
	connection->login_cmd_sn = rt_get_be32(bhs + ISCSI_AT_CMD_SN);
	step = iscsi_login_request(connection->login, bhs, data, length, &response);
	if (step == ISCSI_LOGIN_WANTS_SESSION) {
		claim(connection);
		return;
	}
	send_response(connection, &response);
	if (step == ISCSI_LOGIN_FAILED)
		iscsi_connection_finish(connection);
}
