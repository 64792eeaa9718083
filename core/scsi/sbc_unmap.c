/* SPDX-License-Identifier: Apache-2.0
 *
 * UNMAP, SBC-4 5.32: descriptor by descriptor.
 */
#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/validate.h"
#include "scsi/vpd.h"

enum { HEADER_BYTES = 8, DESCRIPTOR_BYTES = 16 };

bool sbc_unmap_offered(const struct scsi_logical_unit *unit)
{
	return unit->provisions;
}

bool sbc_unmap_decode(struct scsi_command *command)
{
	if (command->transfer_length != 0 && command->transfer_length < HEADER_BYTES)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	return true;
}

struct unmap_descriptor {
	uint64_t lba;
	uint32_t blocks;
};

static struct unmap_descriptor read_descriptor(const struct scsi_command *command, uint64_t index)
{
	uint8_t bytes[DESCRIPTOR_BYTES];

	rt_segments_read(command->data_out.segments, command->data_out.segment_count,
			 HEADER_BYTES + index * DESCRIPTOR_BYTES, bytes, sizeof(bytes));
	return (struct unmap_descriptor){.lba = rt_get_be64(bytes), .blocks = rt_get_be32(bytes + 8)};
}

/* All of the list is checked before any of it is done. */
static bool check_list(struct scsi_command *command)
{
	uint8_t header[HEADER_BYTES];
	uint64_t total = 0;
	uint32_t length;

	if (command->data_out_length != command->transfer_length)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	command->blocks = 0;
	if (command->data_out_length == 0)
		return true;
	rt_segments_read(command->data_out.segments, command->data_out.segment_count, 0, header, sizeof(header));
	length = rt_get_be16(header + 2);
	if (length > command->data_out_length - HEADER_BYTES || length % DESCRIPTOR_BYTES != 0)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	command->blocks = length / DESCRIPTOR_BYTES; /* from here on: descriptors */
	if (command->blocks > SCSI_MAXIMUM_UNMAP_DESCRIPTORS)
		return scsi_sense_invalid_parameter(command, 2, 7);
	for (uint64_t i = 0; i < command->blocks; i++) {
		struct unmap_descriptor descriptor = read_descriptor(command, i);

		if (!scsi_validate_range(command, descriptor.lba, descriptor.blocks))
			return false;
		total += descriptor.blocks;
		if (total > SCSI_MAXIMUM_UNMAP_BLOCKS)
			return scsi_sense_invalid_parameter(command, HEADER_BYTES + (unsigned)i * DESCRIPTOR_BYTES + 8,
							    7);
	}
	return true;
}

static void unmap_next(struct scsi_command *command)
{
	while (command->progress < command->blocks) {
		struct unmap_descriptor descriptor = read_descriptor(command, command->progress++);

		if (descriptor.blocks == 0)
			continue;
		command->lba = descriptor.lba;
		scsi_command_submit_range(command, TGTKIT_DISCARD,
					  scsi_mode_write_cache(command->unit) ? 0 : TGTKIT_REQUEST_FUA, descriptor.lba,
					  descriptor.blocks, unmap_next);
		return;
	}
	scsi_command_good(command);
}

void sbc_unmap(struct scsi_command *command)
{
	if (check_list(command))
		unmap_next(command);
	else
		scsi_command_finish(command);
}
