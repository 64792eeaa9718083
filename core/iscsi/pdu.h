/* SPDX-License-Identifier: Apache-2.0
 *
 * The basic header segment (BHS) of every PDU, RFC 7143 section 11: opcodes, flags and where the fields stand.  Fields
 * are read and written with rt/bytes.h at these offsets and in no other way.
 */
#ifndef TGTKIT_ISCSI_PDU_H
#define TGTKIT_ISCSI_PDU_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/bytes.h"

#define ISCSI_BHS_BYTES	   48u
#define ISCSI_DIGEST_BYTES 4u
#define ISCSI_RESERVED_TAG 0xffffffffu

enum iscsi_initiator_opcode {
	ISCSI_NOP_OUT = 0x00,
	ISCSI_SCSI_COMMAND = 0x01,
	ISCSI_TASK_MANAGEMENT_REQUEST = 0x02,
	ISCSI_LOGIN_REQUEST = 0x03,
	ISCSI_TEXT_REQUEST = 0x04,
	ISCSI_DATA_OUT = 0x05,
	ISCSI_LOGOUT_REQUEST = 0x06,
	ISCSI_SNACK_REQUEST = 0x10,
};

enum iscsi_target_opcode {
	ISCSI_NOP_IN = 0x20,
	ISCSI_SCSI_RESPONSE = 0x21,
	ISCSI_TASK_MANAGEMENT_RESPONSE = 0x22,
	ISCSI_LOGIN_RESPONSE = 0x23,
	ISCSI_TEXT_RESPONSE = 0x24,
	ISCSI_DATA_IN = 0x25,
	ISCSI_LOGOUT_RESPONSE = 0x26,
	ISCSI_R2T = 0x31,
	ISCSI_ASYNC_MESSAGE = 0x32,
	ISCSI_REJECT = 0x3f,
};

/* Byte 0. */
#define ISCSI_IMMEDIATE	  0x40u
#define ISCSI_OPCODE_MASK 0x3fu

/* Byte 1. */
#define ISCSI_FINAL		 0x80u /* most PDUs */
#define ISCSI_TRANSIT		 0x80u /* Login */
#define ISCSI_CONTINUE		 0x40u /* Login, Text */
#define ISCSI_COMMAND_READ	 0x40u /* SCSI Command */
#define ISCSI_COMMAND_WRITE	 0x20u /* SCSI Command */
#define ISCSI_ATTRIBUTE_MASK	 0x07u /* SCSI Command */
#define ISCSI_DATA_IN_STATUS	 0x01u
#define ISCSI_RESIDUAL_OVERFLOW	 0x04u
#define ISCSI_RESIDUAL_UNDERFLOW 0x02u

/* Offsets of fields. */
enum {
	ISCSI_AT_FLAGS = 1,
	ISCSI_AT_RESPONSE = 2, /* SCSI, TMF, Logout response; Reject reason */
	ISCSI_AT_STATUS = 3,
	ISCSI_AT_TOTAL_AHS_LENGTH = 4, /* four-byte words */
	ISCSI_AT_DATA_SEGMENT_LENGTH = 5,
	ISCSI_AT_LUN = 8,
	ISCSI_AT_INITIATOR_TASK_TAG = 16,
	ISCSI_AT_TARGET_TRANSFER_TAG = 20,
	ISCSI_AT_CMD_SN = 24,	   /* from the initiator */
	ISCSI_AT_EXP_STAT_SN = 28, /* from the initiator */
	ISCSI_AT_STAT_SN = 24,	   /* from the target */
	ISCSI_AT_EXP_CMD_SN = 28,  /* from the target */
	ISCSI_AT_MAX_CMD_SN = 32,  /* from the target */
	ISCSI_AT_EXPECTED_DATA_TRANSFER_LENGTH = 20,
	ISCSI_AT_CDB = 32,
	ISCSI_AT_DATA_SN = 36,
	ISCSI_AT_BUFFER_OFFSET = 40,
	ISCSI_AT_EXP_DATA_SN = 36, /* SCSI Response */
	ISCSI_AT_RESIDUAL_COUNT = 44,
	ISCSI_AT_R2T_SN = 36,
	ISCSI_AT_DESIRED_DATA_TRANSFER_LENGTH = 44,
	ISCSI_AT_REFERENCED_TASK_TAG = 20,
	ISCSI_AT_REF_CMD_SN = 32,
	ISCSI_AT_ADDITIONAL_RESPONSE_INFORMATION = 8, /* three bytes, RFC 7144 */
	/* Login */
	ISCSI_AT_VERSION_MAX = 2,
	ISCSI_AT_VERSION_ACTIVE = 3, /* version-min in a request */
	ISCSI_AT_ISID = 8,	     /* six bytes */
	ISCSI_AT_TSIH = 14,
	ISCSI_AT_CID = 20,
	ISCSI_AT_STATUS_CLASS = 36,
	ISCSI_AT_STATUS_DETAIL = 37,
	/* Async */
	ISCSI_AT_ASYNC_EVENT = 36,
	ISCSI_AT_ASYNC_PARAMETER1 = 38,
	ISCSI_AT_ASYNC_PARAMETER2 = 40,
	ISCSI_AT_ASYNC_PARAMETER3 = 42,
};

