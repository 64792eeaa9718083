/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: who may run now.
 *
 * A range lock is granted when nothing that overlaps it is executing on any worker, and what comes later and overlaps
 * it waits until it is released.  The configuration lock serialises the commands that change the state of the unit
 * (reservations, mode parameters, target port groups) among themselves; it stops no I/O, as it is the visit of all
 * lanes that puts the change into force.
 */
#ifndef TGTKIT_SCSI_ACCESS_H
#define TGTKIT_SCSI_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/list.h"
#include "rt/loop.h"

struct scsi_command;
struct scsi_logical_unit;
struct scsi_sense;
struct scsi_visit;

struct scsi_access_lock {
	struct scsi_logical_unit *unit;
	struct scsi_command *holder;
	bool configuration; /* else of the range */
	uint64_t lba, blocks;
	/* private */
	struct rt_list node;	  /* held or queued, under the unit's mutex */
	struct scsi_visit *visit; /* of a range lock that is not granted yet */
	struct rt_loop *loop;
	struct rt_post granted; /* of a configuration lock that had to wait */
	bool held;
};

/* Whether the command may run as far as reservations and readiness go, and as far as write protection goes, which comes
 * after the CDB's own faults.  false: status and sense are set. */
bool scsi_access_is_ready(struct scsi_command *command);
bool scsi_access_is_writable(struct scsi_command *command);
/* Both. */
bool scsi_access_allows(struct scsi_command *command);
/* The sense data for what the access word says, as far as these bits go.  false: nothing. */
bool scsi_access_condition(struct scsi_logical_unit *unit, uint32_t interest, struct scsi_sense *sense);
/* Whether a lock that is held keeps the command waiting: then it has been put into its lane's parked list. */
bool scsi_access_parks(struct scsi_command *command);

/* For a command whose row asks for a lock: scsi_command_start is called when it is granted.  0 or -ENOMEM. */
int scsi_access_lock(struct scsi_command *command);
/* Withdraws one that waits behind another.  false: too late, it will be granted. */
bool scsi_access_lock_withdraw(struct scsi_command *command);
/* Released and freed. */
void scsi_access_unlock(struct scsi_command *command);

#endif
