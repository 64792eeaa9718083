/* SPDX-License-Identifier: Apache-2.0
 *
 * RESERVE and RELEASE (6) and (10), SPC-2, beside persistent reservations as SPC-5 5.14.3 has it (CRH = 1).
 */
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/reservations.h"

enum outcome { CONFLICT, NOTHING_TO_DO, GO_ON };

/* Under the mutex.  A registered nexus that the persistent reservation lets do everything needs no legacy one; as long
 * as anyone is registered, nobody gets one. */
static enum outcome beside_persistent(const struct scsi_logical_unit *unit, const struct scsi_nexus *nexus)
{
	const struct scsi_reservations *reservations = unit->reservations;
	const struct scsi_registration *own = scsi_reservations_find_nexus(reservations, nexus);

	if (reservations->count == 0)
		return GO_ON;
	if (scsi_reservations_holds(reservations, own) ||
	    (own != NULL && scsi_reservation_type_is_shared(reservations->type)))
		return NOTHING_TO_DO;
	return CONFLICT;
}

/* Only who has the memory to tell everybody changes the holder: no reservation is half in force. */
static void finish(struct scsi_command *command, enum outcome outcome, const struct scsi_nexus *new_holder)
{
	const struct scsi_reservation_change change = {
	    .legacy_holder = new_holder, .removed_attention = -1, .remaining_attention = -1};

	if (outcome == CONFLICT) {
		command->status = SCSI_RESERVATION_CONFLICT;
		scsi_command_finish(command);
	} else if (outcome == NOTHING_TO_DO) {
		scsi_command_good(command);
	} else {
		scsi_reservations_publish(command, &change);
	}
}

void spc_reserve(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;
	enum outcome outcome;

	pthread_mutex_lock(&unit->mutex);
	outcome = beside_persistent(unit, command->nexus);
	if (outcome == GO_ON && unit->legacy_holder == command->nexus)
		outcome = NOTHING_TO_DO;
	else if (outcome == GO_ON && unit->legacy_holder != NULL)
		outcome = CONFLICT;
	pthread_mutex_unlock(&unit->mutex);
	finish(command, outcome, command->nexus);
}

/* Of who does not hold it: good, and without effect. */
void spc_release(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;
	enum outcome outcome;

	pthread_mutex_lock(&unit->mutex);
	outcome = beside_persistent(unit, command->nexus);
	if (outcome == GO_ON && unit->legacy_holder != command->nexus)
		outcome = NOTHING_TO_DO;
	pthread_mutex_unlock(&unit->mutex);
	finish(command, outcome, NULL);
}
