/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/validate.h"

#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"

enum { PROTECTION_BITS = 0xe0, BLOCKS_OF_LENGTH_0 = 256 };

/* The first byte that has bits beyond the row's; the highest of these is the field's, as far as one can tell. */
static bool refuse_bits(struct scsi_command *command)
{
	uint8_t rejected[16];

	memcpy(rejected, command->operation->rejected, sizeof(rejected));
	for (unsigned i = 1; i < command->operation->cdb_bytes; i++) {
		unsigned wrong = command->cdb[i] & rejected[i];

		if (wrong != 0)
			return scsi_sense_invalid_cdb_field(command, i, 31u - (unsigned)__builtin_clz(wrong));
	}
	return true;
}

static bool has_rejected_bits(const struct scsi_command *command)
{
	uint64_t cdb[2];

	memcpy(cdb, command->cdb, sizeof(cdb));
	return ((cdb[0] & command->operation->rejected[0]) | (cdb[1] & command->operation->rejected[1])) != 0;
}

static uint64_t read_field(const uint8_t *cdb, unsigned at, unsigned bytes)
{
	switch (bytes) {
	case 1:
		return cdb[at];
	case 2:
		return rt_get_be16(cdb + at);
	case 3:
		return rt_get_be24(cdb + at);
	case 4:
		return rt_get_be32(cdb + at);
	default:
		return rt_get_be64(cdb + at);
	}
}

/* SBC-4 writes LBA OUT OF RANGE with the first block that is not there. */
bool scsi_validate_range(struct scsi_command *command, uint64_t lba, uint64_t blocks)
{
	uint64_t capacity = scsi_unit_blocks(command->unit);

	if (__builtin_expect(lba <= capacity && blocks <= capacity - lba, 1))
		return true;
	return scsi_sense_fail_at(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_LBA_OUT_OF_RANGE,
				  lba > capacity ? lba : capacity);
}

static bool decode_lba(struct scsi_command *command)
{
	const struct scsi_operation *operation = command->operation;

	command->lba = read_field(command->cdb, operation->lba_at, operation->lba_bytes);
	if (operation->lba_bytes == 3)
		command->lba &= 0x1fffff; /* READ(6) and WRITE(6): the upper three bits belong to byte 1 */
	return scsi_validate_range(command, command->lba, command->blocks);
}

static bool decode_blocks(struct scsi_command *command, uint64_t length)
{
	const struct scsi_operation *operation = command->operation;
	uint64_t bytes;

	if (length == 0 && (operation->flags & SCSI_OP_LENGTH_0_IS_256) != 0)
		length = BLOCKS_OF_LENGTH_0;
	command->blocks = length;
	if (operation->length_unit != SCSI_LENGTH_BLOCKS)
		return true;
	bytes = length << command->unit->block_shift;
	if (__builtin_expect(bytes > command->unit->maximum_transfer_bytes, 0))
		return scsi_sense_invalid_cdb_field(command, operation->length_at, 7);
	command->transfer_length = (uint32_t)bytes;
	return true;
}

static bool decode_length(struct scsi_command *command)
{
	const struct scsi_operation *operation = command->operation;
	uint64_t length = read_field(command->cdb, operation->length_at, operation->length_bytes);

	switch (operation->length_unit) {
	case SCSI_LENGTH_ALLOCATION:
		command->transfer_length = (uint32_t)length;
		return true;
	case SCSI_LENGTH_PARAMETERS:
		if (length > command->unit->maximum_transfer_bytes)
			return scsi_sense_invalid_cdb_field(command, operation->length_at, 7);
		command->transfer_length = (uint32_t)length;
		return true;
	default:
		return decode_blocks(command, length);
	}
}

bool scsi_validate_cdb(struct scsi_command *command)
{
	const struct scsi_operation *operation = command->operation;

	if (__builtin_expect(has_rejected_bits(command), 0) && !refuse_bits(command))
		return false;
	command->direction = operation->direction;
	command->transfer_length = 0;
	if (operation->length_unit != SCSI_LENGTH_NONE && !decode_length(command))
		return false;
	if (operation->lba_bytes != 0 && !decode_lba(command))
		return false;
	return operation->decode == NULL || operation->decode(command);
}
