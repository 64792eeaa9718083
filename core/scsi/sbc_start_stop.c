/* SPDX-License-Identifier: Apache-2.0
 *
 * START STOP UNIT, SBC-4 5.31.
 */
#include "scsi/device_server.h"
#include "scsi/handlers.h"

enum { START = 0x01, LOEJ = 0x02, NO_FLUSH = 0x04, POWER_CONDITION = 0xf0 };

/* With a power condition START and LOEJ do not matter; a unit that is always active is in each of them at once. */
static bool only_sets_power_condition(const struct scsi_command *command)
{
	return (command->cdb[4] & POWER_CONDITION) != 0;
}

bool sbc_start_stop_decode(struct scsi_command *command)
{
	if (only_sets_power_condition(command))
		return true;
	if ((command->cdb[4] & LOEJ) && !command->unit->removable)
		return scsi_sense_invalid_cdb_field(command, 4, 1);
	/* Starting is let through by every persistent reservation, stopping by none of another nexus. */
	if (!(command->cdb[4] & START) && (command->nexus_lun->refusals & SCSI_REFUSE_WRITE)) {
		command->status = SCSI_RESERVATION_CONFLICT;
		return false;
	}
	return true;
}

static void start(struct scsi_command *command)
{
	scsi_unit_clear_access(command->unit, SCSI_ACCESS_STOPPED);
	if (command->cdb[4] & LOEJ)
		scsi_unit_clear_access(command->unit, SCSI_ACCESS_NO_MEDIUM);
	scsi_command_good(command);
}

/* A removable medium that stays is as ready as before. */
static void stop(struct scsi_command *command)
{
	if (command->cdb[4] & LOEJ)
		scsi_unit_set_access(command->unit, SCSI_ACCESS_NO_MEDIUM);
	else if (!command->unit->removable)
		scsi_unit_set_access(command->unit, SCSI_ACCESS_STOPPED);
	scsi_command_good(command);
}

static bool moves_prevented_medium(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;
	bool prevented;

	if (!(command->cdb[4] & LOEJ))
		return false;
	pthread_mutex_lock(&unit->mutex);
	prevented = unit->removal_preventions != 0;
	pthread_mutex_unlock(&unit->mutex);
	return prevented;
}

void sbc_start_stop(struct scsi_command *command)
{
	if (only_sets_power_condition(command)) {
		scsi_command_good(command);
	} else if (moves_prevented_medium(command)) {
		scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_MEDIUM_REMOVAL_PREVENTED);
		scsi_command_finish(command);
	} else if (command->cdb[4] & START) {
		start(command);
	} else if (command->cdb[4] & NO_FLUSH) {
		stop(command);
	} else {
		scsi_command_submit_range(command, TGTKIT_FLUSH, 0, 0, 0, stop);
	}
}