enum iscsi_reject_reason {
	ISCSI_REJECT_DATA_DIGEST_ERROR = 0x02,
	ISCSI_REJECT_SNACK = 0x03,
	ISCSI_REJECT_PROTOCOL_ERROR = 0x04,
	ISCSI_REJECT_COMMAND_NOT_SUPPORTED = 0x05,
	ISCSI_REJECT_TOO_MANY_IMMEDIATE_COMMANDS = 0x06,
	ISCSI_REJECT_TASK_IN_PROGRESS = 0x07,
	ISCSI_REJECT_INVALID_DATA_ACK = 0x08,
	ISCSI_REJECT_INVALID_PDU_FIELD = 0x09,
	ISCSI_REJECT_LONG_OPERATION = 0x0a,
	ISCSI_REJECT_WAITING_FOR_LOGOUT = 0x0c,
};

/* Login status, class << 8 | detail, RFC 7143 11.13.5. */
enum iscsi_login_status {
	ISCSI_LOGIN_SUCCESS = 0x0000,
	ISCSI_LOGIN_INITIATOR_ERROR = 0x0200,
	ISCSI_LOGIN_AUTHENTICATION_FAILED = 0x0201,
	ISCSI_LOGIN_FORBIDDEN = 0x0202,
	ISCSI_LOGIN_NOT_FOUND = 0x0203,
	ISCSI_LOGIN_TARGET_REMOVED = 0x0204,
	ISCSI_LOGIN_UNSUPPORTED_VERSION = 0x0205,
	ISCSI_LOGIN_TOO_MANY_CONNECTIONS = 0x0206,
	ISCSI_LOGIN_MISSING_PARAMETER = 0x0207,
	ISCSI_LOGIN_CANNOT_INCLUDE_IN_SESSION = 0x0208,
	ISCSI_LOGIN_SESSION_TYPE_NOT_SUPPORTED = 0x0209,
	ISCSI_LOGIN_SESSION_DOES_NOT_EXIST = 0x020a,
	ISCSI_LOGIN_INVALID_DURING_LOGIN = 0x020b,
	ISCSI_LOGIN_TARGET_ERROR = 0x0300,
	ISCSI_LOGIN_SERVICE_UNAVAILABLE = 0x0301,
	ISCSI_LOGIN_OUT_OF_RESOURCES = 0x0302,
};

static inline uint8_t iscsi_pdu_opcode(const uint8_t *bhs)
{
	return bhs[0] & ISCSI_OPCODE_MASK;
}

static inline bool iscsi_pdu_is_immediate(const uint8_t *bhs)
{
	return (bhs[0] & ISCSI_IMMEDIATE) != 0;
}

static inline uint32_t iscsi_pdu_ahs_bytes(const uint8_t *bhs)
{
	return bhs[ISCSI_AT_TOTAL_AHS_LENGTH] * 4u;
}

static inline uint32_t iscsi_pdu_data_bytes(const uint8_t *bhs)
{
	return rt_get_be24(bhs + ISCSI_AT_DATA_SEGMENT_LENGTH);
}

static inline uint32_t iscsi_padding(uint32_t length)
{
	return -length & 3u;
}

#endif
