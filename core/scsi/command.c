/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/command.h"

#include <errno.h>
#include <stdlib.h>

#include "scsi/access.h"
#include "scsi/device_server.h"
#include "scsi/task_management_private.h"
#include "scsi/task_set.h"
#include "scsi/validate.h"

static void run_finish(struct rt_deferred *deferred)
{
	scsi_command_end(RT_CONTAINER_OF(deferred, struct scsi_command, finish));
}

static void memory_has_room(struct rt_memory_waiter *waiter);

static void init(struct scsi_command *command)
{
	rt_list_init(&command->in_task_set);
	rt_list_init(&command->in_lane);
	command->finish.run = run_finish;
	command->memory_waiter.room = memory_has_room;
	command->data_in_length = 0;
	command->sense_length = 0;
	command->status = SCSI_GOOD;
}

static bool passes_attention(struct scsi_command *command)
{
	struct scsi_sense sense;

	if (command->internal ||
	    (command->operation != NULL && (command->operation->flags & SCSI_OP_BEFORE_ATTENTION) != 0))
		return true;
	if (!scsi_unit_attention_take(command->nexus_lun, &sense))
		return true;
	return scsi_sense_set(command, &sense);
}

/* The operation is known, and offered by what the LUN field addresses. */
static bool find_operation(struct scsi_command *command)
{
	command->operation = scsi_operations_find(command->cdb);
	if (command->operation != NULL && scsi_operation_offered(command->operation, command->unit))
		return true;
	command->operation = NULL;
	if (!passes_attention(command))
		return false;
	if (scsi_operations_code_offered(command->cdb[0], command->unit))
		return scsi_sense_invalid_cdb_field(command, 1, 4); /* the service action */
	return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_INVALID_COMMAND_OPERATION_CODE);
}

static bool is_mapped(const struct scsi_command *command, enum scsi_lun_kind kind, uint16_t lun)
{
	const struct scsi_lun_mapping *mapping =
	    kind == SCSI_LUN_NUMBER ? scsi_lun_map_find(command->nexus->lun_map, lun) : NULL;

	return mapping != NULL && mapping->unit != NULL;
}

/* An unmapped LUN 0, the REPORT LUNS well-known unit and a LUN that waits for its unit answer a little, other LUNs
 * nothing. */
static bool prepare_without_unit(struct scsi_command *command, enum scsi_lun_kind kind, uint16_t lun)
{
	bool awaited = kind == SCSI_LUN_NUMBER && scsi_lun_map_awaits(command->nexus->lun_map, lun);

	command->nexus_lun = &command->nexus->without_unit;
	if (is_mapped(command, kind, lun)) { /* there was no memory for what the nexus has to do with it */
		command->status = SCSI_BUSY;
		return false;
	}
	if (kind == SCSI_LUN_REPORT_LUNS)
		return find_operation(command);
	command->operation = scsi_operations_find(command->cdb);
	if (kind == SCSI_LUN_NUMBER && (lun == 0 || awaited) && command->operation != NULL &&
	    (command->operation->flags & SCSI_OP_WITHOUT_UNIT) != 0)
		return true;
	if (awaited)
		return scsi_sense_fail(command, SCSI_KEY_NOT_READY, SCSI_ASC_NOT_READY_TARGET_PORT_UNAVAILABLE);
	return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_LOGICAL_UNIT_NOT_SUPPORTED);
}

/* Something is pending or refused on the nexus, or the access word says something about such a command. */
static bool has_conditions(const struct scsi_command *command)
{
	const struct scsi_nexus_lun *nexus_lun = command->nexus_lun;

	return (nexus_lun->attentions | (nexus_lun->refusals & command->operation->refusals)) != 0 ||
	       (command->unit != NULL && (scsi_unit_access(command->unit) & command->operation->gate) != 0);
}

