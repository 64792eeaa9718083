/* SPDX-License-Identifier: Apache-2.0
 *
 * The SCSI Command PDU, RFC 7143 section 11.3.
 */
#include <stdlib.h>

#include "iscsi/full_feature.h"
#include "iscsi/late_data.h"
#include "iscsi/session.h"
#include "iscsi/task.h"

/* What is wrong with the PDU as such: 0, or a Reject reason. */
static uint8_t check_form(struct iscsi_session *session, const uint8_t *bhs)
{
	uint8_t flags = bhs[ISCSI_AT_FLAGS];
	uint32_t tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG);

	if (session->discovery)
		return ISCSI_REJECT_PROTOCOL_ERROR;
	if (session->connection->waits_for_logout)
		return ISCSI_REJECT_WAITING_FOR_LOGOUT;
	if (tag == ISCSI_RESERVED_TAG)
		return ISCSI_REJECT_INVALID_PDU_FIELD;
	if (!(flags & ISCSI_COMMAND_WRITE) && (iscsi_pdu_data_bytes(bhs) || !(flags & ISCSI_FINAL)))
		return ISCSI_REJECT_INVALID_PDU_FIELD;
	if (iscsi_task_find(session, tag))
		return ISCSI_REJECT_TASK_IN_PROGRESS;
	if (iscsi_pdu_is_immediate(bhs) && session->immediate_commands >= ISCSI_IMMEDIATE_COMMANDS)
		return ISCSI_REJECT_TOO_MANY_IMMEDIATE_COMMANDS;
	return 0;
}

/* What is wrong with the data that comes with it, or is announced: additional sense code and qualifier, or 0. */
static uint16_t check_data(const struct iscsi_session *session, const uint8_t *bhs)
{
	const struct iscsi_parameters *parameters = &session->parameters;
	uint32_t length = iscsi_pdu_data_bytes(bhs);
	bool more = !(bhs[ISCSI_AT_FLAGS] & ISCSI_FINAL);

	if ((length && !parameters->immediate_data) || (more && parameters->initial_r2t))
		return 0x0c0c; /* WRITE ERROR - UNEXPECTED UNSOLICITED DATA */
	if (length > parameters->first_burst_length ||
	    length > rt_get_be32(bhs + ISCSI_AT_EXPECTED_DATA_TRANSFER_LENGTH))
		return 0x4b02; /* TOO MUCH WRITE DATA */
	return 0;
}

static uint32_t unsolicited_limit(const struct iscsi_task *task, const uint8_t *bhs)
{
	uint32_t limit = task->session->parameters.first_burst_length;

	if (!task->unsolicited_open)
		return iscsi_pdu_data_bytes(bhs);
	return limit < task->expected_data_transfer_length ? limit : task->expected_data_transfer_length;
}

static bool hold(struct iscsi_session *session, struct iscsi_task *task)
{
	struct iscsi_held_pdu *held = calloc(1, sizeof *held);

	if (task->unsolicited_limit)
		task->held_data = malloc(task->unsolicited_limit);
	if (!held || (task->unsolicited_limit && !task->held_data)) {
		free(held);
		return false;
	}
	held->cmd_sn = task->cmd_sn;
	held->task = task;
	iscsi_held_insert(session, held);
	return true;
}

static void choose_sink(struct iscsi_connection *connection, struct iscsi_task *task, uint32_t length)
{
	struct iscsi_receiver *receiver = &connection->receiver;

	/* A command that is answered already, or takes no data-out: whatever comes is dropped. */
	if (task->state != ISCSI_TASK_HELD && task->state != ISCSI_TASK_COLLECTING)
		return;
	receiver->task = task;
	iscsi_task_hold(task);
	receiver->task_offset = 0;
	receiver->sink = task->state == ISCSI_TASK_HELD ? ISCSI_SINK_HELD : ISCSI_SINK_TASK;
	receiver->sink_bytes = length;
	if (receiver->sink == ISCSI_SINK_TASK && length > task->wanted)
		receiver->sink_bytes = task->wanted;
}

/* A task for the command; NULL: the connection has been closed. */
static struct iscsi_task *make_task(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;
	struct iscsi_task *task = iscsi_task_create(session, bhs);
	uint16_t wrong = check_data(session, bhs);

	if (!task) {
		iscsi_connection_close(connection, "out of memory");
		return NULL;
	}
	iscsi_late_data_forget(session, task->initiator_task_tag);
	task->unsolicited_open = !(bhs[ISCSI_AT_FLAGS] & ISCSI_FINAL);
	if (wrong) {
		task->early_failure_asc = (uint8_t)(wrong >> 8);
		task->early_failure_ascq = (uint8_t)wrong;
	} else {
		task->unsolicited_limit = unsolicited_limit(task, bhs);
	}
	return task;
}

void iscsi_scsi_command_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;
	enum iscsi_order order = iscsi_command_order(session, bhs);
	struct iscsi_task *task;
	uint8_t reason;

	if (order == ISCSI_OUTSIDE_WINDOW || connection->draining)
		return;
	reason = check_form(session, bhs);
	if (reason) {
		iscsi_reject(connection, bhs, (enum iscsi_reject_reason)reason);
		if (order == ISCSI_IN_TURN)
			iscsi_command_taken(connection, bhs);
		return;
	}
	task = make_task(connection, bhs);
	if (!task)
		return;
	if (order == ISCSI_BEFORE_ITS_TURN) {
		task->state = ISCSI_TASK_HELD;
		if (!hold(session, task))
			iscsi_connection_close(connection, "out of memory");
		else if (!task->early_failure_asc)
			choose_sink(connection, task, iscsi_pdu_data_bytes(bhs));
		return;
	}
	/* Reference: an answer at once may end the task. */
	iscsi_task_hold(task);
	iscsi_command_number_taken(session, bhs);
	iscsi_task_deliver(task);
	if (connection->state == ISCSI_CONNECTION_FULL_FEATURE)
		choose_sink(connection, task, iscsi_pdu_data_bytes(bhs));
	iscsi_task_drop(task);
	if (connection->state == ISCSI_CONNECTION_FULL_FEATURE)
		iscsi_deliver_held(connection);
}

void iscsi_scsi_command_pdu(struct iscsi_task *task, uint32_t length)
{
	task->received = length;
	iscsi_data_out_proceed(task);
}
