/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: the task set of an I_T_L nexus (TST = 001b), SAM-5 8: SIMPLE, ORDERED and HEAD OF QUEUE.
 */
#ifndef TGTKIT_SCSI_TASK_SET_H
#define TGTKIT_SCSI_TASK_SET_H

#include <stdbool.h>

struct scsi_command;
struct scsi_nexus_lun;

#define SCSI_TASK_SET_LIMIT 4096u /* then TASK SET FULL */

/* false: the attribute is not supported or the set is full; status and sense are set. */
bool scsi_task_set_add(struct scsi_command *command);
bool scsi_task_set_may_run(const struct scsi_command *command);
/* The caller then runs what waited for it: scsi_task_set_next_runnable until NULL. */
void scsi_task_set_remove(struct scsi_command *command);
struct scsi_command *scsi_task_set_next_runnable(struct scsi_nexus_lun *nexus_lun);

#endif
