/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/task.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/data_in.h"
#include "iscsi/full_feature.h"
#include "iscsi/late_data.h"
#include "scsi/sense.h"

static struct iscsi_task **bucket_of(struct iscsi_session *session, uint32_t initiator_task_tag)
{
	/* Initiators count their tags up, or keep an index in the low bits. */
	return &session->buckets[initiator_task_tag % ISCSI_TASK_BUCKETS];
}

struct iscsi_task *iscsi_task_find(struct iscsi_session *session, uint32_t initiator_task_tag)
{
	struct iscsi_task *task = *bucket_of(session, initiator_task_tag);

	while (task && task->initiator_task_tag != initiator_task_tag)
		task = task->next_in_bucket;
	return task;
}

static void command_done(struct scsi_command *command)
{
	struct iscsi_task *task = iscsi_task_of(command);

	if (command->aborted || !task->session->connection)
		iscsi_task_end(task);
	else
		iscsi_task_respond(task);
}

/* The receiver may be in the middle of a segment for this task. */
static void detach_receiver(struct iscsi_task *task)
{
	struct iscsi_connection *connection = task->session->connection;
	struct iscsi_receiver *receiver;

	if (!connection || connection->receiver.task != task)
		return;
	receiver = &connection->receiver;
	receiver->sink = ISCSI_SINK_DISCARD;
	receiver->sink_bytes = 0;
	receiver->task = NULL;
	iscsi_task_drop(task);
}

static void data_out_cancelled(struct scsi_command *command)
{
	struct iscsi_task *task = iscsi_task_of(command);

	task->state = ISCSI_TASK_ANSWERED;
	rt_memory_cancel_wait(task->session->worker->rt->memory, &task->memory_waiter);
	detach_receiver(task);
}

static void insert(struct iscsi_session *session, struct iscsi_task *task)
{
	struct iscsi_task **bucket = bucket_of(session, task->initiator_task_tag);

	task->next_in_bucket = *bucket;
	*bucket = task;
	rt_list_append(&session->tasks, &task->in_session);
	task->in_session_lists = true;
}

struct iscsi_task *iscsi_task_create(struct iscsi_session *session, const uint8_t *bhs)
{
	struct iscsi_task *task = rt_slab_take(&session->worker->tasks);

	if (!task)
		return NULL;
	scsi_command_clear(&task->command);
	memset((char *)task + sizeof task->command, 0, sizeof *task - sizeof task->command);
	task->session = session;
	task->references = 1;
	task->initiator_task_tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG);
	task->cmd_sn = rt_get_be32(bhs + ISCSI_AT_CMD_SN);
	task->immediate = iscsi_pdu_is_immediate(bhs);
	task->read = (bhs[ISCSI_AT_FLAGS] & ISCSI_COMMAND_READ) != 0;
	task->write = (bhs[ISCSI_AT_FLAGS] & ISCSI_COMMAND_WRITE) != 0;
	task->expected_data_transfer_length = rt_get_be32(bhs + ISCSI_AT_EXPECTED_DATA_TRANSFER_LENGTH);
	if (task->write)
		task->command.expected_data_out_length = task->expected_data_transfer_length;
	task->command.nexus = session->nexus;
	memcpy(task->command.lun, bhs + ISCSI_AT_LUN, sizeof task->command.lun);
	memcpy(task->command.cdb, bhs + ISCSI_AT_CDB, sizeof task->command.cdb);
	task->command.attribute = (enum scsi_task_attribute)(bhs[ISCSI_AT_FLAGS] & ISCSI_ATTRIBUTE_MASK);
	task->command.done = command_done;
	task->command.data_out_cancelled = data_out_cancelled;
	task->in_window = true;
	if (task->immediate)
		session->immediate_commands++;
	else
		iscsi_window_command_came(session);
	session->task_count++;
	insert(session, task);
	return task;
}

void iscsi_task_hold(struct iscsi_task *task)
{
	task->references++;
}

void iscsi_task_drop(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;

	assert(task->references > 0);
	if (--task->references)
		return;
	free(task->held_data);
	if (task->delivered)
		scsi_command_release(&task->command);
	rt_slab_give(&session->worker->tasks, task);
	session->task_count--;
	iscsi_session_check_end(session);
}

/* Its unsolicited data is paid for by the session's credit: giving the pages back renews it at once. */
static void give_back_data_out(struct iscsi_task *task)
{
	struct rt_memory *memory = task->session->worker->rt->memory;
	struct rt_buffer *buffer = &task->command.data_out;
	size_t window_bytes = (size_t)buffer->pages[RT_MEMORY_WINDOW] * RT_MEMORY_PAGE_BYTES;

	if (!buffer->segment_count)
		return;
	rt_memory_give(memory, buffer);
	if (window_bytes && !rt_memory_reserve(memory, window_bytes))
		assert(!"the pages that were just given back are there");
}

void iscsi_task_leave_window(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;

	if (!task->in_window)
		return;
	task->in_window = false;
	detach_receiver(task);
	rt_memory_cancel_wait(session->worker->rt->memory, &task->memory_waiter);
	give_back_data_out(task);
	if (task->immediate)
		session->immediate_commands--;
	else
		iscsi_window_command_left(session);
}

void iscsi_task_end(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;
	struct iscsi_task **link = bucket_of(session, task->initiator_task_tag);

	if (!task->in_session_lists)
		return;
	task->state = ISCSI_TASK_ANSWERED;
	iscsi_task_leave_window(task);
	iscsi_late_data_expect(task);
	while (*link != task)
		link = &(*link)->next_in_bucket;
	*link = task->next_in_bucket;
	rt_list_remove(&task->in_session);
	task->in_session_lists = false;
	iscsi_task_drop(task);
}

/* The CDB writes, and the initiator announced data that moves the other way: what there is to write will never come. Or
 * it announced data both ways, as no command here moves: then the expected length says nothing of what may be sent to
 * it.  (A read that was announced as a write is an overflow: nothing is claimed that was not done.) */
static bool is_of_wrong_direction(const struct iscsi_task *task)
{
	if (!task->expected_data_transfer_length || !task->read)
		return false;
	return task->command.direction == SCSI_DATA_OUT || (task->command.direction == SCSI_DATA_IN && task->write);
}

void iscsi_task_deliver(struct iscsi_task *task)
{
	task->delivered = true;
	if (!scsi_command_prepare(&task->command)) {
		iscsi_task_respond(task);
		return;
	}
	if (is_of_wrong_direction(task)) {
		/* INVALID FIELD IN COMMAND INFORMATION UNIT */
		scsi_command_fail_transport(&task->command, SCSI_KEY_ILLEGAL_REQUEST, 0x0e, 0x03);
		iscsi_task_respond(task);
		return;
	}
	if (task->command.direction != SCSI_DATA_OUT) {
		task->state = ISCSI_TASK_EXECUTING;
		scsi_command_execute(&task->command);
		return;
	}
	iscsi_data_out_begin(task);
}

void iscsi_task_respond(struct iscsi_task *task)
{
	task->state = ISCSI_TASK_ANSWERED;
	/* First, so that the response says the window as it is from now on. */
	iscsi_task_leave_window(task);
	iscsi_data_in_send(task);
	iscsi_task_end(task);
}
