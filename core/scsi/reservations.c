/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/reservations.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rt/log.h"
#include "scsi/device_server.h"

bool scsi_reservation_type_is_valid(uint8_t type)
{
	return type == SCSI_WRITE_EXCLUSIVE || type == SCSI_EXCLUSIVE_ACCESS || scsi_reservation_type_is_shared(type);
}

bool scsi_reservation_type_is_shared(uint8_t type)
{
	return type >= SCSI_WRITE_EXCLUSIVE_REGISTRANTS_ONLY && type <= SCSI_EXCLUSIVE_ACCESS_ALL_REGISTRANTS;
}

bool scsi_reservation_type_is_all(uint8_t type)
{
	return type == SCSI_WRITE_EXCLUSIVE_ALL_REGISTRANTS || type == SCSI_EXCLUSIVE_ACCESS_ALL_REGISTRANTS;
}

static bool type_lets_others_read(uint8_t type)
{
	return type == SCSI_WRITE_EXCLUSIVE || type == SCSI_WRITE_EXCLUSIVE_REGISTRANTS_ONLY ||
	       type == SCSI_WRITE_EXCLUSIVE_ALL_REGISTRANTS;
}

struct scsi_reservations *scsi_reservations_copy(const struct scsi_reservations *from, size_t more)
{
	struct scsi_reservations *copy =
	    calloc(1, sizeof(*copy) + (from->count + more) * sizeof(copy->registrations[0]));

	if (copy == NULL)
		return NULL;
	copy->generation = from->generation;
	copy->type = from->type;
	copy->persists = from->persists;
	copy->count = from->count;
	memcpy(copy->registrations, from->registrations, from->count * sizeof(copy->registrations[0]));
	return copy;
}

struct scsi_registration *scsi_reservations_find(const struct scsi_reservations *reservations,
						 const char *initiator_port, uint16_t relative_target_port_id)
{
	for (size_t i = 0; i < reservations->count; i++) {
		const struct scsi_registration *registration = &reservations->registrations[i];

		if ((registration->all_target_ports ||
		     registration->relative_target_port_id == relative_target_port_id) &&
		    strcasecmp(registration->initiator_port, initiator_port) == 0)
			return (struct scsi_registration *)registration;
	}
	return NULL;
}

struct scsi_registration *scsi_reservations_find_nexus(const struct scsi_reservations *reservations,
						       const struct scsi_nexus *nexus)
{
	return scsi_reservations_find(reservations, nexus->initiator_port, nexus->relative_target_port_id);
}

bool scsi_reservations_holds(const struct scsi_reservations *reservations, const struct scsi_registration *registration)
{
	if (registration == NULL || reservations->type == SCSI_RESERVATION_NONE)
		return false;
	return registration->holder || scsi_reservation_type_is_all(reservations->type);
}

void scsi_reservations_release(struct scsi_reservations *reservations)
{
	reservations->type = SCSI_RESERVATION_NONE;
	for (size_t i = 0; i < reservations->count; i++)
		reservations->registrations[i].holder = false;
}

void scsi_reservations_remove(struct scsi_reservations *reservations, struct scsi_registration *registration)
{
	bool was_holder = registration->holder;

	*registration = reservations->registrations[--reservations->count];
	if (was_holder || reservations->count == 0)
		scsi_reservations_release(reservations);
}

/* What the persistent reservation refuses to a nexus, SPC-5 5.14.1. */
static uint32_t persistent_refusals(const struct scsi_reservations *reservations, const struct scsi_nexus *nexus)
{
	const struct scsi_registration *registration;

	if (reservations->type == SCSI_RESERVATION_NONE)
		return 0;
	registration = scsi_reservations_find_nexus(reservations, nexus);
	if (registration != NULL && (registration->holder || scsi_reservation_type_is_shared(reservations->type)))
		return 0;
	return type_lets_others_read(reservations->type) ? SCSI_REFUSE_WRITE : SCSI_REFUSE_READ | SCSI_REFUSE_WRITE;
}

void scsi_reservations_refresh(struct scsi_nexus_lun *nexus_lun)
{
	const struct scsi_logical_unit *unit = nexus_lun->unit;

	nexus_lun->refusals &= ~(uint32_t)SCSI_REFUSE_RESERVED;
	if (unit->legacy_holder != NULL && unit->legacy_holder != nexus_lun->nexus)
		nexus_lun->refusals |= SCSI_REFUSE_RESERVED;
	nexus_lun->refusals |= persistent_refusals(unit->reservations, nexus_lun->nexus);
}

void scsi_reservations_refresh_lane(struct scsi_lane *lane)
{
	pthread_mutex_lock(&lane->unit->mutex);
	RT_LIST_FOR_EACH (node, &lane->nexus_luns) {
		scsi_reservations_refresh(RT_CONTAINER_OF(node, struct scsi_nexus_lun, in_lane));
	}
	pthread_mutex_unlock(&lane->unit->mutex);
}

void scsi_reservations_reset(struct scsi_logical_unit *unit)
{
	pthread_mutex_lock(&unit->mutex);
	unit->legacy_holder = NULL;
	pthread_mutex_unlock(&unit->mutex);
}

static void refresh_lane(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	scsi_reservations_refresh_lane(lane);
}

void scsi_reservations_nexus_lost(struct scsi_nexus_lun *nexus_lun)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct scsi_logical_unit *unit = nexus_lun->unit;
	struct scsi_visit *visit;
	bool held;

	pthread_mutex_lock(&unit->mutex);
	held = unit->legacy_holder == nexus_lun->nexus;
	if (held)
		unit->legacy_holder = NULL;
	pthread_mutex_unlock(&unit->mutex);
	if (!held)
		return;
	visit = scsi_visit_create(unit, NULL);
	if (visit == NULL) {
		rt_log_limited_about(&limit, RT_ABOUT(.unit = unit->name), RT_LOG_ERROR,
				     "%s: no memory to release the reservation of %s; reset the logical unit",
				     unit->name, nexus_lun->nexus->initiator_port);
		return;
	}
	visit->arrive = refresh_lane;
	scsi_visit_start(visit);
}
