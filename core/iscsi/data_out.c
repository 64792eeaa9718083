/* SPDX-License-Identifier: Apache-2.0
 *
 * Data-out of a command: immediate, unsolicited and solicited (R2T).  DataPDUInOrder and DataSequenceInOrder are Yes,
 * so the data of a command comes in one order only, first byte first, whatever the number of R2Ts outstanding.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/full_feature.h"
#include "iscsi/late_data.h"
#include "iscsi/session.h"
#include "iscsi/task.h"
#include "rt/log.h"
#include "scsi/sense.h"

static struct rt_memory *memory_of(const struct iscsi_task *task)
{
	return task->session->worker->rt->memory;
}

static inline uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void execute(struct iscsi_task *task)
{
	task->state = ISCSI_TASK_EXECUTING;
	task->command.data_out_length = task->wanted;
	scsi_command_execute(&task->command);
}

void iscsi_data_out_fail(struct iscsi_task *task, uint8_t asc, uint8_t ascq)
{
	if (task->state == ISCSI_TASK_HELD) {
		/* SCSI does not know it yet; it fails when its turn comes. */
		task->early_failure_asc = asc;
		task->early_failure_ascq = ascq;
		return;
	}
	if (task->state != ISCSI_TASK_COLLECTING)
		return;
	scsi_command_fail_transport(&task->command, SCSI_KEY_ABORTED_COMMAND, asc, ascq);
	iscsi_task_respond(task);
}

/* Where there will be R2Ts, one take for all that is wanted, if there is room now: the longer its segments, the fewer
 * requests a store needs that takes one segment each.  Else what comes unasked goes where its credit is. */
static void take_initial_memory(struct iscsi_task *task, uint32_t unasked)
{
	struct rt_buffer *buffer = &task->command.data_out;

	if (task->wanted > unasked && rt_memory_take(memory_of(task), RT_MEMORY_SOLICITED, task->wanted, buffer) == 0)
		return;
	if (unasked && rt_memory_take(memory_of(task), RT_MEMORY_WINDOW, unasked, buffer))
		assert(!"window memory is reserved before the window opens");
}

void iscsi_data_out_begin(struct iscsi_task *task)
{
	uint32_t expected = task->write ? task->expected_data_transfer_length : 0;
	uint32_t unasked;

	task->state = ISCSI_TASK_COLLECTING;
	task->wanted = smaller(expected, task->command.transfer_length);
	if (task->early_failure_asc) {
		iscsi_data_out_fail(task, task->early_failure_asc, task->early_failure_ascq);
		return;
	}
	unasked = smaller(task->unsolicited_limit, task->wanted);
	take_initial_memory(task, unasked);
	task->asked_ns = rt_loop_now_ns(task->session->worker->rt->loop);
	if (!task->held_data)
		return;
	rt_segments_write(task->command.data_out.segments, task->command.data_out.segment_count, 0, task->held_data,
			  smaller(task->received, unasked));
	free(task->held_data);
	task->held_data = NULL;
}

static void send_r2t(struct iscsi_task *task)
{
	struct iscsi_connection *connection = task->session->connection;
	struct iscsi_output *output = iscsi_output_take(connection);
	uint32_t length = smaller(task->session->parameters.max_burst_length, task->wanted - task->requested);

	if (!output) {
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	output->task = task;
	iscsi_task_hold(task);
	output->header[0] = ISCSI_R2T;
	output->header[ISCSI_AT_FLAGS] = ISCSI_FINAL;
	memcpy(output->header + ISCSI_AT_LUN, task->command.lun, sizeof task->command.lun);
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, task->initiator_task_tag);
	rt_put_be32(output->header + ISCSI_AT_TARGET_TRANSFER_TAG, task->first_target_transfer_tag + task->r2t_sn);
	rt_put_be32(output->header + ISCSI_AT_R2T_SN, task->r2t_sn++);
	rt_put_be32(output->header + ISCSI_AT_BUFFER_OFFSET, task->requested);
	rt_put_be32(output->header + ISCSI_AT_DESIRED_DATA_TRANSFER_LENGTH, length);
	iscsi_output_put_window(connection, output);
	task->requested += length;
	task->r2ts_outstanding++;
	if (task->session->figures)
		scsi_figures_add(&task->session->figures->r2ts, 1);
	iscsi_output_queue(connection, output);
}

