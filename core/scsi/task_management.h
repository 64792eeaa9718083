/* SPDX-License-Identifier: Apache-2.0
 *
 * Task management functions, SAM-5 7.  TST = 001b, TAS = 1.
 */
#ifndef TGTKIT_SCSI_TASK_MANAGEMENT_H
#define TGTKIT_SCSI_TASK_MANAGEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/list.h"
#include "rt/loop.h"
#include "scsi/nexus.h"

struct scsi_command;
struct scsi_nexus_lun;

enum scsi_task_function {
	SCSI_ABORT_TASK,
	SCSI_ABORT_TASK_SET,
	SCSI_CLEAR_TASK_SET,
	SCSI_LOGICAL_UNIT_RESET,
	SCSI_TARGET_RESET, /* every unit that the nexus reaches */
	/* Only where scsi_nexus_spec.newer_functions is set, else REJECTED. */
	SCSI_QUERY_TASK,
	SCSI_QUERY_TASK_SET,
	SCSI_QUERY_ASYNCHRONOUS_EVENT, /* whether a unit attention is pending */
	SCSI_I_T_NEXUS_RESET,	       /* all commands of the nexus, and what a nexus loses when it goes */
};

enum scsi_task_response {
	SCSI_FUNCTION_COMPLETE,
	SCSI_FUNCTION_SUCCEEDED, /* of the queries: there is such a command, or event */
	SCSI_FUNCTION_LUN_DOES_NOT_EXIST,
	SCSI_FUNCTION_REJECTED, /* not all that it covers has ended within the time limit */
};

/* Memory of the transport, until `done`. */
struct scsi_task_management {
	struct scsi_nexus *nexus;
	enum scsi_task_function function;
	uint8_t lun[8];
	struct scsi_command *referenced;		 /* ABORT_TASK: under way on this nexus and LUN */
	void (*done)(struct scsi_task_management *self); /* on the nexus's worker, never inside start */
	enum scsi_task_response response;
	uint8_t additional_information[3]; /* SAM-5 7.11: of a QUERY_ASYNCHRONOUS_EVENT that has succeeded, else zero */
	/* private */
	struct rt_timer timer;
	struct rt_deferred finish;
	void *private_state;
	struct scsi_nexus_lun *nexus_lun;
	struct rt_list waiting;
};

/* Everything that it covers is aborted or has finished when `done` is called with FUNCTION_COMPLETE; nothing of it is
 * written afterwards. */
void scsi_task_management_start(struct scsi_task_management *function);

#endif
