/* SPDX-License-Identifier: Apache-2.0
 *
 * READ CAPACITY(10) and (16), SBC-4 5.20 and 5.21.
 */
#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"

bool sbc_read_capacity_10_decode(struct scsi_command *command)
{
	command->transfer_length = 8; /* there is no allocation length */
	return true;
}

void sbc_read_capacity_10(struct scsi_command *command)
{
	uint64_t last = scsi_unit_blocks(command->unit) - 1;
	uint8_t data[8];

	rt_put_be32(data, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	rt_put_be32(data + 4, command->unit->block_bytes);
	scsi_command_reply(command, data, sizeof(data));
}

void sbc_read_capacity_16(struct scsi_command *command)
{
	enum { LBPME = 0x80, LBPRZ = 0x40 };
	const struct scsi_logical_unit *unit = command->unit;
	uint8_t data[32] = {0};

	rt_put_be64(data, scsi_unit_blocks(command->unit) - 1);
	rt_put_be32(data + 8, unit->block_bytes);
	data[13] = (uint8_t)unit->physical_exponent;
	if (unit->provisions)
		data[14] = LBPME | (unit->unmap_reads_zero ? LBPRZ : 0);
	scsi_command_reply(command, data, sizeof(data));
}
