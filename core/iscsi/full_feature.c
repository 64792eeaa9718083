/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/full_feature.h"

#include <stdlib.h>
#include <string.h>

#include "iscsi/session.h"
#include "iscsi/task.h"
#include "rt/log.h"

/* ---- Command order, RFC 7143 4.2.2.1 -------------------------------------------------------------------------- */

static bool is_held(const struct iscsi_session *session, uint32_t cmd_sn)
{
	RT_LIST_FOR_EACH (node, &session->held) {
		const struct iscsi_held_pdu *held = RT_CONTAINER_OF(node, struct iscsi_held_pdu, node);

		if (held->cmd_sn == cmd_sn && !held->immediate)
			return true;
	}
	return false;
}

enum iscsi_order iscsi_command_order(const struct iscsi_session *session, const uint8_t *bhs)
{
	uint32_t cmd_sn = rt_get_be32(bhs + ISCSI_AT_CMD_SN);

	if (iscsi_pdu_is_immediate(bhs))
		return ISCSI_IN_TURN;
	if (cmd_sn == session->exp_cmd_sn && !rt_serial_before(session->window.max_cmd_sn, cmd_sn))
		return ISCSI_IN_TURN;
	if (rt_serial_before(cmd_sn, session->exp_cmd_sn) || rt_serial_before(session->window.max_cmd_sn, cmd_sn) ||
	    is_held(session, cmd_sn))
		return ISCSI_OUTSIDE_WINDOW;
	return ISCSI_BEFORE_ITS_TURN;
}

/* An immediate one comes before the one that has this number. */
static bool goes_before(const struct iscsi_held_pdu *held, const struct iscsi_held_pdu *other)
{
	if (held->immediate && !other->immediate && held->cmd_sn == other->cmd_sn)
		return true;
	return rt_serial_before(held->cmd_sn, other->cmd_sn);
}

void iscsi_held_insert(struct iscsi_session *session, struct iscsi_held_pdu *held)
{
	struct rt_list *before = &session->held;

	RT_LIST_FOR_EACH (node, &session->held) {
		if (goes_before(held, RT_CONTAINER_OF(node, struct iscsi_held_pdu, node))) {
			before = node;
			break;
		}
	}
	rt_list_append(before, &held->node);
}

void iscsi_held_remove(struct iscsi_session *session, struct iscsi_held_pdu *held)
{
	rt_list_remove(&held->node);
	session->held_bytes -= held->charged_bytes;
}

/* A NOP-Out that wants no answer. */
static void make_placeholder(struct iscsi_held_pdu *held)
{
	held->task = NULL;
	held->bhs[0] = ISCSI_NOP_OUT;
	rt_put_be32(held->bhs + ISCSI_AT_INITIATOR_TASK_TAG, ISCSI_RESERVED_TAG);
}

void iscsi_held_forget_task(struct iscsi_session *session, const struct iscsi_task *task)
{
	RT_LIST_FOR_EACH (node, &session->held) {
		struct iscsi_held_pdu *held = RT_CONTAINER_OF(node, struct iscsi_held_pdu, node);

		if (held->task != task)
			continue;
		make_placeholder(held);
	}
}

