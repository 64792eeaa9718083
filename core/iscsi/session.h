/* SPDX-License-Identifier: Apache-2.0
 *
 * A session in the full feature phase: its parameters, command window, tasks and I_T nexus.  Lives on the worker of its
 * connection.  (MaxConnections is answered 1; the connection pointer becomes a list with MC/S.)
 */
#ifndef TGTKIT_ISCSI_SESSION_H
#define TGTKIT_ISCSI_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/connection.h"
#include "iscsi/figures.h"
#include "iscsi/parameters.h"
#include "iscsi/registry.h"
#include "iscsi/window.h"
#include "rt/log.h"
#include "scsi/nexus.h"

#define ISCSI_TASK_BUCKETS 64u
/* Commands outside the window (immediate ones) that may be under way at a time: initiators hardly ever send any. */
#define ISCSI_IMMEDIATE_COMMANDS 1u

struct iscsi_session {
	struct iscsi_connection *connection; /* NULL when it is gone */
	struct iscsi_connection *leaver;     /* waits for the end of the session to answer its logout */
	struct iscsi_worker *worker;
	struct scsi_nexus *nexus; /* NULL in a discovery session */
	struct iscsi_parameters parameters;
	bool discovery, closing, nexus_closed;
	char *initiator_name, *target_name;
	uint16_t portal_group_tag;
	uint16_t tsih;
	uint8_t isid[6];
	struct iscsi_registry_entry *registration;
	struct iscsi_session_figures *figures; /* a reference is held; NULL: no memory */

	/* Command numbering, RFC 7143 4.2.2.1. */
	uint32_t exp_cmd_sn;
	struct iscsi_window window;
	struct rt_list held; /* of struct iscsi_held_pdu: what came before its turn */
	uint32_t held_bytes; /* of those that are no SCSI commands */

	uint32_t immediate_commands; /* received and not answered yet */

	uint32_t task_count; /* allocated ones: some have left the list below and wait to be sent */
	struct rt_list tasks;
	struct rt_list late_data; /* of struct iscsi_late_data, see data_out.c */
	uint32_t late_data_count;
	uint32_t termination_stat_sn; /* of the newest message about commands that another nexus has ended */
	struct iscsi_task *buckets[ISCSI_TASK_BUCKETS]; /* by initiator task tag */
	uint32_t next_target_transfer_tag;
	uint32_t functions_under_way; /* task management */
};

/* The session of a login that has been admitted.  0, or a login status. */
enum iscsi_login_status iscsi_session_create(struct iscsi_connection *connection,
					     const struct iscsi_login_result *login,
					     struct iscsi_registry_entry *registration, uint32_t first_cmd_sn,
					     struct iscsi_session **session);
/* The connection is gone, or shall go: aborts the tasks, gives everything back when the last one has ended. */
void iscsi_session_close(struct iscsi_session *session);

/* For the log. */
#define ISCSI_ABOUT_SESSION(session)                                                                                   \
	RT_ABOUT(.target = (session)->target_name, .initiator = (session)->initiator_name,                             \
		 .address = (session)->connection ? (session)->connection->peer : NULL)

/* A task or a function is gone: frees a closing session with its last one. */
void iscsi_session_check_end(struct iscsi_session *session);

#endif
