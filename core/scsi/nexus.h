/* SPDX-License-Identifier: Apache-2.0
 *
 * An I_T nexus (SAM-5): one initiator port and one target port, for an iSCSI session.  Lives on one worker; everything
 * here is called on it.
 */
#ifndef TGTKIT_SCSI_NEXUS_H
#define TGTKIT_SCSI_NEXUS_H

#include <stdbool.h>
#include <stdint.h>

#include "scsi/figures.h"
#include "scsi/lun_map.h"

struct scsi_nexus;

struct scsi_nexus_spec {
	const char *initiator_port;	  /* "iqn....,i,0x00023d000001" (RFC 7143 4.4.1, iSCSI port name); copied */
	const char *initiator_name;	  /* the initiator device; copied */
	const char *target_name;	  /* the target device; copied */
	uint16_t target_port_group_tag;	  /* "iqn....,t,0x0001" is the target port's name */
	uint16_t relative_target_port_id; /* 1 to 65535 */
	struct scsi_lun_map *lun_map;	  /* a reference is taken */
	/* RFC 7144, iSCSIProtocolLevel 2: QUERY TASK, QUERY TASK SET, QUERY ASYNCHRONOUS EVENT, I_T NEXUS RESET exist
	 */
	bool newer_functions;
	/* On the nexus's worker, before they end: another nexus's reset ends this one's commands at the LUN.  NULL:
	 * nobody wants to know. */
	void (*commands_terminated)(void *context, uint16_t lun);
	void *context;
	/* Counted into as the unit's are, until the nexus has freed itself and calls figures_dropped.  NULL: none. */
	struct scsi_lane_figures *figures;
	void (*figures_dropped)(void *context);
	void *figures_context;
};

int scsi_nexus_create(const struct scsi_nexus_spec *spec, struct scsi_nexus **nexus);

/* A new snapshot of the map: LUNs that are gone have their commands aborted; if anything differs, every unit of the
 * nexus gets REPORTED LUNS DATA HAS CHANGED.  Whether anything differs. */
bool scsi_nexus_set_lun_map(struct scsi_nexus *nexus, struct scsi_lun_map *map);

/* I_T nexus loss: aborts every command; when the last has finished, or task_management_timeout_us has passed, calls
 * `closed` (from the loop, never inside this call) with `all_ended`.  Commands that end later are dropped, and the
 * nexus frees itself after the last.  Their `done` is still called, with `aborted` set. */
void scsi_nexus_close(struct scsi_nexus *nexus, void (*closed)(void *context, bool all_ended), void *context);

unsigned scsi_nexus_commands_under_way(const struct scsi_nexus *nexus);

#endif
