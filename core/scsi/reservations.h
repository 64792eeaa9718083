/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: who may use a unit.  Registrations and the persistent reservation (SPC-5 5.14) are a value: a
 * change is made to a copy, which then takes the place of the old one.  Under the unit's mutex, and changed only by the
 * holder of the configuration lock.
 */
#ifndef TGTKIT_SCSI_RESERVATIONS_H
#define TGTKIT_SCSI_RESERVATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scsi/transport_id.h"

struct scsi_command;
struct scsi_lane;
struct scsi_logical_unit;
struct scsi_nexus;
struct scsi_nexus_lun;

enum scsi_reservation_type {
	SCSI_RESERVATION_NONE = 0,
	SCSI_WRITE_EXCLUSIVE = 1,
	SCSI_EXCLUSIVE_ACCESS = 3,
	SCSI_WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5,
	SCSI_EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6,
	SCSI_WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7,
	SCSI_EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8,
};

struct scsi_registration {
	uint64_t key;
	char initiator_port[SCSI_PORT_NAME_BYTES + 1];
	uint16_t relative_target_port_id;
	bool all_target_ports; /* then any relative target port */
	bool holder;	       /* of a reservation that is none of an all-registrants type */
};

#define SCSI_MAXIMUM_REGISTRATIONS 1024u

struct scsi_reservations {
	uint32_t generation;
	uint8_t type;  /* enum scsi_reservation_type */
	bool persists; /* APTPL */
	size_t count;
	struct scsi_registration registrations[];
};

bool scsi_reservation_type_is_valid(uint8_t type);
bool scsi_reservation_type_is_shared(uint8_t type); /* registrants only or all registrants */
bool scsi_reservation_type_is_all(uint8_t type);    /* all registrants */

/* A copy with room for `more` registrations.  NULL when there is no memory. */
struct scsi_reservations *scsi_reservations_copy(const struct scsi_reservations *from, size_t more);
struct scsi_registration *scsi_reservations_find(const struct scsi_reservations *reservations,
						 const char *initiator_port, uint16_t relative_target_port_id);
struct scsi_registration *scsi_reservations_find_nexus(const struct scsi_reservations *reservations,
						       const struct scsi_nexus *nexus);
bool scsi_reservations_holds(const struct scsi_reservations *reservations,
			     const struct scsi_registration *registration);
/* Takes the registration out; a reservation that goes with it goes. */
void scsi_reservations_remove(struct scsi_reservations *reservations, struct scsi_registration *registration);
void scsi_reservations_release(struct scsi_reservations *reservations);

/* The mutex is held.  Sets nexus_lun->refusals as the unit's reservations say. */
void scsi_reservations_refresh(struct scsi_nexus_lun *nexus_lun);
/* The nexus has gone: its legacy reservation goes with it, and everybody hears of it. */
void scsi_reservations_nexus_lost(struct scsi_nexus_lun *nexus_lun);
/* A reset takes away the legacy reservation; the lanes are refreshed by the reset's own visit. */
void scsi_reservations_reset(struct scsi_logical_unit *unit);
/* On the lane's worker. */
void scsi_reservations_refresh_lane(struct scsi_lane *lane);

/* What is kept over a restart, as text; and back.  NULL when there is no memory, or the text is none. */
char *scsi_reservations_to_text(const struct scsi_reservations *reservations);
struct scsi_reservations *scsi_reservations_from_text(const char *text);

/* How a change is put into force: kept if it has to be, then told to every lane, then the command is answered GOOD. */
struct scsi_reservation_change {
	struct scsi_reservations *next;		/* takes the place of the unit's; NULL: only the legacy one changes */
	const struct scsi_nexus *legacy_holder; /* if `next` is NULL; NULL: nobody */
	int removed_attention;	 /* enum scsi_unit_attention for nexuses that lost their registration, or -1 */
	int remaining_attention; /* for those that keep it, or -1 */
	bool aborts;		 /* the commands of those that lost it */
};
void scsi_reservations_publish(struct scsi_command *command, const struct scsi_reservation_change *change);

#endif
