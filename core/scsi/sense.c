/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/sense.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "rt/bytes.h"
#include "rt/log.h"
#include "scsi/command.h"
#include "scsi/unit.h"

_Static_assert(SCSI_SENSE_ENCODED_BYTES == SCSI_SENSE_BYTES, "sense data of a command");

enum { FIXED_CURRENT = 0x70, DESCRIPTOR_CURRENT = 0x72, FIXED_BYTES = 18, INFORMATION_VALID = 0x80 };
enum { DESCRIPTOR_INFORMATION = 0x00, DESCRIPTOR_SENSE_KEY_SPECIFIC = 0x02 };
enum { SKSV = 0x80, SKS_IN_CDB = 0x40, SKS_BIT_VALID = 0x08 };

/* Sense key specific, SPC-5 4.4.2.4: a field pointer or a progress indication. */
static bool encode_key_specific(const struct scsi_sense *sense, uint8_t out[static 3])
{
	if (sense->has_field) {
		out[0] = SKSV;
		if (!sense->field_in_parameters)
			out[0] |= SKS_IN_CDB;
		if (sense->field_bit != SCSI_NO_BIT)
			out[0] |= SKS_BIT_VALID | (sense->field_bit & 7);
		rt_put_be16(out + 1, sense->field_byte);
		return true;
	}
	if (sense->has_progress) {
		out[0] = SKSV;
		rt_put_be16(out + 1, sense->progress);
		return true;
	}
	return false;
}

static uint8_t encode_fixed(const struct scsi_sense *sense, uint8_t *out)
{
	out[0] = FIXED_CURRENT;
	out[2] = sense->key;
	if (sense->has_information && sense->information <= UINT32_MAX) {
		out[0] |= INFORMATION_VALID;
		rt_put_be32(out + 3, (uint32_t)sense->information);
	}
	out[7] = FIXED_BYTES - 8;
	rt_put_be16(out + 12, sense->asc);
	encode_key_specific(sense, out + 15);
	return FIXED_BYTES;
}

static uint8_t encode_descriptors(const struct scsi_sense *sense, uint8_t *out)
{
	uint8_t length = 8;

	out[0] = DESCRIPTOR_CURRENT;
	out[1] = sense->key;
	rt_put_be16(out + 2, sense->asc);
	if (sense->has_information) {
		out[length] = DESCRIPTOR_INFORMATION;
		out[length + 1] = 10;
		out[length + 2] = INFORMATION_VALID;
		rt_put_be64(out + length + 4, sense->information);
		length += 12;
	}
	if (encode_key_specific(sense, out + length + 4)) {
		out[length] = DESCRIPTOR_SENSE_KEY_SPECIFIC;
		out[length + 1] = 6;
		length += 8;
	}
	out[7] = length - 8;
	return length;
}

uint8_t scsi_sense_encode(const struct scsi_sense *sense, bool descriptor_format,
			  uint8_t out[static SCSI_SENSE_ENCODED_BYTES])
{
	memset(out, 0, SCSI_SENSE_ENCODED_BYTES);
	return descriptor_format ? encode_descriptors(sense, out) : encode_fixed(sense, out);
}

bool scsi_sense_set(struct scsi_command *command, const struct scsi_sense *sense)
{
	bool descriptor_format = command->unit != NULL && scsi_mode_descriptor_sense(command->unit);

	command->status = SCSI_CHECK_CONDITION;
	command->data_in_length = 0;
	scsi_figures_failed(command, sense->key);
	command->sense_length = scsi_sense_encode(sense, descriptor_format, command->sense);
	return false;
}

bool scsi_sense_fail(struct scsi_command *command, enum scsi_sense_key key, uint16_t asc)
{
	return scsi_sense_set(command, &(struct scsi_sense){.key = key, .asc = asc});
}

bool scsi_sense_fail_at(struct scsi_command *command, enum scsi_sense_key key, uint16_t asc, uint64_t information)
{
	return scsi_sense_set(command, &(struct scsi_sense){
					   .key = key,
					   .asc = asc,
					   .has_information = true,
					   .information = information,
				       });
}

