/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: the target port groups of a unit (SPC-5 5.18) and their asymmetric access states.  Under the
 * unit's mutex.  A port that nobody has told of is learned when a nexus first uses the unit through it.
 */
#ifndef TGTKIT_SCSI_PORT_GROUPS_H
#define TGTKIT_SCSI_PORT_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/logical_unit.h"

struct scsi_lane;
struct scsi_nexus;
struct scsi_nexus_lun;

enum scsi_port_group_status {
	SCSI_STATUS_NONE = 0,
	SCSI_STATUS_BY_COMMAND = 1, /* SET TARGET PORT GROUPS */
	SCSI_STATUS_IMPLICIT = 2,
};

struct scsi_known_group {
	uint16_t tag;
	uint8_t state;	/* enum scsi_port_group_state */
	uint8_t status; /* enum scsi_port_group_status */
};

struct scsi_known_port {
	uint16_t relative_id, tag;
	char *target_name;
};

struct scsi_port_groups {
	size_t group_count, port_count;
	struct scsi_known_group *groups; /* ascending by tag */
	struct scsi_known_port *ports;	 /* ascending by relative id */
};

void scsi_port_groups_free(struct scsi_port_groups *groups);
struct scsi_known_group *scsi_port_groups_find(struct scsi_port_groups *groups, uint16_t tag);
/* Adds the port of a nexus if it is new.  Without memory it stays unknown. */
void scsi_port_groups_learn(struct scsi_port_groups *groups, const struct scsi_nexus *nexus);
/* Under the mutex: what the group reports, which is less than its own state while another host has the store. */
enum scsi_port_group_state scsi_port_groups_state(const struct scsi_logical_unit *unit,
						  const struct scsi_known_group *group);
/* Sets nexus_lun->refusals as the state of its port's group says. */
void scsi_port_groups_refresh(struct scsi_logical_unit *unit, struct scsi_nexus_lun *nexus_lun);
/* Takes the mutex: the same for all nexuses of a lane. */
void scsi_port_groups_refresh_lane(struct scsi_lane *lane);

#endif
