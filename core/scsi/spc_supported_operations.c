/* SPDX-License-Identifier: Apache-2.0
 *
 * REPORT SUPPORTED OPERATION CODES, SPC-5 6.35: the table, told.
 */
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"

enum reporting_options {
	REPORT_ALL = 0,
	REPORT_CODE = 1,
	REPORT_CODE_AND_SERVICE_ACTION = 2,
	REPORT_EITHER = 3,
};
enum { RCTD = 0x80, OPTIONS = 0x07, TIMEOUTS_BYTES = 12 };
enum { SUPPORT_NONE = 1, SUPPORT_STANDARD = 3, CTDP_ONE = 0x80, CTDP_ALL = 0x02, SERVACTV = 0x01 };

static uint16_t requested_service_action(const struct scsi_command *command)
{
	return rt_get_be16(command->cdb + 4);
}

bool spc_supported_operations_decode(struct scsi_command *command)
{
	uint8_t options = command->cdb[2] & OPTIONS, code = command->cdb[3];
	bool service_actions =
	    scsi_operations_has_service_actions(code) && scsi_operations_code_offered(code, command->unit);
	bool known = scsi_operations_code_offered(code, command->unit);

	if (options > REPORT_EITHER)
		return scsi_sense_invalid_cdb_field(command, 2, 2);
	if (options == REPORT_CODE && service_actions)
		return scsi_sense_invalid_cdb_field(command, 2, 2);
	if (options == REPORT_CODE_AND_SERVICE_ACTION && known && !service_actions)
		return scsi_sense_invalid_cdb_field(command, 2, 2);
	return true;
}

/* No timeouts are stated: both fields zero. */
static size_t put_timeouts(uint8_t *at)
{
	memset(at, 0, TIMEOUTS_BYTES);
	rt_put_be16(at, TIMEOUTS_BYTES - 2);
	return TIMEOUTS_BYTES;
}

static void report_all(struct scsi_command *command, bool with_timeouts)
{
	uint8_t header[4];
	size_t length = 4;

	for (size_t i = 0; i < scsi_operations_count(); i++) {
		const struct scsi_operation *row = scsi_operations_get(i);
		uint8_t descriptor[8 + TIMEOUTS_BYTES] = {0};
		size_t size = 8;

		if (!scsi_operation_offered(row, command->unit))
			continue;
		descriptor[0] = row->code;
		rt_put_be16(descriptor + 2, row->service_action);
		descriptor[5] = row->flags & SCSI_OP_SERVICE_ACTION ? SERVACTV : 0;
		rt_put_be16(descriptor + 6, row->cdb_bytes);
		if (with_timeouts) {
			descriptor[5] |= CTDP_ALL;
			size += put_timeouts(descriptor + 8);
		}
		scsi_command_reply_at(command, length, descriptor, size);
		length += size;
	}
	rt_put_be32(header, (uint32_t)(length - 4));
	scsi_command_reply_at(command, 0, header, sizeof(header));
	scsi_command_good(command);
}

static const struct scsi_operation *requested_row(const struct scsi_command *command)
{
	uint8_t cdb[16] = {command->cdb[3]};
	bool service_actions = scsi_operations_has_service_actions(cdb[0]);
	uint16_t service_action = requested_service_action(command);
	const struct scsi_operation *row;

	/* SPC-5: option 3 of a code without service actions asks for service action 0. */
	if (service_action > 0x1f ||
	    (!service_actions && (command->cdb[2] & OPTIONS) == REPORT_EITHER && service_action != 0))
		return NULL;
	cdb[1] = (uint8_t)service_action;
	row = scsi_operations_find(cdb);
	return row != NULL && scsi_operation_offered(row, command->unit) ? row : NULL;
}

static void report_one(struct scsi_command *command, const struct scsi_operation *row, bool with_timeouts)
{
	uint8_t data[4 + 16 + TIMEOUTS_BYTES] = {0};
	size_t length = 4;

	data[1] = SUPPORT_NONE;
	if (row != NULL) {
		data[1] = SUPPORT_STANDARD;
		rt_put_be16(data + 2, row->cdb_bytes);
		memcpy(data + 4, row->usage, row->cdb_bytes);
		data[4] = row->code;
		if (row->flags & SCSI_OP_SERVICE_ACTION)
			data[5] |= row->service_action;
		length += row->cdb_bytes;
		if (with_timeouts) {
			data[1] |= CTDP_ONE;
			length += put_timeouts(data + length);
		}
	}
	scsi_command_reply(command, data, length);
}

void spc_supported_operations(struct scsi_command *command)
{
	bool with_timeouts = (command->cdb[2] & RCTD) != 0;

	if ((command->cdb[2] & OPTIONS) == REPORT_ALL)
		report_all(command, with_timeouts);
	else
		report_one(command, requested_row(command), with_timeouts);
}
