/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/full_feature.h"
#include "iscsi/late_data.h"
#include "iscsi/task.h"
#include "rt/log.h"

/* What one command may send unasked. */
static uint32_t unsolicited_bytes(const struct iscsi_parameters *parameters)
{
	uint32_t immediate = parameters->immediate_data ? parameters->target_max_recv_data_segment_length : 0;

	if (!parameters->initial_r2t)
		return parameters->first_burst_length;
	return immediate < parameters->first_burst_length ? immediate : parameters->first_burst_length;
}

/* RFC 7143 4.2.3.4: a session that has agreed to FastAbort is told which unit's commands another one has ended. */
static void commands_terminated(void *context, uint16_t lun)
{
	struct iscsi_session *session = context;

	if (!session->connection || !iscsi_parameters_have_fast_abort(&session->parameters))
		return;
	session->termination_stat_sn = session->connection->stat_sn;
	iscsi_async_task_termination(session->connection, lun);
}

static int make_nexus(struct iscsi_session *session, const struct iscsi_login_result *login)
{
	char initiator_port[ISCSI_NAME_BYTES + 20];
	const uint8_t *isid = login->isid;
	int status;
	struct scsi_nexus_spec spec = {
	    .initiator_port = initiator_port,
	    .initiator_name = session->initiator_name,
	    .target_name = session->target_name,
	    .target_port_group_tag = session->portal_group_tag,
	    .relative_target_port_id = login->port->relative_target_port_id,
	    .lun_map = login->lun_map,
	    .newer_functions = login->parameters.protocol_level >= 2,
	    .commands_terminated = commands_terminated,
	    .context = session,
	    .figures = session->figures ? &session->figures->commands : NULL,
	    .figures_dropped = iscsi_session_figures_drop,
	    .figures_context = session->figures,
	};

	snprintf(initiator_port, sizeof initiator_port, "%s,i,0x%02x%02x%02x%02x%02x%02x", session->initiator_name,
		 isid[0], isid[1], isid[2], isid[3], isid[4], isid[5]);
	status = scsi_nexus_create(&spec, &session->nexus);
	if (!status)
		iscsi_session_figures_hold(session->figures);
	return status;
}

static void session_free(struct iscsi_session *session)
{
	iscsi_session_figures_drop(session->figures);
	free(session->initiator_name);
	free(session->target_name);
	free(session);
}

static struct iscsi_session *session_new(struct iscsi_connection *connection, const struct iscsi_login_result *login,
					 uint32_t first_cmd_sn)
{
	struct iscsi_session *session = calloc(1, sizeof *session);

	if (!session)
		return NULL;
	session->worker = connection->worker;
	session->parameters = login->parameters;
	session->discovery = login->discovery;
	session->portal_group_tag = connection->portal_group_tag;
	memcpy(session->isid, login->isid, sizeof session->isid);
	session->exp_cmd_sn = first_cmd_sn;
	rt_list_init(&session->held);
	rt_list_init(&session->tasks);
	rt_list_init(&session->late_data);
	session->initiator_name = strdup(login->initiator_name);
	session->target_name = strdup(login->discovery ? "" : login->target->name);
	if (!session->initiator_name || !session->target_name) {
		session_free(session);
		return NULL;
	}
	return session;
}

static bool open_window(struct iscsi_session *session, const struct iscsi_login_result *login, uint32_t first_cmd_sn)
{
	uint32_t bytes = login->discovery ? 0 : unsolicited_bytes(&login->parameters);
	uint32_t limit = login->discovery ? 0 : login->target->parameters.max_queued_commands;

	return iscsi_window_open(session, first_cmd_sn, bytes, limit);
}

enum iscsi_login_status iscsi_session_create(struct iscsi_connection *connection,
					     const struct iscsi_login_result *login,
					     struct iscsi_registry_entry *registration, uint32_t first_cmd_sn,
					     struct iscsi_session **created)
{
	struct iscsi_session *session = session_new(connection, login, first_cmd_sn);

	if (!session)
		return ISCSI_LOGIN_OUT_OF_RESOURCES;
	if (!open_window(session, login, first_cmd_sn)) {
		static struct rt_log_limit limit = RT_LOG_LIMIT(5);

		rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(session), RT_LOG_WARNING,
				     "login of %s from %s refused: memory_limit leaves no room for another session",
				     session->initiator_name, connection->peer);
		session_free(session);
		return ISCSI_LOGIN_OUT_OF_RESOURCES;
	}
	session->figures = iscsi_session_figures_create(connection->portal);
	if (!session->discovery && make_nexus(session, login)) {
		iscsi_window_close(session);
		session_free(session);
		return ISCSI_LOGIN_OUT_OF_RESOURCES;
	}
	session->registration = registration;
	session->tsih = iscsi_registry_tsih(registration);
	session->connection = connection;
	iscsi_registry_attach(registration, session);
	*created = session;
	return ISCSI_LOGIN_SUCCESS;
}

void iscsi_session_check_end(struct iscsi_session *session)
{
	if (!session->closing || !session->nexus_closed || session->task_count || session->functions_under_way)
		return;
	iscsi_window_close(session);
	iscsi_registry_remove(session->registration);
	session_free(session);
}

static void nexus_closed(void *context, bool all_ended)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct iscsi_session *session = context;

	session->nexus_closed = true;
	session->nexus = NULL;
	if (!all_ended) {
		rt_log_limited_about(
		    &limit, ISCSI_ABOUT_SESSION(session), RT_LOG_ERROR,
		    "session of %s with %s: commands have not ended at their store in time; the session's place "
		    "stays taken",
		    session->initiator_name, session->target_name);
		iscsi_registry_stuck(session->registration);
	}
	if (session->leaver)
		iscsi_logout_finish(session->leaver, all_ended);
	session->leaver = NULL;
	iscsi_session_check_end(session);
}

static void drop_held(struct iscsi_session *session)
{
	while (!rt_list_is_empty(&session->held)) {
		struct iscsi_held_pdu *held = RT_CONTAINER_OF(session->held.next, struct iscsi_held_pdu, node);

		iscsi_held_remove(session, held);
		if (held->task)
			iscsi_task_end(held->task);
		free(held);
	}
}

void iscsi_session_close(struct iscsi_session *session)
{
	if (session->closing)
		return;
	session->closing = true;
	if (session->connection)
		session->connection->session = NULL;
	session->connection = NULL;
	drop_held(session);
	iscsi_late_data_clear(session);
	if (session->nexus) {
		scsi_nexus_close(session->nexus, nexus_closed, session);
		return;
	}
	session->nexus_closed = true;
	iscsi_session_check_end(session);
}