/* Tags of one task are consecutive, so that a Data-Out names its R2T; none is the reserved one. */
static void assign_transfer_tags(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;
	uint32_t bursts = (task->wanted - task->requested) / session->parameters.max_burst_length + 1;

	if (session->next_target_transfer_tag > ISCSI_RESERVED_TAG - bursts - 1)
		session->next_target_transfer_tag = 0;
	task->first_target_transfer_tag = session->next_target_transfer_tag;
	session->next_target_transfer_tag += bursts;
}

static void memory_has_room(struct rt_memory_waiter *waiter);

/* The whole of what is still to come is taken before the first R2T goes out. */
static bool take_solicited_memory(struct iscsi_task *task, bool is_retry)
{
	struct rt_buffer *buffer = &task->command.data_out;
	uint32_t missing = task->wanted - buffer->length_bytes;
	int status;

	if (!missing)
		return true;
	status = is_retry ? rt_memory_take_first(memory_of(task), RT_MEMORY_SOLICITED, missing, buffer)
			  : rt_memory_take(memory_of(task), RT_MEMORY_SOLICITED, missing, buffer);
	if (status == -ENOMEM) {
		task->memory_waiter.room = memory_has_room;
		rt_memory_wait(memory_of(task), RT_MEMORY_SOLICITED, &task->memory_waiter);
	} else if (status) {
		iscsi_data_out_fail(task, 0x55, 0x03); /* INSUFFICIENT RESOURCES */
	}
	return status == 0;
}

static void request_more(struct iscsi_task *task)
{
	while (task->session->connection && task->requested < task->wanted &&
	       task->r2ts_outstanding < task->session->parameters.max_outstanding_r2t)
		send_r2t(task);
}

static void begin_soliciting(struct iscsi_task *task, bool is_retry)
{
	if (!take_solicited_memory(task, is_retry))
		return;
	task->soliciting = true;
	task->asked_ns = rt_loop_now_ns(task->session->worker->rt->loop);
	task->requested = task->received;
	assign_transfer_tags(task);
	request_more(task);
	task->sequence_end =
	    task->received + smaller(task->session->parameters.max_burst_length, task->wanted - task->received);
	task->data_sn = 0;
}

static void memory_has_room(struct rt_memory_waiter *waiter)
{
	begin_soliciting(RT_CONTAINER_OF(waiter, struct iscsi_task, memory_waiter), true);
}

void iscsi_data_out_proceed(struct iscsi_task *task)
{
	if (task->state != ISCSI_TASK_COLLECTING || task->unsolicited_open)
		return;
	if (task->data_digest_failed) {
		/* RFC 7143 7.8 and 11.4.7.2: protocol service CRC error. */
		iscsi_data_out_fail(task, 0x47, 0x05);
		return;
	}
	if (task->received >= task->wanted) {
		execute(task);
		return;
	}
	if (!task->soliciting) {
		begin_soliciting(task, false);
		return;
	}
	request_more(task);
}

void iscsi_data_out_received(struct iscsi_task *task, uint32_t bytes, bool final)
{
	task->received += bytes;
	task->asked_ns = task->session->connection->last_received_ns;
	if (!final)
		return;
	if (task->unsolicited_open) {
		task->unsolicited_open = false;
	} else if (task->soliciting) {
		task->r2ts_outstanding--;
		task->bursts_done++;
		task->sequence_end =
		    task->received + smaller(task->session->parameters.max_burst_length, task->wanted - task->received);
		task->data_sn = 0;
	}
	iscsi_data_out_proceed(task);
}