bool scsi_sense_invalid_cdb_field(struct scsi_command *command, unsigned byte, unsigned bit)
{
	return scsi_sense_set(command, &(struct scsi_sense){
					   .key = SCSI_KEY_ILLEGAL_REQUEST,
					   .asc = SCSI_ASC_INVALID_FIELD_IN_CDB,
					   .has_field = true,
					   .field_byte = (uint16_t)byte,
					   .field_bit = (uint8_t)bit,
				       });
}

bool scsi_sense_invalid_parameter(struct scsi_command *command, unsigned byte, unsigned bit)
{
	return scsi_sense_set(command, &(struct scsi_sense){
					   .key = SCSI_KEY_ILLEGAL_REQUEST,
					   .asc = SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST,
					   .has_field = true,
					   .field_in_parameters = true,
					   .field_byte = (uint16_t)byte,
					   .field_bit = (uint8_t)bit,
				       });
}

enum { EITHER, READING, WRITING };

struct error_meaning {
	int error;
	uint8_t when;
	uint8_t key;
	uint16_t asc;
	bool at_lba;
};

/* Multipath lives with this: what another path may cure is ABORTED COMMAND or NOT READY, what it cannot is not. */
static const struct error_meaning error_meanings[] = {
    {ETIMEDOUT, EITHER, SCSI_KEY_ABORTED_COMMAND, SCSI_ASC_LOGICAL_UNIT_COMMUNICATION_TIME_OUT, false},
    {ECONNRESET, EITHER, SCSI_KEY_ABORTED_COMMAND, SCSI_ASC_LOGICAL_UNIT_COMMUNICATION_TIME_OUT, false},
    {EPIPE, EITHER, SCSI_KEY_ABORTED_COMMAND, SCSI_ASC_LOGICAL_UNIT_COMMUNICATION_TIME_OUT, false},
    {ENOTCONN, EITHER, SCSI_KEY_ABORTED_COMMAND, SCSI_ASC_LOGICAL_UNIT_COMMUNICATION_TIME_OUT, false},
    {EHOSTUNREACH, EITHER, SCSI_KEY_ABORTED_COMMAND, SCSI_ASC_LOGICAL_UNIT_COMMUNICATION_TIME_OUT, false},
    {ECANCELED, EITHER, SCSI_KEY_ABORTED_COMMAND, SCSI_ASC_LOGICAL_UNIT_COMMUNICATION_TIME_OUT, false},
    {ESHUTDOWN, EITHER, SCSI_KEY_NOT_READY, SCSI_ASC_NOT_READY_TARGET_PORT_UNAVAILABLE, false},
    {EIO, READING, SCSI_KEY_MEDIUM_ERROR, SCSI_ASC_UNRECOVERED_READ_ERROR, true},
    {EIO, WRITING, SCSI_KEY_MEDIUM_ERROR, SCSI_ASC_WRITE_ERROR, true},
    {ENOSPC, EITHER, SCSI_KEY_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION_FAILED, false},
    {EDQUOT, EITHER, SCSI_KEY_DATA_PROTECT, SCSI_ASC_SPACE_ALLOCATION_FAILED, false},
    {EROFS, EITHER, SCSI_KEY_DATA_PROTECT, SCSI_ASC_WRITE_PROTECTED, false},
};

bool scsi_sense_from_errno(struct scsi_command *command, int status, bool writing)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);

	rt_log_limited_about(&limit, RT_ABOUT(.unit = command->unit->name), RT_LOG_WARNING,
			     "%s: %s at block %llu failed: %s", command->unit->name, writing ? "write" : "read",
			     (unsigned long long)command->lba, strerror(-status));
	/* The store had no room for it while it waited: again later, on the same path. */
	if (status == -EAGAIN) {
		command->status = SCSI_TASK_SET_FULL;
		return false;
	}
	for (size_t i = 0; i < sizeof(error_meanings) / sizeof(error_meanings[0]); i++) {
		const struct error_meaning *meaning = &error_meanings[i];

		if (meaning->error != -status || (meaning->when != EITHER && (meaning->when == WRITING) != writing))
			continue;
		if (meaning->at_lba)
			return scsi_sense_fail_at(command, meaning->key, meaning->asc, command->lba);
		return scsi_sense_fail(command, meaning->key, meaning->asc);
	}
	return scsi_sense_fail(command, SCSI_KEY_HARDWARE_ERROR, SCSI_ASC_INTERNAL_TARGET_FAILURE);
}
