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
	struct iscsi_task *task; /* or NULL, and then: */
	uint32_t data_bytes;
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

/* One function per PDU, each in a file of its own. */
void iscsi_scsi_command_header(struct iscsi_connection *connection, const uint8_t *bhs); /* scsi_request.c */
void iscsi_scsi_command_pdu(struct iscsi_task *task, uint32_t length);
void iscsi_nop_out(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length);
void iscsi_nop_in_ping(struct iscsi_connection *connection, bool wants_answer);
void iscsi_text_request(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length);
void iscsi_text_exchange_free(struct iscsi_text_exchange *exchange);
void iscsi_logout_request(struct iscsi_connection *connection, const uint8_t *bhs);
void iscsi_task_management_request(struct iscsi_connection *connection, const uint8_t *bhs);
void iscsi_reject(struct iscsi_connection *connection, const uint8_t *bhs, enum iscsi_reject_reason reason);

enum iscsi_async_event {
	ISCSI_ASYNC_LOGOUT_REQUEST = 1,
	ISCSI_ASYNC_DROP_CONNECTION = 2,
	ISCSI_ASYNC_DROP_ALL = 3,
};
void iscsi_async_message(struct iscsi_connection *connection, enum iscsi_async_event event, uint16_t parameter3);

#endif