bool scsi_command_prepare(struct scsi_command *command)
{
	enum scsi_lun_kind kind;
	bool conditions;
	uint16_t lun;

	init(command);
	command->nexus_lun = scsi_nexus_lun_find(command->nexus, command->lun, &kind, &lun);
	if (command->nexus_lun != NULL) {
		command->unit = command->nexus_lun->unit;
		if (!find_operation(command))
			return false;
	} else if (!prepare_without_unit(command, kind, lun)) {
		return false;
	}
	conditions = has_conditions(command);
	if (__builtin_expect(conditions, 0) && (!passes_attention(command) || !scsi_access_is_ready(command)))
		return false;
	if (!scsi_validate_cdb(command))
		return false;
	if (__builtin_expect(conditions, 0) && !scsi_access_is_writable(command))
		return false;
	if ((command->operation->flags & SCSI_OP_EXACT_DATA) &&
	    command->expected_data_out_length != command->transfer_length)
		return scsi_sense_invalid_cdb_field(command, command->operation->length_at, 7);
	if (!scsi_task_set_add(command))
		return false;
	command->stage = SCSI_STAGE_COLLECTING;
	return true;
}

static uint32_t memory_needed(const struct scsi_command *command)
{
	const struct scsi_operation *operation = command->operation;
	uint32_t reply;

	if (operation->work_bytes != NULL)
		return operation->work_bytes(command);
	if (command->direction != SCSI_DATA_IN)
		return 0;
	reply = operation->reply_bytes != 0 ? operation->reply_bytes : RT_MEMORY_PAGE_BYTES;
	return command->transfer_length < reply ? command->transfer_length : reply;
}

/* Memory comes before any lock: who holds a lock waits for no memory, so that those who wait for the lock may hold
 * some. */
static void take_memory(struct scsi_command *command, bool first)
{
	struct rt_memory *memory = rt_worker_current()->memory;
	uint32_t bytes = memory_needed(command);
	int status = 0;

	if (bytes != 0 && first)
		status = rt_memory_take_first(memory, RT_MEMORY_READ, bytes, &command->data_in);
	else if (bytes != 0)
		status = rt_memory_take(memory, RT_MEMORY_READ, bytes, &command->data_in);
	if (status == -ENOMEM) {
		command->stage = SCSI_STAGE_NO_MEMORY;
		rt_memory_wait(memory, RT_MEMORY_READ, &command->memory_waiter);
	} else if (status != 0) {
		scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_INSUFFICIENT_RESOURCES);
		scsi_command_finish(command);
	} else {
		scsi_command_admit(command);
	}
}

static void memory_has_room(struct rt_memory_waiter *waiter)
{
	take_memory(RT_CONTAINER_OF(waiter, struct scsi_command, memory_waiter), true);
}

void scsi_command_execute(struct scsi_command *command)
{
	scsi_figures_started(command);
	if (command->nexus_lun->barriers != 0 && !scsi_task_set_may_run(command))
		command->stage = SCSI_STAGE_BLOCKED;
	else
		take_memory(command, false);
}

void scsi_command_admit(struct scsi_command *command)
{
	const struct scsi_operation *operation = command->operation;
	uint32_t word = command->unit != NULL ? scsi_unit_access(command->unit) & operation->gate : 0;

	if (__builtin_expect((word | (command->nexus_lun->refusals & operation->refusals)) != 0, 0)) {
		if (!scsi_access_allows(command)) {
			scsi_command_finish(command);
			return;
		}
		if ((word & SCSI_ACCESS_LOCKED) && !(operation->flags & (SCSI_OP_LOCKS_RANGE | SCSI_OP_CONFIGURES)) &&
		    scsi_access_parks(command))
			return;
	}
	if (operation->flags & (SCSI_OP_LOCKS_RANGE | SCSI_OP_CONFIGURES)) {
		if (scsi_access_lock(command) != 0) {
			command->status = SCSI_BUSY;
			scsi_command_finish(command);
		}
		return;
	}
	scsi_command_start(command);
}

void scsi_command_start(struct scsi_command *command)
{
	/* What happened while it waited for its lock. */
	if (command->lock != NULL && !scsi_access_allows(command)) {
		scsi_command_finish(command);
		return;
	}
	command->stage = SCSI_STAGE_EXECUTING;
	if (command->unit != NULL)
		rt_list_append(&command->nexus_lun->lane->executing, &command->in_lane);
	command->operation->execute(command);
}

