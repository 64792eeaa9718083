/* SPDX-License-Identifier: Apache-2.0
 *
 * A lane: the part of a logical unit that lives on one worker.  It knows the commands that run there and the I_T
 * nexuses that use the unit there.  A visit goes to every lane in use, by message, and comes back when each has let it
 * go: the one way to change what all workers look at (reservations, range locks, resets, unit attentions).
 */
#ifndef TGTKIT_SCSI_LANE_H
#define TGTKIT_SCSI_LANE_H

#include <stdbool.h>

#include "rt/list.h"
#include "rt/loop.h"
#include "rt/worker.h"
#include "scsi/figures.h"

struct scsi_command;
struct scsi_logical_unit;

struct scsi_lane {
	struct scsi_logical_unit *unit;
	struct rt_worker *worker;
	struct rt_list executing;	      /* scsi_command.in_lane */
	struct rt_list parked;		      /* scsi_command.in_lane: they wait for an access lock to go */
	struct rt_list background;	      /* scsi_background.in_lane: goes on after its command was answered */
	struct rt_list nexus_luns;	      /* scsi_nexus_lun.in_lane */
	struct rt_list waiters;		      /* scsi_visit_stop.waiting */
	unsigned cancelled;		      /* aborted commands that have not ended */
	struct scsi_lane_figures figures;
	struct rt_post kick;		      /* runs the parked commands again */
	bool in_use, has_parked, kick_posted; /* under the unit's mutex */
};

void scsi_lane_init(struct scsi_lane *lane, struct scsi_logical_unit *unit, struct rt_worker *worker);
struct scsi_lane *scsi_lane_current(struct scsi_logical_unit *unit);
/* Runs the parked commands again; those that are still locked out park again. */
void scsi_lane_run_parked(struct scsi_lane *lane);
/* After a command has left the lane: lets visits go that waited for it. */
void scsi_lane_recheck(struct scsi_lane *lane);
/* The unit's mutex is held.  Posts to the lanes that have parked commands. */
void scsi_lanes_kick(struct scsi_logical_unit *unit);

struct scsi_visit;

struct scsi_visit_stop {
	struct rt_post post;
	struct rt_list waiting;
	struct scsi_visit *visit;
	struct scsi_lane *lane;
};

struct scsi_visit {
	struct scsi_logical_unit *unit;
	/* On each lane's worker, once.  May be NULL. */
	void (*arrive)(struct scsi_visit *visit, struct scsi_lane *lane);
	/* On each lane's worker, after arrive and after every end of a command there until it says true.  NULL: at
	 * once. */
	bool (*satisfied)(struct scsi_visit *visit, struct scsi_lane *lane);
	/* On `reply_to`, never inside scsi_visit_start; owns the visit from then on. */
	void (*finished)(struct scsi_visit *visit); /* NULL: just frees the visit */
	struct rt_loop *reply_to;
	void *context;
	/* private */
	_Atomic unsigned outstanding;
	struct rt_post reply;
	unsigned capacity;
	struct scsi_visit_stop stops[];
};

/* NULL when there is no memory.  `reply_to` is a loop that runs as long as the visit is under way; NULL: the current
 * one, or a worker's. */
struct scsi_visit *scsi_visit_create(struct scsi_logical_unit *unit, struct rt_loop *reply_to);
/* Any thread; the unit's mutex is not held. */
void scsi_visit_start(struct scsi_visit *visit);
/* In `finished`, or before scsi_visit_start. */
void scsi_visit_free(struct scsi_visit *visit);

#endif
