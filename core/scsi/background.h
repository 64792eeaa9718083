/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: work of a unit that goes on after its command was answered (IMMED).  Whole-unit locks and
 * quiesce wait for it.
 */
#ifndef TGTKIT_SCSI_BACKGROUND_H
#define TGTKIT_SCSI_BACKGROUND_H

#include "rt/list.h"
#include "store/store.h"

struct scsi_command;
struct scsi_lane;

struct scsi_background {
	struct rt_list in_lane;
	struct scsi_lane *lane;
	struct store_request io;
};

void scsi_background_begin(struct scsi_background *background, struct scsi_lane *lane);
void scsi_background_end(struct scsi_background *background);
/* Answers GOOD; the flush follows. */
void scsi_background_flush(struct scsi_command *command);

#endif