void scsi_command_finish(struct scsi_command *command)
{
	command->stage = SCSI_STAGE_FINISHING;
	rt_loop_defer(rt_worker_current()->loop, RT_PHASE_COMPLETE, &command->finish);
}

static void hung_command_ended(struct scsi_logical_unit *unit)
{
	pthread_mutex_lock(&unit->mutex);
	if (--unit->hung_commands == 0)
		scsi_unit_clear_access(unit, SCSI_ACCESS_HUNG);
	pthread_mutex_unlock(&unit->mutex);
}

static void cancelled_command_ended(struct scsi_nexus_lun *nexus_lun)
{
	if (nexus_lun->lane != NULL)
		nexus_lun->lane->cancelled--;
	if (--nexus_lun->cancelled == 0)
		scsi_task_management_recheck(&nexus_lun->functions);
	if (--nexus_lun->nexus->cancelled == 0)
		scsi_task_management_recheck(&nexus_lun->nexus->functions);
}

/* Out of the task set and the lane: what waited for it goes on. */
static void leave(struct scsi_command *command)
{
	struct scsi_nexus_lun *nexus_lun = command->nexus_lun;
	struct scsi_lane *lane = nexus_lun->lane;
	bool ordered = nexus_lun->barriers != 0;
	struct scsi_command *next;

	rt_list_remove(&command->in_lane);
	scsi_task_set_remove(command);
	if (command->lock != NULL)
		scsi_access_unlock(command);
	if (command->hung)
		hung_command_ended(command->unit);
	if (command->cancelled)
		cancelled_command_ended(nexus_lun);
	while (ordered && (next = scsi_task_set_next_runnable(nexus_lun)) != NULL)
		take_memory(next, false);
	if (lane != NULL && !rt_list_is_empty(&lane->waiters))
		scsi_lane_recheck(lane);
	command->nexus_lun = NULL;
	scsi_nexus_command_ended(nexus_lun);
}

void scsi_command_end(struct scsi_command *command)
{
	command->stage = SCSI_STAGE_ENDED;
	if (command->cancelled) {
		command->aborted = command->silently;
		command->status = SCSI_TASK_ABORTED;
		command->sense_length = 0;
		command->data_in_length = 0;
	}
	if (command->private_state != NULL) {
		free(command->private_state);
		command->private_state = NULL;
	}
	scsi_figures_ended(command);
	leave(command);
	command->done(command);
}

void scsi_command_abort(struct scsi_command *command, bool silently)
{
	command->silently |= silently;
	if (command->cancelled)
		return;
	command->cancelled = true;
	command->nexus_lun->cancelled++;
	command->nexus_lun->nexus->cancelled++;
	if (command->nexus_lun->lane != NULL)
		command->nexus_lun->lane->cancelled++;
	switch ((enum scsi_stage)command->stage) {
	case SCSI_STAGE_COLLECTING:
		if (command->data_out_cancelled != NULL)
			command->data_out_cancelled(command);
		break;
	case SCSI_STAGE_NO_MEMORY:
		rt_memory_cancel_wait(rt_worker_current()->memory, &command->memory_waiter);
		break;
	case SCSI_STAGE_PARKED:
		rt_list_remove(&command->in_lane);
		break;
	case SCSI_STAGE_LOCKING:
		if (!scsi_access_lock_withdraw(command))
			return; /* ends when the lock is granted */
		break;
	case SCSI_STAGE_EXECUTING:
		if (command->abandoned == NULL) {
			if (command->in_store)
				store_cancel(&command->io);
			return; /* ends with its step */
		}
		command->abandoned(command);
		break;
	default:
		break;
	}
	scsi_command_finish(command);
}

void scsi_command_release(struct scsi_command *command)
{
	if (command->registered)
		leave(command);
	if (command->data_in.segment_count != 0)
		rt_memory_give(rt_worker_current()->memory, &command->data_in);
}

void scsi_command_fail_transport(struct scsi_command *command, uint8_t sense_key, uint8_t asc, uint8_t ascq)
{
	scsi_sense_fail(command, sense_key, (uint16_t)(asc << 8 | ascq));
	leave(command);
}
