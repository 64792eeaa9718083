/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: aborting the commands of a task set.
 */
#ifndef TGTKIT_SCSI_TASK_MANAGEMENT_PRIVATE_H
#define TGTKIT_SCSI_TASK_MANAGEMENT_PRIVATE_H

#include <stdbool.h>

struct scsi_nexus_lun;

struct scsi_command;

/* A write that is executing and may yet land, though nobody waits for it any more: until it has ended, the unit answers
 * NOT READY. */
void scsi_command_mark_hung(struct scsi_command *command);
/* Aborts every command of the set; `silently`: their own nexus asked for it. */
void scsi_task_set_abort(struct scsi_nexus_lun *nexus_lun, bool silently);
/* The last aborted command of the set has ended: functions that waited for it are done. */
void scsi_task_management_recheck(struct scsi_nexus_lun *nexus_lun);
/* The time is over: aborted writes of the set that have not ended keep the unit NOT READY until they have. */
void scsi_task_set_mark_hung(struct scsi_nexus_lun *nexus_lun);

#endif
