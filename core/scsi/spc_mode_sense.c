/* SPDX-License-Identifier: Apache-2.0
 *
 * MODE SENSE(6) and (10), SPC-5 6.14 and 6.15.
 */
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/mode_pages.h"

enum { MODE_SENSE_6 = 0x1a, DBD = 0x08, LLBAA = 0x10 };
enum { ALL_PAGES = 0x3f, ALL_SUBPAGES = 0xff };
enum { WRITE_PROTECTED = 0x80, DPOFUA = 0x10 };

bool spc_mode_sense_decode(struct scsi_command *command)
{
	uint8_t code = command->cdb[2] & 0x3f, subpage = command->cdb[3];

	if (command->cdb[2] >> 6 == SCSI_PAGE_SAVED)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_SAVING_PARAMETERS_NOT_SUPPORTED);
	if (code != ALL_PAGES && scsi_mode_page_find(code) == NULL)
		return scsi_sense_invalid_cdb_field(command, 2, 5);
	if (subpage != 0 && subpage != ALL_SUBPAGES)
		return scsi_sense_invalid_cdb_field(command, 3, 7);
	return true;
}

static size_t put_block_descriptor(struct scsi_logical_unit *unit, bool is_long, uint8_t *at)
{
	uint64_t blocks = scsi_unit_blocks(unit);

	if (is_long) {
		rt_put_be64(at, blocks);
		rt_put_be32(at + 12, unit->block_bytes);
		return 16;
	}
	rt_put_be32(at, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	rt_put_be24(at + 5, unit->block_bytes);
	return 8;
}

static size_t put_pages(struct scsi_command *command, uint8_t *at)
{
	uint8_t code = command->cdb[2] & 0x3f;
	size_t length = 0;

	for (size_t i = 0; i < scsi_mode_page_count; i++) {
		uint8_t page[SCSI_MODE_PAGE_ROOM];

		if (code != ALL_PAGES && code != scsi_mode_pages[i].code)
			continue;
		scsi_mode_page_build(&scsi_mode_pages[i], command->unit, command->cdb[2] >> 6, page);
		memcpy(at + length, page, scsi_mode_pages[i].length);
		length += scsi_mode_pages[i].length;
	}
	return length;
}

static uint8_t device_specific_parameter(const struct scsi_command *command)
{
	bool read_only = (command->nexus_lun->refusals & SCSI_REFUSE_READ_ONLY) != 0 ||
			 (scsi_unit_access(command->unit) & (SCSI_ACCESS_READ_ONLY | SCSI_ACCESS_WRITE_PROTECTED)) != 0;

	return DPOFUA | (read_only ? WRITE_PROTECTED : 0);
}

void spc_mode_sense(struct scsi_command *command)
{
	uint8_t data[256] = {0};
	bool is_6 = command->cdb[0] == MODE_SENSE_6, is_long = !is_6 && (command->cdb[1] & LLBAA) != 0;
	size_t header = is_6 ? 4 : 8, descriptor = 0, length;

	if (!(command->cdb[1] & DBD))
		descriptor = put_block_descriptor(command->unit, is_long, data + header);
	length = header + descriptor + put_pages(command, data + header + descriptor);
	if (is_6) {
		data[0] = (uint8_t)(length - 1);
		data[2] = device_specific_parameter(command);
		data[3] = (uint8_t)descriptor;
	} else {
		rt_put_be16(data, (uint16_t)(length - 2));
		data[3] = device_specific_parameter(command);
		data[4] = is_long;
		rt_put_be16(data + 6, (uint16_t)descriptor);
	}
	scsi_command_reply(command, data, length);
}
