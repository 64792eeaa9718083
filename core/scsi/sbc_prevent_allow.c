/* SPDX-License-Identifier: Apache-2.0
 *
 * PREVENT ALLOW MEDIUM REMOVAL, SBC-4 5.12: per I_T nexus; of units with removable media.
 */
#include "scsi/device_server.h"
#include "scsi/handlers.h"

bool sbc_prevent_allow_offered(const struct scsi_logical_unit *unit)
{
	return unit->removable;
}

bool sbc_prevent_allow_decode(struct scsi_command *command)
{
	bool prevent = (command->cdb[4] & 1) != 0;

	/* SBC-3 table 13: only preventing conflicts with a reservation. */
	if (prevent && (command->nexus_lun->refusals & SCSI_REFUSE_WRITE)) {
		command->status = SCSI_RESERVATION_CONFLICT;
		return false;
	}
	return true;
}

void scsi_prevent_removal(struct scsi_nexus_lun *nexus_lun, bool prevent)
{
	struct scsi_logical_unit *unit = nexus_lun->unit;

	if (nexus_lun->prevents_removal == prevent)
		return;
	nexus_lun->prevents_removal = prevent;
	pthread_mutex_lock(&unit->mutex);
	unit->removal_preventions += prevent ? 1 : -1u;
	pthread_mutex_unlock(&unit->mutex);
}

void sbc_prevent_allow(struct scsi_command *command)
{
	scsi_prevent_removal(command->nexus_lun, (command->cdb[4] & 1) != 0);
	scsi_command_good(command);
}