void iscsi_held_insert_placeholder(struct iscsi_connection *connection, uint32_t cmd_sn)
{
	struct iscsi_held_pdu *held;

	if (is_held(connection->session, cmd_sn))
		return;
	held = calloc(1, sizeof *held);
	if (!held) {
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	held->cmd_sn = cmd_sn;
	make_placeholder(held);
	iscsi_held_insert(connection->session, held);
	iscsi_deliver_held(connection);
}

void iscsi_command_number_taken(struct iscsi_session *session, const uint8_t *bhs)
{
	if (!iscsi_pdu_is_immediate(bhs))
		session->exp_cmd_sn++;
}

static void handle(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length);

static void deliver_one(struct iscsi_connection *connection, struct iscsi_held_pdu *held)
{
	struct iscsi_task *task = held->task;

	if (!task) {
		handle(connection, held->bhs, held->data, held->data_bytes);
		return;
	}
	iscsi_task_hold(task);
	iscsi_task_deliver(task);
	if (connection->receiver.task != task)
		iscsi_data_out_proceed(task);
	iscsi_task_drop(task);
}

void iscsi_deliver_held(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;

	while (connection->state == ISCSI_CONNECTION_FULL_FEATURE && !rt_list_is_empty(&session->held)) {
		struct iscsi_held_pdu *held = RT_CONTAINER_OF(session->held.next, struct iscsi_held_pdu, node);

		if (held->immediate ? rt_serial_before(session->exp_cmd_sn, held->cmd_sn)
				    : held->cmd_sn != session->exp_cmd_sn)
			return;
		iscsi_held_remove(session, held);
		session->exp_cmd_sn += !held->immediate;
		deliver_one(connection, held);
		free(held);
	}
}

void iscsi_command_taken(struct iscsi_connection *connection, const uint8_t *bhs)
{
	iscsi_command_number_taken(connection->session, bhs);
	iscsi_deliver_held(connection);
}

/* Whatever the window, an initiator that leaves a gap open holds no more of our memory than this. */
#define MOST_HELD_BYTES (1u << 20)

static void refuse_to_hold(struct iscsi_connection *connection, const uint8_t *bhs)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	if (iscsi_pdu_is_immediate(bhs)) {
		iscsi_reject(connection, bhs, ISCSI_REJECT_TOO_MANY_IMMEDIATE_COMMANDS);
		return;
	}
	/* Its number cannot be given back. */
	rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(connection->session), RT_LOG_WARNING,
			     "%s: too much was sent before its turn; closing the connection", connection->peer);
	iscsi_reject(connection, bhs, ISCSI_REJECT_PROTOCOL_ERROR);
	iscsi_connection_finish(connection);
}

static void hold_pdu(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length)
{
	struct iscsi_session *session = connection->session;
	struct iscsi_held_pdu *held;

	if (sizeof *held + length > MOST_HELD_BYTES - session->held_bytes) {
		refuse_to_hold(connection, bhs);
		return;
	}
	held = malloc(sizeof *held + length);
	if (!held) {
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	memset(held, 0, sizeof *held);
	held->cmd_sn = rt_get_be32(bhs + ISCSI_AT_CMD_SN);
	held->immediate = iscsi_pdu_is_immediate(bhs);
	held->charged_bytes = (uint32_t)sizeof *held + length;
	session->held_bytes += held->charged_bytes;
	held->data_bytes = length;
	memcpy(held->bhs, bhs, ISCSI_BHS_BYTES);
	if (length)
		memcpy(held->data, data, length);
	iscsi_held_insert(connection->session, held);
}

/* ---- Dispatch --------------------------------------------------------------------------------------------------- */

/* The data that a PDU other than SCSI Command and Data-Out may carry. */
static bool takes_flat_data(uint8_t opcode)
{
	return opcode == ISCSI_NOP_OUT || opcode == ISCSI_TEXT_REQUEST;
}

bool iscsi_full_feature_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	uint8_t opcode = iscsi_pdu_opcode(bhs);

	if (opcode == ISCSI_SCSI_COMMAND)
		iscsi_scsi_command_header(connection, bhs);
	else if (opcode == ISCSI_DATA_OUT)
		iscsi_data_out_header(connection, bhs);
	else if (takes_flat_data(opcode))
		connection->receiver.sink = ISCSI_SINK_FLAT;
	return connection->state == ISCSI_CONNECTION_FULL_FEATURE;
}

static void handle(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length)
{
	switch (iscsi_pdu_opcode(bhs)) {
	case ISCSI_NOP_OUT:
		iscsi_nop_out(connection, bhs, data, length);
		break;
	case ISCSI_TEXT_REQUEST:
		iscsi_text_request(connection, bhs, data, length);
		break;
	case ISCSI_LOGOUT_REQUEST:
		iscsi_logout_request(connection, bhs);
		break;
	case ISCSI_TASK_MANAGEMENT_REQUEST:
		iscsi_task_management_request(connection, bhs);
		break;
	}
}

/* RFC 7143 4.2.3.3: what a target reset covers and has not come counts as received and ended with the rest. */
static void plug_gaps(struct iscsi_connection *connection, uint32_t cmd_sn)
{
	struct iscsi_session *session = connection->session;

	iscsi_deliver_held(connection);
	while (connection->state == ISCSI_CONNECTION_FULL_FEATURE && rt_serial_before(session->exp_cmd_sn, cmd_sn)) {
		session->exp_cmd_sn++;
		iscsi_deliver_held(connection);
	}
}

