/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: an I_T nexus and its I_T_L nexuses, the latter made when a LUN is first used.  On the nexus's
 * worker only.
 */
#ifndef TGTKIT_SCSI_NEXUS_LUN_H
#define TGTKIT_SCSI_NEXUS_LUN_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/list.h"
#include "rt/loop.h"
#include "rt/worker.h"
#include "scsi/lun_map.h"
#include "scsi/nexus.h"

struct scsi_lane;
struct scsi_logical_unit;

struct scsi_nexus_lun {
	struct scsi_nexus *nexus;
	struct scsi_logical_unit *unit; /* NULL: what answers where there is no logical unit */
	struct scsi_lane *lane;
	struct scsi_lun_map *map; /* that it was made from: keeps the unit alive */
	uint32_t attentions;	  /* bit per enum scsi_unit_attention */
	uint32_t refusals;	  /* bit per enum scsi_refusal */
	struct rt_list tasks;	  /* scsi_command.in_task_set, in the order of the task set */
	unsigned task_count;
	unsigned barriers;	     /* ORDERED and HEAD OF QUEUE among them */
	unsigned cancelled;	     /* aborted ones among them */
	struct rt_list functions;    /* scsi_task_management.waiting: for these */
	struct rt_list copy_results; /* scsi_copy_result.node */
	unsigned copy_result_count;
	struct rt_list in_lane;
	struct rt_list in_unit;	 /* under the unit's mutex */
	struct rt_list in_nexus; /* among those whose LUN is gone */
	uint16_t lun;
	bool detached; /* its LUN is gone; freed with its last command */
	bool prevents_removal;
};

#define SCSI_LUNS_PER_PAGE 256u
#define SCSI_LUN_PAGES	   ((SCSI_MAXIMUM_LUN + 1) / SCSI_LUNS_PER_PAGE)

struct scsi_lun_page {
	struct scsi_nexus_lun *by_lun[SCSI_LUNS_PER_PAGE];
};

struct scsi_nexus {
	struct rt_worker *worker;
	struct scsi_lun_map *lun_map;
	struct scsi_lun_page *pages[SCSI_LUN_PAGES];
	struct scsi_nexus_lun without_unit; /* the REPORT LUNS well-known unit, and an unmapped LUN 0 */
	struct rt_list detached;	    /* scsi_nexus_lun.in_nexus */
	unsigned commands;		    /* in any of its task sets */
	unsigned cancelled;		    /* aborted ones among them */
	struct rt_list functions;	    /* scsi_task_management.waiting: I_T NEXUS RESET */
	char *initiator_port, *initiator_name, *target_name;
	uint16_t target_port_group_tag, relative_target_port_id;
	bool newer_functions;
	void (*commands_terminated)(void *context, uint16_t lun);
	void *context;
	struct scsi_lane_figures *figures; /* NULL: none */
	void (*figures_dropped)(void *context);
	void *figures_context;
	bool closing;
	void (*closed)(void *context, bool all_ended);
	void *closed_context;
	struct rt_timer close_timer;
	struct rt_deferred close_check;
};

/* The I_T_L nexus of a LUN field, made at its first use.  NULL: no unit there; `*kind` and `*lun` say what was asked.
 */
struct scsi_nexus_lun *scsi_nexus_lun_find(struct scsi_nexus *nexus, const uint8_t field[static 8],
					   enum scsi_lun_kind *kind, uint16_t *lun);
/* Only if it is there already. */
struct scsi_nexus_lun *scsi_nexus_lun_peek(struct scsi_nexus *nexus, uint16_t lun);
/* For every I_T_L nexus with a unit. */
void scsi_nexus_lun_for_each(struct scsi_nexus *nexus, void (*visit)(struct scsi_nexus_lun *nexus_lun, void *context),
			     void *context);
/* A command has left its task set. */
void scsi_nexus_command_ended(struct scsi_nexus_lun *nexus_lun);

#endif
