/* SPDX-License-Identifier: Apache-2.0
 *
 * REPORT LUNS (SPC-5 6.33) and REQUEST SENSE (6.39).
 */
#include "rt/bytes.h"
#include "scsi/access.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"

enum select_report { SELECT_ORDINARY = 0x00, SELECT_WELL_KNOWN = 0x01, SELECT_ALL = 0x02 };

bool spc_report_luns_decode(struct scsi_command *command)
{
	if (command->cdb[2] > SELECT_ALL)
		return scsi_sense_invalid_cdb_field(command, 2, 7);
	return true;
}

static void clear_luns_changed(struct scsi_nexus_lun *nexus_lun, void *context)
{
	(void)context;
	scsi_unit_attention_clear(nexus_lun, SCSI_UA_REPORTED_LUNS_CHANGED);
}

void spc_report_luns(struct scsi_command *command)
{
	static const uint8_t well_known[8] = {0xc1, 0x01};
	const struct scsi_lun_map *map = command->nexus->lun_map;
	uint8_t header[8] = {0}, entry[8];
	size_t length = 8;

	if (command->cdb[2] != SELECT_WELL_KNOWN) {
		for (size_t i = 0; i < map->count; i++, length += 8) {
			scsi_lun_encode(map->mappings[i].lun, entry);
			scsi_command_reply_at(command, length, entry, sizeof(entry));
		}
	}
	if (command->cdb[2] != SELECT_ORDINARY) {
		scsi_command_reply_at(command, length, well_known, sizeof(well_known));
		length += 8;
	}
	rt_put_be32(header, (uint32_t)(length - 8));
	scsi_command_reply_at(command, 0, header, sizeof(header));
	scsi_nexus_lun_for_each(command->nexus, clear_luns_changed, NULL);
	scsi_command_good(command);
}

/* What a command that needs the medium would be told, or NO SENSE. */
static void current_condition(struct scsi_logical_unit *unit, struct scsi_sense *sense)
{
	if (unit == NULL || !scsi_access_condition(unit, SCSI_ACCESS_NOT_READY, sense))
		*sense = (struct scsi_sense){.key = SCSI_KEY_NO_SENSE, .asc = SCSI_ASC_NONE};
}

static struct scsi_sense condition_without_unit(const struct scsi_command *command, uint16_t lun)
{
	if (scsi_lun_map_awaits(command->nexus->lun_map, lun))
		return (struct scsi_sense){.key = SCSI_KEY_NOT_READY,
					   .asc = SCSI_ASC_NOT_READY_TARGET_PORT_UNAVAILABLE};
	return (struct scsi_sense){.key = SCSI_KEY_ILLEGAL_REQUEST, .asc = SCSI_ASC_LOGICAL_UNIT_NOT_SUPPORTED};
}

void spc_request_sense(struct scsi_command *command)
{
	enum { DESC = 0x01 };
	uint8_t encoded[SCSI_SENSE_ENCODED_BYTES];
	struct scsi_sense sense;
	uint8_t length;
	uint16_t lun;

	if (command->unit == NULL && scsi_lun_decode(command->lun, &lun) == SCSI_LUN_NUMBER)
		sense = condition_without_unit(command, lun);
	else if (!scsi_unit_attention_take(command->nexus_lun, &sense))
		current_condition(command->unit, &sense);
	length = scsi_sense_encode(&sense, (command->cdb[1] & DESC) != 0, encoded);
	scsi_command_reply(command, encoded, length);
}
