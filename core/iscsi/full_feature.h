/* SPDX-License-Identifier: Apache-2.0
 *
 * The full feature phase: what becomes of each PDU, and the order of commands.
 */
#ifndef TGTKIT_ISCSI_FULL_FEATURE_H
#define TGTKIT_ISCSI_FULL_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/connection.h"
#include "iscsi/task.h"

/* A numbered PDU that came before its turn; a SCSI command waits as its task. */
struct iscsi_held_pdu {
	struct rt_list node;
	uint32_t cmd_sn;
	bool immediate;		 /* waits for what comes before this number, and has none of its own */
	struct iscsi_task *task; /* or NULL, and then: */
	uint32_t data_bytes;
	uint32_t charged_bytes; /* to the session */
	uint8_t bhs[ISCSI_BHS_BYTES];
	uint8_t data[];
};

/* The header is complete: chooses the sink of the data segment in connection->receiver.  false: the connection has been
 * closed. */
bool iscsi_full_feature_header(struct iscsi_connection *connection, const uint8_t *bhs);
/* The whole PDU is here; `data` is NULL unless the sink is FLAT. */
void iscsi_full_feature_pdu(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data);

/* Where a numbered command stands. */
enum iscsi_order { ISCSI_IN_TURN, ISCSI_BEFORE_ITS_TURN, ISCSI_OUTSIDE_WINDOW };
enum iscsi_order iscsi_command_order(const struct iscsi_session *session, const uint8_t *bhs);
/* A command was taken in its turn: counts ExpCmdSN on (not for an immediate one). */
void iscsi_command_number_taken(struct iscsi_session *session, const uint8_t *bhs);
/* Delivers what was held for the command that was taken. */
void iscsi_deliver_held(struct iscsi_connection *connection);
/* Both. */
void iscsi_command_taken(struct iscsi_connection *connection, const uint8_t *bhs);
/* Task management has ended a task that was held: its number still counts. */
void iscsi_held_forget_task(struct iscsi_session *session, const struct iscsi_task *task);
/* Task management has aborted a command that has not come: its number counts as received, so that it is ignored when it
 * comes. */
void iscsi_held_insert_placeholder(struct iscsi_connection *connection, uint32_t cmd_sn);
void iscsi_held_insert(struct iscsi_session *session, struct iscsi_held_pdu *held);
void iscsi_held_remove(struct iscsi_session *session, struct iscsi_held_pdu *held); /* the caller frees it */

/* One function per PDU, each in a file of its own. */
void iscsi_scsi_command_header(struct iscsi_connection *connection, const uint8_t *bhs); /* scsi_request.c */
void iscsi_scsi_command_pdu(struct iscsi_task *task, uint32_t length);
void iscsi_nop_out(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length);
void iscsi_nop_in_ping(struct iscsi_connection *connection, bool wants_answer);
void iscsi_text_request(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length);
void iscsi_text_exchange_free(struct iscsi_text_exchange *exchange);
void iscsi_logout_request(struct iscsi_connection *connection, const uint8_t *bhs);
/* The session that was logged out of has ended, or not in time: answers. */
void iscsi_logout_finish(struct iscsi_connection *connection, bool all_ended);
/* What an immediate function has to wait for, RFC 7143 4.2.3.3: all commands before it, or nothing. */
enum iscsi_function_scope { ISCSI_FUNCTION_OF_TASK, ISCSI_FUNCTION_OF_UNIT, ISCSI_FUNCTION_OF_TARGET };
enum iscsi_function_scope iscsi_task_management_scope(const struct iscsi_session *session, const uint8_t *bhs);
void iscsi_task_management_request(struct iscsi_connection *connection, const uint8_t *bhs);
void iscsi_reject(struct iscsi_connection *connection, const uint8_t *bhs, enum iscsi_reject_reason reason);

/* async_message.c; RFC 7143 11.9. */
void iscsi_async_luns_changed(struct iscsi_connection *connection); /* SCSI event: REPORTED LUNS DATA HAS CHANGED */
void iscsi_async_logout_request(struct iscsi_connection *connection, uint16_t time_s);
void iscsi_async_drop_connection(struct iscsi_connection *connection);
void iscsi_async_drop_all(struct iscsi_connection *connection);
void iscsi_async_task_termination(struct iscsi_connection *connection, uint16_t lun);

#endif