void iscsi_data_out_fail_stalled(struct iscsi_session *session, uint64_t since_ns)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	RT_LIST_FOR_EACH (node, &session->tasks) {
		struct iscsi_task *task = RT_CONTAINER_OF(node, struct iscsi_task, in_session);

		if (!session->connection || !rt_memory_is_waited_for(memory_of(task), RT_MEMORY_SOLICITED))
			return;
		if (task->state != ISCSI_TASK_COLLECTING || !task->command.data_out.pages[RT_MEMORY_SOLICITED] ||
		    task->asked_ns > since_ns)
			continue;
		rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(session), RT_LOG_WARNING,
				     "%s: the data of a write does not come, and others wait for its memory: aborted",
				     session->connection->peer);
		iscsi_data_out_fail(task, 0x4b, 0x06); /* INITIATOR RESPONSE TIMEOUT */
	}
}

/* What is wrong with a Data-Out PDU of a known task: 0, or an additional sense code and qualifier. */
static uint16_t check(const struct iscsi_task *task, const uint8_t *bhs)
{
	uint32_t length = iscsi_pdu_data_bytes(bhs), offset = rt_get_be32(bhs + ISCSI_AT_BUFFER_OFFSET);
	uint32_t end = task->unsolicited_open ? task->unsolicited_limit : task->sequence_end;
	bool final = (bhs[ISCSI_AT_FLAGS] & ISCSI_FINAL) != 0;

	if (rt_get_be32(bhs + ISCSI_AT_DATA_SN) != task->data_sn)
		return 0x4b00; /* DATA PHASE ERROR */
	if (offset != task->received)
		return 0x4b05; /* DATA OFFSET ERROR */
	if (length > end - task->received)
		return 0x4b02; /* TOO MUCH WRITE DATA */
	if (task->soliciting && final && task->received + length != end)
		return 0x0c0d; /* WRITE ERROR - NOT ENOUGH UNSOLICITED DATA: less than the R2T asked for */
	if (task->soliciting && !final && task->received + length == end)
		return 0x4b00; /* the sequence does not end where the R2T does */
	return 0;
}

static struct iscsi_task *find_target_of(struct iscsi_session *session, const uint8_t *bhs)
{
	struct iscsi_task *task = iscsi_task_find(session, rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG));
	uint32_t tag = rt_get_be32(bhs + ISCSI_AT_TARGET_TRANSFER_TAG);

	if (!task || (task->state != ISCSI_TASK_COLLECTING && task->state != ISCSI_TASK_HELD))
		return NULL;
	if (tag == ISCSI_RESERVED_TAG)
		return task->unsolicited_open ? task : NULL;
	if (!task->soliciting || !task->r2ts_outstanding || tag != task->first_target_transfer_tag + task->bursts_done)
		return NULL;
	return task;
}

void iscsi_data_out_header(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	struct iscsi_task *task = find_target_of(connection->session, bhs);
	uint32_t length = iscsi_pdu_data_bytes(bhs), room;
	uint16_t wrong;

	if (!task) {
		if (!iscsi_late_data_takes(connection->session, bhs))
			iscsi_reject(connection, bhs, ISCSI_REJECT_INVALID_PDU_FIELD);
		return;
	}
	wrong = check(task, bhs);
	if (wrong) {
		/* This PDU may be the last one of what was still to come. */
		if ((bhs[ISCSI_AT_FLAGS] & ISCSI_FINAL) && task->unsolicited_open)
			task->unsolicited_open = false;
		else if ((bhs[ISCSI_AT_FLAGS] & ISCSI_FINAL) && task->r2ts_outstanding)
			task->r2ts_outstanding--;
		iscsi_data_out_fail(task, (uint8_t)(wrong >> 8), (uint8_t)wrong);
		return;
	}
	task->data_sn++;
	receiver->task = task;
	iscsi_task_hold(task);
	receiver->task_offset = task->received;
	receiver->sink = task->state == ISCSI_TASK_HELD ? ISCSI_SINK_HELD : ISCSI_SINK_TASK;
	room = receiver->sink == ISCSI_SINK_HELD ? task->unsolicited_limit : task->wanted;
	room = room > task->received ? room - task->received : 0;
	receiver->sink_bytes = smaller(length, room);
}
