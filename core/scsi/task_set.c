/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/task_set.h"

#include "scsi/device_server.h"

bool scsi_task_set_add(struct scsi_command *command)
{
	struct scsi_nexus_lun *nexus_lun = command->nexus_lun;

	if (nexus_lun->task_count >= SCSI_TASK_SET_LIMIT) {
		command->status = SCSI_TASK_SET_FULL;
		return false;
	}
	if (command->attribute >= SCSI_ACA)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_INVALID_MESSAGE_ERROR);
	command->barrier = command->attribute >= SCSI_ORDERED;
	command->registered = true;
	if (command->attribute == SCSI_HEAD_OF_QUEUE)
		rt_list_prepend(&nexus_lun->tasks, &command->in_task_set);
	else
		rt_list_append(&nexus_lun->tasks, &command->in_task_set);
	nexus_lun->task_count++;
	nexus_lun->barriers += command->barrier;
	nexus_lun->nexus->commands++;
	return true;
}

/* A SIMPLE command waits for the ORDERED and HEAD OF QUEUE ones before it, an ORDERED one for all before it. */
bool scsi_task_set_may_run(const struct scsi_command *command)
{
	const struct scsi_nexus_lun *nexus_lun = command->nexus_lun;

	/* A step of a copy runs on behalf of one that runs already. */
	if (nexus_lun->barriers == 0 || command->attribute == SCSI_HEAD_OF_QUEUE || command->internal)
		return true;
	if (command->attribute == SCSI_ORDERED)
		return nexus_lun->tasks.next == &command->in_task_set;
	for (const struct rt_list *node = command->in_task_set.previous; node != &nexus_lun->tasks;
	     node = node->previous)
		if (RT_CONTAINER_OF(node, struct scsi_command, in_task_set)->barrier)
			return false;
	return true;
}

void scsi_task_set_remove(struct scsi_command *command)
{
	struct scsi_nexus_lun *nexus_lun = command->nexus_lun;

	command->registered = false;
	rt_list_remove(&command->in_task_set);
	nexus_lun->task_count--;
	nexus_lun->barriers -= command->barrier;
	nexus_lun->nexus->commands--;
}

struct scsi_command *scsi_task_set_next_runnable(struct scsi_nexus_lun *nexus_lun)
{
	RT_LIST_FOR_EACH (node, &nexus_lun->tasks) {
		struct scsi_command *command = RT_CONTAINER_OF(node, struct scsi_command, in_task_set);

		if (command->stage == SCSI_STAGE_BLOCKED && scsi_task_set_may_run(command))
			return command;
		if (command->attribute == SCSI_ORDERED)
			return NULL; /* nothing behind it may run */
	}
	return NULL;
}
