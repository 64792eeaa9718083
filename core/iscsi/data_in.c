/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/data_in.h"

#include <stdlib.h>
#include <string.h>

#include "iscsi/session.h"
#include "iscsi/task.h"

struct residual {
	uint8_t flag;
	uint32_t count;
};

/* The difference between what the initiator expects to move and what the command moves; never an overrun. */
static struct residual residual_of(const struct iscsi_task *task)
{
	const struct scsi_command *command = &task->command;
	uint32_t expected = task->expected_data_transfer_length, moved = 0;

	if (command->direction == SCSI_DATA_IN) {
		moved = command->data_in_length;
		if (!task->read)
			expected = 0;
	} else if (command->direction == SCSI_DATA_OUT && command->status == SCSI_GOOD) {
		moved = command->transfer_length;
		if (!task->write)
			expected = 0;
	}
	if (moved > expected)
		return (struct residual){ISCSI_RESIDUAL_OVERFLOW, moved - expected};
	if (task->expected_data_transfer_length > moved)
		return (struct residual){ISCSI_RESIDUAL_UNDERFLOW, task->expected_data_transfer_length - moved};
	return (struct residual){0, 0};
}

static void put_residual(struct iscsi_output *output, struct residual residual)
{
	output->header[ISCSI_AT_FLAGS] |= residual.flag;
	rt_put_be32(output->header + ISCSI_AT_RESIDUAL_COUNT, residual.count);
}

static struct iscsi_output *output_for(struct iscsi_task *task, uint8_t opcode)
{
	struct iscsi_connection *connection = task->session->connection;
	struct iscsi_output *output = connection ? iscsi_output_take(connection) : NULL;

	if (!output) {
		if (connection)
			iscsi_connection_close(connection, "out of memory");
		return NULL;
	}
	output->header[0] = opcode;
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, task->initiator_task_tag);
	output->task = task;
	iscsi_task_hold(task);
	return output;
}

/* One Data-In PDU; `last` of the command's data. */
static bool send_data(struct iscsi_task *task, uint32_t offset, uint32_t length, bool last, bool with_status)
{
	struct iscsi_output *output = output_for(task, ISCSI_DATA_IN);
	struct iscsi_connection *connection = task->session->connection;

	if (!output)
		return false;
	rt_put_be32(output->header + ISCSI_AT_TARGET_TRANSFER_TAG, ISCSI_RESERVED_TAG);
	rt_put_be32(output->header + ISCSI_AT_DATA_SN, task->data_in_sn++);
	rt_put_be32(output->header + ISCSI_AT_BUFFER_OFFSET, offset);
	output->segments = task->command.data_in.segments;
	output->segment_count = task->command.data_in.segment_count;
	output->segments_offset = offset;
	output->data_bytes = length;
	if (last)
		output->header[ISCSI_AT_FLAGS] |= ISCSI_FINAL;
	if (last && with_status) {
		output->header[ISCSI_AT_FLAGS] |= ISCSI_DATA_IN_STATUS;
		output->header[ISCSI_AT_STATUS] = task->command.status;
		put_residual(output, residual_of(task));
		iscsi_output_put_sequence_numbers(connection, output);
	} else {
		iscsi_output_put_window(connection, output);
		rt_put_be32(output->header + ISCSI_AT_STAT_SN, 0); /* reserved without status */
	}
	iscsi_output_queue(connection, output);
	return true;
}

/* The data in PDUs of what the initiator takes at a time, a new sequence at every MaxBurstLength. */
static bool send_all_data(struct iscsi_task *task, uint32_t length, bool with_status)
{
	const struct iscsi_parameters *parameters = &task->session->parameters;
	uint32_t in_burst = 0;

	for (uint32_t offset = 0; offset < length;) {
		uint32_t piece = parameters->initiator_max_recv_data_segment_length;
		bool ends_burst;

		if (piece > parameters->max_burst_length - in_burst)
			piece = parameters->max_burst_length - in_burst;
		if (piece > length - offset)
			piece = length - offset;
		in_burst += piece;
		ends_burst = in_burst == parameters->max_burst_length || offset + piece == length;
		if (!send_data(task, offset, piece, ends_burst, with_status && offset + piece == length))
			return false;
		if (ends_burst)
			in_burst = 0;
		offset += piece;
	}
	return true;
}

static void send_response(struct iscsi_task *task)
{
	struct iscsi_output *output = output_for(task, ISCSI_SCSI_RESPONSE);
	const struct scsi_command *command = &task->command;

	if (!output)
		return;
	output->header[ISCSI_AT_FLAGS] = ISCSI_FINAL;
	output->header[ISCSI_AT_STATUS] = command->status;
	rt_put_be32(output->header + ISCSI_AT_EXP_DATA_SN, task->data_in_sn + task->r2t_sn);
	put_residual(output, residual_of(task));
	if (command->sense_length) {
		output->flat = malloc(2u + command->sense_length);
		if (output->flat) {
			rt_put_be16(output->flat, command->sense_length);
			memcpy(output->flat + 2, command->sense, command->sense_length);
			output->data_bytes = 2u + command->sense_length;
		}
	}
	iscsi_output_put_sequence_numbers(task->session->connection, output);
	iscsi_output_queue(task->session->connection, output);
}

void iscsi_data_in_send(struct iscsi_task *task)
{
	const struct scsi_command *command = &task->command;
	uint32_t length = command->data_in_length;
	bool with_status = command->sense_length == 0;

	if (command->direction != SCSI_DATA_IN || !task->read)
		length = 0;
	if (length > task->expected_data_transfer_length)
		length = task->expected_data_transfer_length;
	if (length && !send_all_data(task, length, with_status))
		return;
	if (!length || !with_status)
		send_response(task);
}