static bool is_ahead(const struct iscsi_session *session, uint32_t cmd_sn)
{
	return rt_serial_before(session->exp_cmd_sn, cmd_sn) &&
	       !rt_serial_before(session->window.max_cmd_sn + 1, cmd_sn);
}

/* A function that covers more than one task takes effect on all commands before it, immediate or not. */
static bool waits_for_commands(struct iscsi_connection *connection, const uint8_t *bhs)
{
	uint32_t cmd_sn = rt_get_be32(bhs + ISCSI_AT_CMD_SN);

	if (!iscsi_pdu_is_immediate(bhs) || iscsi_pdu_opcode(bhs) != ISCSI_TASK_MANAGEMENT_REQUEST ||
	    !is_ahead(connection->session, cmd_sn))
		return false;
	switch (iscsi_task_management_scope(connection->session, bhs)) {
	case ISCSI_FUNCTION_OF_UNIT:
		return true;
	case ISCSI_FUNCTION_OF_TARGET:
		plug_gaps(connection, cmd_sn);
		return false;
	default:
		return false;
	}
}

/* A numbered or immediate PDU other than SCSI Command. */
static void in_order(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
	/* Data of a PDU that has no use for any was dropped. */
	uint32_t length = data ? connection->receiver.data_bytes : 0;

	if (waits_for_commands(connection, bhs)) {
		hold_pdu(connection, bhs, NULL, 0);
		return;
	}
	if (connection->state != ISCSI_CONNECTION_FULL_FEATURE)
		return;
	switch (iscsi_command_order(connection->session, bhs)) {
	case ISCSI_OUTSIDE_WINDOW:
		break;
	case ISCSI_BEFORE_ITS_TURN:
		hold_pdu(connection, bhs, data, length);
		break;
	case ISCSI_IN_TURN:
		iscsi_command_number_taken(connection->session, bhs);
		handle(connection, bhs, data, length);
		if (connection->state == ISCSI_CONNECTION_FULL_FEATURE)
			iscsi_deliver_held(connection);
		break;
	}
}

/* Data for a task has come in whole, and may have been damaged. */
static void task_data(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	struct iscsi_task *task = receiver->task;

	if (!task)
		return;
	/* The reference moves here: what follows may end the task. */
	receiver->task = NULL;
	if (receiver->data_digest_failed)
		task->data_digest_failed = true;
	if (iscsi_pdu_opcode(bhs) == ISCSI_SCSI_COMMAND)
		iscsi_scsi_command_pdu(task, receiver->data_bytes);
	else
		iscsi_data_out_received(task, receiver->data_bytes, (bhs[ISCSI_AT_FLAGS] & ISCSI_FINAL) != 0);
	iscsi_task_drop(task);
}

void iscsi_full_feature_pdu(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);

	if (receiver->data_bytes && receiver->data_digest_failed) {
		rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(connection->session), RT_LOG_WARNING,
				     "%s: data digest error", connection->peer);
		iscsi_reject(connection, bhs, ISCSI_REJECT_DATA_DIGEST_ERROR);
		if (!receiver->task)
			return;
	}
	switch (iscsi_pdu_opcode(bhs)) {
	case ISCSI_SCSI_COMMAND:
	case ISCSI_DATA_OUT:
		task_data(connection, bhs);
		break;
	case ISCSI_NOP_OUT:
	case ISCSI_TEXT_REQUEST:
	case ISCSI_LOGOUT_REQUEST:
	case ISCSI_TASK_MANAGEMENT_REQUEST:
		in_order(connection, bhs, data);
		break;
	case ISCSI_SNACK_REQUEST: /* error recovery level 0 */
		iscsi_reject(connection, bhs, ISCSI_REJECT_SNACK);
		break;
	case ISCSI_LOGIN_REQUEST:
		iscsi_reject(connection, bhs, ISCSI_REJECT_PROTOCOL_ERROR);
		break;
	default:
		iscsi_reject(connection, bhs, ISCSI_REJECT_COMMAND_NOT_SUPPORTED);
		break;
	}
}
