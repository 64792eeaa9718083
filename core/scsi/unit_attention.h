/* SPDX-License-Identifier: Apache-2.0
 *
 * Unit attention conditions, SAM-5 5.14: pending per I_T_L nexus, reported once each, the weightiest first.
 *
 * COMMANDS CLEARED BY ANOTHER INITIATOR is never one of them.  It tells a nexus of commands of its own that another has
 * ended without a response (SAM-5 5.6); here TAS is 1 and cannot be changed, so each of these is answered TASK ABORTED,
 * and with a task set per nexus (TST 001b) a CLEAR TASK SET ends nobody else's.
 */
#ifndef TGTKIT_SCSI_UNIT_ATTENTION_H
#define TGTKIT_SCSI_UNIT_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

struct scsi_command;
struct scsi_lane;
struct scsi_nexus_lun;
struct scsi_sense;

/* In the order in which they are reported. */
enum scsi_unit_attention {
	SCSI_UA_POWER_ON,
	SCSI_UA_RESET,
	SCSI_UA_NEXUS_LOSS,
	SCSI_UA_REPORTED_LUNS_CHANGED,
	SCSI_UA_CAPACITY_CHANGED,
	SCSI_UA_MODE_PARAMETERS_CHANGED,
	SCSI_UA_RESERVATIONS_PREEMPTED,
	SCSI_UA_RESERVATIONS_RELEASED,
	SCSI_UA_REGISTRATIONS_PREEMPTED,
	SCSI_UA_ASYMMETRIC_ACCESS_CHANGED,
	SCSI_UA_COUNT,
};

/* A power-on or reset condition clears what was pending before. */
void scsi_unit_attention_raise(struct scsi_nexus_lun *nexus_lun, enum scsi_unit_attention attention);
/* On every nexus of the lane but `except` (may be NULL). */
void scsi_unit_attention_raise_lane(struct scsi_lane *lane, enum scsi_unit_attention attention,
				    const struct scsi_nexus_lun *except);
void scsi_unit_attention_clear(struct scsi_nexus_lun *nexus_lun, enum scsi_unit_attention attention);
/* How many are pending, and the sense of the next one, which stays so. */
unsigned scsi_unit_attention_peek(const struct scsi_nexus_lun *nexus_lun, struct scsi_sense *sense);
/* Takes out the next one.  false: none was pending. */
bool scsi_unit_attention_take(struct scsi_nexus_lun *nexus_lun, struct scsi_sense *sense);

#endif
