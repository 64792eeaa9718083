/* SPDX-License-Identifier: Apache-2.0
 *
 * Status and sense data of a command, SPC-5 4.4: fixed or descriptor format as D_SENSE says.
 */
#ifndef TGTKIT_SCSI_SENSE_H
#define TGTKIT_SCSI_SENSE_H

#include <stdbool.h>
#include <stdint.h>

struct scsi_command;

enum scsi_sense_key {
	SCSI_KEY_NO_SENSE = 0x0,
	SCSI_KEY_NOT_READY = 0x2,
	SCSI_KEY_MEDIUM_ERROR = 0x3,
	SCSI_KEY_HARDWARE_ERROR = 0x4,
	SCSI_KEY_ILLEGAL_REQUEST = 0x5,
	SCSI_KEY_UNIT_ATTENTION = 0x6,
	SCSI_KEY_DATA_PROTECT = 0x7,
	SCSI_KEY_COPY_ABORTED = 0xa,
	SCSI_KEY_ABORTED_COMMAND = 0xb,
	SCSI_KEY_MISCOMPARE = 0xe,
};

/* Additional sense code in the high byte, its qualifier in the low one. */
enum scsi_additional_sense {
	SCSI_ASC_NONE = 0x0000,
	SCSI_ASC_NOT_READY_BECOMING_READY = 0x0401,
	SCSI_ASC_NOT_READY_INITIALIZING_COMMAND_REQUIRED = 0x0402,
	SCSI_ASC_NOT_READY_TARGET_PORT_TRANSITION = 0x040a,
	SCSI_ASC_NOT_READY_TARGET_PORT_STANDBY = 0x040b,
	SCSI_ASC_NOT_READY_TARGET_PORT_UNAVAILABLE = 0x040c,
	SCSI_ASC_SET_TARGET_PORT_GROUPS_FAILED = 0x670a,
	SCSI_ASC_NOT_READY_OFFLINE = 0x0412,
	SCSI_ASC_NOT_READY_SANITIZE = 0x041b,
	SCSI_ASC_LOGICAL_UNIT_COMMUNICATION_TIME_OUT = 0x0801,
	SCSI_ASC_WRITE_ERROR = 0x0c00,
	SCSI_ASC_COPY_TARGET_NOT_REACHABLE = 0x0d02,
	SCSI_ASC_COPY_TARGET_INCORRECT_TYPE = 0x0d03,
	SCSI_ASC_UNRECOVERED_READ_ERROR = 0x1100,
	SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR = 0x1a00,
	SCSI_ASC_MISCOMPARE_DURING_VERIFY = 0x1d00,
	SCSI_ASC_INVALID_COMMAND_OPERATION_CODE = 0x2000,
	SCSI_ASC_LBA_OUT_OF_RANGE = 0x2100,
	SCSI_ASC_INVALID_FIELD_IN_CDB = 0x2400,
	SCSI_ASC_LOGICAL_UNIT_NOT_SUPPORTED = 0x2500,
	SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST = 0x2600,
	SCSI_ASC_INVALID_RELEASE_OF_PERSISTENT_RESERVATION = 0x2604,
	SCSI_ASC_TOO_MANY_TARGET_DESCRIPTORS = 0x2606,
	SCSI_ASC_UNSUPPORTED_TARGET_DESCRIPTOR = 0x2607,
	SCSI_ASC_TOO_MANY_SEGMENT_DESCRIPTORS = 0x2608,
	SCSI_ASC_UNSUPPORTED_SEGMENT_DESCRIPTOR = 0x2609,
	SCSI_ASC_WRITE_PROTECTED = 0x2700,
	SCSI_ASC_SOFTWARE_WRITE_PROTECTED = 0x2702,
	SCSI_ASC_SPACE_ALLOCATION_FAILED = 0x2707,
	SCSI_ASC_COMMAND_SEQUENCE_ERROR = 0x2c00,
	SCSI_ASC_SANITIZE_FAILED = 0x3103,
	SCSI_ASC_SAVING_PARAMETERS_NOT_SUPPORTED = 0x3900,
	SCSI_ASC_MEDIUM_NOT_PRESENT = 0x3a00,
	SCSI_ASC_REPORTED_LUNS_DATA_HAS_CHANGED = 0x3f0e,
	SCSI_ASC_INTERNAL_TARGET_FAILURE = 0x4400,
	SCSI_ASC_INVALID_MESSAGE_ERROR = 0x4900,
	SCSI_ASC_MEDIUM_REMOVAL_PREVENTED = 0x5302,
	SCSI_ASC_INSUFFICIENT_RESOURCES = 0x5503,
	SCSI_ASC_INSUFFICIENT_REGISTRATION_RESOURCES = 0x5504,
};

#define SCSI_NO_BIT 0xffu

/* What sense data says beyond key and code; zeroed means nothing. */
struct scsi_sense {
	uint8_t key;  /* enum scsi_sense_key */
	uint16_t asc; /* enum scsi_additional_sense, or any code and qualifier */
	bool has_information, has_field, field_in_parameters, has_progress;
	uint64_t information;
	uint16_t field_byte;
	uint8_t field_bit; /* the highest of the field, or SCSI_NO_BIT */
	uint16_t progress; /* of 65536 */
};

#define SCSI_SENSE_ENCODED_BYTES 64u

/* Returns the bytes written. */
uint8_t scsi_sense_encode(const struct scsi_sense *sense, bool descriptor_format,
			  uint8_t out[static SCSI_SENSE_ENCODED_BYTES]);

/* Each sets CHECK CONDITION and the sense data of the command, and returns false, so that a check can end with it. */
bool scsi_sense_set(struct scsi_command *command, const struct scsi_sense *sense);
bool scsi_sense_fail(struct scsi_command *command, enum scsi_sense_key key, uint16_t asc);
bool scsi_sense_fail_at(struct scsi_command *command, enum scsi_sense_key key, uint16_t asc, uint64_t information);
bool scsi_sense_invalid_cdb_field(struct scsi_command *command, unsigned byte, unsigned bit);
bool scsi_sense_invalid_parameter(struct scsi_command *command, unsigned byte, unsigned bit);
/* By the table of what the store's errors mean to an initiator. */
bool scsi_sense_from_errno(struct scsi_command *command, int status, bool writing);

#endif
