/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/operations.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "scsi/command.h"
#include "scsi/handlers.h"
#include "scsi/unit.h"

/* Fields of CDBs, for the rows: where the LBA and the length stand. */
#define LBA(at, bytes)	  .lba_at = (at), .lba_bytes = (bytes)
#define BLOCKS(at, bytes) .length_at = (at), .length_bytes = (bytes), .length_unit = SCSI_LENGTH_BLOCKS
#define RANGE(at, bytes)  .length_at = (at), .length_bytes = (bytes), .length_unit = SCSI_LENGTH_RANGE
#define ALLOCATION(at, bytes)                                                                                          \
	.direction = SCSI_DATA_IN, .length_at = (at), .length_bytes = (bytes), .length_unit = SCSI_LENGTH_ALLOCATION
#define PARAMETERS(at, bytes)                                                                                          \
	.direction = SCSI_DATA_OUT, .length_at = (at), .length_bytes = (bytes), .length_unit = SCSI_LENGTH_PARAMETERS

#define FF2 0xff, 0xff
#define FF4 FF2, FF2
#define FF8 FF4, FF4

enum { DPO = 0x10, FUA = 0x08, FUA_NV = 0x02, SYNC_NV = 0x04, IMMED = 0x02, BYTCHK = 0x06, GROUP = 0x1f };

/* SPC-5 6.15 and 6.16: one service action is like another, as far as the CDB goes. */
#define PERSISTENT_RESERVE_IN(title, action)                                                                           \
	{                                                                                                              \
		.name = (title), .code = 0x5e, .service_action = (action), .cdb_bytes = 10, ALLOCATION(7, 2),          \
		.access = SCSI_CLASS_QUERY, .flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_IN_STANDBY,                      \
		.usage = {0, 0, 0, 0, 0, 0, 0, FF2, 0}, .reply_bytes = UINT16_MAX,                                     \
		.offered = spc_persistent_reservations_offered, .execute = spc_persistent_reserve_in,                  \
	}
#define PERSISTENT_RESERVE_OUT(title, action)                                                                          \
	{                                                                                                              \
		.name = (title), .code = 0x5f, .service_action = (action), .cdb_bytes = 10, PARAMETERS(5, 4),          \
		.access = SCSI_CLASS_QUERY, .flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_IN_STANDBY | SCSI_OP_CONFIGURES, \
		.usage = {0, 0, 0xff, 0, 0, FF4, 0}, .decode = spc_persistent_reserve_out_decode,                      \
		.offered = spc_persistent_reservations_offered, .execute = spc_persistent_reserve_out,                 \
	}

enum {
	SANITIZE_FLAGS =
	    SCSI_OP_SERVICE_ACTION | SCSI_OP_STRICT_BYTE_1 | SCSI_OP_MEDIUM | SCSI_OP_SANITIZES | SCSI_OP_CONFIGURES,
};

static struct scsi_operation table[] = {
    {
	.name = "TEST UNIT READY",
	.code = 0x00,
	.cdb_bytes = 6,
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_MEDIUM,
	.execute = spc_test_unit_ready,
    },
    {
	.name = "REQUEST SENSE",
	.code = 0x03,
	.cdb_bytes = 6,
	ALLOCATION(4, 1),
	.flags = SCSI_OP_WITHOUT_UNIT | SCSI_OP_BEFORE_ATTENTION,
	.usage = {0, 0x01, 0, 0, 0xff, 0},
	.execute = spc_request_sense,
    },
    {
	.name = "READ(6)",
	.code = 0x08,
	.cdb_bytes = 6,
	.direction = SCSI_DATA_IN,
	.access = SCSI_CLASS_READ,
	LBA(1, 3),
	BLOCKS(4, 1),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_LENGTH_0_IS_256,
	.usage = {0, 0x1f, FF2, 0xff, 0},
	.reply_bytes = UINT32_MAX,
	.execute = sbc_read,
    },
    {
	.name = "WRITE(6)",
	.code = 0x0a,
	.cdb_bytes = 6,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(1, 3),
	BLOCKS(4, 1),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_LENGTH_0_IS_256,
	.usage = {0, 0x1f, FF2, 0xff, 0},
	.execute = sbc_write,
    },
    {
	.name = "INQUIRY",
	.code = 0x12,
	.cdb_bytes = 6,
	ALLOCATION(3, 2),
	.flags = SCSI_OP_WITHOUT_UNIT | SCSI_OP_BEFORE_ATTENTION,
	.usage = {0, 0x01, 0xff, FF2, 0},
	.reply_bytes = UINT16_MAX,
	.decode = spc_inquiry_decode,
	.execute = spc_inquiry,
    },
    {
	.name = "MODE SELECT(6)",
	.code = 0x15,
	.cdb_bytes = 6,
	PARAMETERS(4, 1),
	.access = SCSI_CLASS_WRITE,
	.flags = SCSI_OP_IN_STANDBY | SCSI_OP_CONFIGURES,
	.usage = {0, 0x10, 0, 0, 0xff, 0},
	.decode = spc_mode_select_decode,
	.execute = spc_mode_select,
    },
    {
	.name = "RESERVE(6)",
	.code = 0x16,
	.cdb_bytes = 6,
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_CONFIGURES,
	.execute = spc_reserve,
    },
    {
	.name = "RELEASE(6)",
	.code = 0x17,
	.cdb_bytes = 6,
	.flags = SCSI_OP_CONFIGURES,
	.execute = spc_release,
    },
    {
	.name = "MODE SENSE(6)",
	.code = 0x1a,
	.cdb_bytes = 6,
	ALLOCATION(4, 1),
	.access = SCSI_CLASS_READ,
	.flags = SCSI_OP_IN_STANDBY,
	.usage = {0, 0x08, 0xff, 0xff, 0xff, 0},
	.decode = spc_mode_sense_decode,
	.execute = spc_mode_sense,
    },
    {
	.name = "START STOP UNIT",
	.code = 0x1b,
	.cdb_bytes = 6,
	.access = SCSI_CLASS_QUERY,
	.usage = {0, 0x01, 0, 0, 0xf7, 0},
	.decode = sbc_start_stop_decode,
	.execute = sbc_start_stop,
    },
    {
	.name = "SEND DIAGNOSTIC",
	.code = 0x1d,
	.cdb_bytes = 6,
	.access = SCSI_CLASS_WRITE,
	.flags = SCSI_OP_IN_STANDBY | SCSI_OP_MEDIUM,
	.usage = {0, 0x04, 0, 0, 0, 0},
	.work_bytes = spc_send_diagnostic_work_bytes,
	.execute = spc_send_diagnostic,
    },
    {
	.name = "PREVENT ALLOW MEDIUM REMOVAL",
	.code = 0x1e,
	.cdb_bytes = 6,
	.access = SCSI_CLASS_QUERY,
	.usage = {0, 0, 0, 0, 0x01, 0},
	.decode = sbc_prevent_allow_decode,
	.offered = sbc_prevent_allow_offered,
	.execute = sbc_prevent_allow,
    },
    {
	.name = "READ CAPACITY(10)",
	.code = 0x25,
	.cdb_bytes = 10,
	.direction = SCSI_DATA_IN,
	.access = SCSI_CLASS_ALWAYS,
	.flags = SCSI_OP_MEDIUM,
	.execute = sbc_read_capacity_10,
	.decode = sbc_read_capacity_10_decode,
    },
    {
	.name = "READ(10)",
	.code = 0x28,
	.cdb_bytes = 10,
	.direction = SCSI_DATA_IN,
	.access = SCSI_CLASS_READ,
	LBA(2, 4),
	BLOCKS(7, 2),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | FUA, FF4, 0, FF2, 0},
	.also_byte_1 = FUA_NV,
	.reply_bytes = UINT32_MAX,
	.execute = sbc_read,
    },
    {
	.name = "WRITE(10)",
	.code = 0x2a,
	.cdb_bytes = 10,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 4),
	BLOCKS(7, 2),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | FUA, FF4, 0, FF2, 0},
	.also_byte_1 = FUA_NV,
	.execute = sbc_write,
    },
    {
	.name = "WRITE AND VERIFY(10)",
	.code = 0x2e,
	.cdb_bytes = 10,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 4),
	BLOCKS(7, 2),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | BYTCHK, FF4, 0, FF2, 0},
	.decode = sbc_write_and_verify_decode,
	.work_bytes = sbc_verify_work_bytes,
	.execute = sbc_write_and_verify,
    },
    {
	.name = "VERIFY(10)",
	.code = 0x2f,
	.cdb_bytes = 10,
	.access = SCSI_CLASS_READ,
	LBA(2, 4),
	RANGE(7, 2),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | BYTCHK, FF4, 0, FF2, 0},
	.decode = sbc_verify_decode,
	.work_bytes = sbc_verify_work_bytes,
	.execute = sbc_verify,
    },
    {
	.name = "PRE-FETCH(10)",
	.code = 0x34,
	.cdb_bytes = 10,
	.access = SCSI_CLASS_READ,
	LBA(2, 4),
	RANGE(7, 2),
	.flags = SCSI_OP_MEDIUM,
	.usage = {0, IMMED, FF4, GROUP, FF2, 0},
	.execute = sbc_pre_fetch,
    },
    {
	.name = "SYNCHRONIZE CACHE(10)",
	.code = 0x35,
	.cdb_bytes = 10,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 4),
	RANGE(7, 2),
	.flags = SCSI_OP_MEDIUM,
	.usage = {0, IMMED, FF4, 0, FF2, 0},
	.also_byte_1 = SYNC_NV,
	.execute = sbc_synchronize_cache,
    },
    {
	.name = "READ DEFECT DATA(10)",
	.code = 0x37,
	.cdb_bytes = 10,
	ALLOCATION(7, 2),
	.access = SCSI_CLASS_READ,
	.flags = SCSI_OP_MEDIUM,
	.usage = {0, 0, 0x1f, 0, 0, 0, 0, FF2, 0},
	.execute = sbc_read_defect_data_10,
    },
    {
	.name = "WRITE SAME(10)",
	.code = 0x41,
	.cdb_bytes = 10,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 4),
	RANGE(7, 2),
	.flags = SCSI_OP_EXACT_DATA | SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, 0x08, FF4, 0, FF2, 0},
	.decode = sbc_write_same_decode,
	.work_bytes = sbc_write_same_work_bytes,
	.execute = sbc_write_same,
    },
    {
	.name = "UNMAP",
	.code = 0x42,
	.cdb_bytes = 10,
	PARAMETERS(7, 2),
	.access = SCSI_CLASS_WRITE,
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_WHOLE,
	.usage = {0, 0, 0, 0, 0, 0, 0, FF2, 0},
	.decode = sbc_unmap_decode,
	.offered = sbc_unmap_offered,
	.execute = sbc_unmap,
    },
    {
	.name = "SANITIZE, OVERWRITE",
	.code = 0x48,
	.service_action = 0x01,
	.cdb_bytes = 10,
	PARAMETERS(7, 2),
	.access = SCSI_CLASS_WRITE,
	.flags = SANITIZE_FLAGS | SCSI_OP_WRITES,
	.usage = {0, 0xa0, 0, 0, 0, 0, 0, FF2, 0},
	.decode = sbc_sanitize_decode,
	.execute = sbc_sanitize,
    },
    {
	.name = "SANITIZE, BLOCK ERASE",
	.code = 0x48,
	.service_action = 0x02,
	.cdb_bytes = 10,
	PARAMETERS(7, 2),
	.access = SCSI_CLASS_WRITE,
	.flags = SANITIZE_FLAGS | SCSI_OP_WRITES,
	.usage = {0, 0xa0, 0, 0, 0, 0, 0, FF2, 0},
	.decode = sbc_sanitize_decode,
	.offered = sbc_sanitize_erase_offered,
	.execute = sbc_sanitize,
    },
    {
	.name = "SANITIZE, EXIT FAILURE MODE",
	.code = 0x48,
	.service_action = 0x1f,
	.cdb_bytes = 10,
	PARAMETERS(7, 2),
	.access = SCSI_CLASS_WRITE,
	.flags = SANITIZE_FLAGS,
	.usage = {0, 0x80, 0, 0, 0, 0, 0, FF2, 0},
	.decode = sbc_sanitize_decode,
	.execute = sbc_sanitize_exit_failure_mode,
    },
    {
	.name = "LOG SENSE",
	.code = 0x4d,
	.cdb_bytes = 10,
	ALLOCATION(7, 2),
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_ALWAYS_READY,
	.usage = {0, 0, 0xff, 0, 0, FF2, FF2, 0},
	.decode = spc_log_sense_decode,
	.execute = spc_log_sense,
    },
    {
	.name = "MODE SELECT(10)",
	.code = 0x55,
	.cdb_bytes = 10,
	PARAMETERS(7, 2),
	.access = SCSI_CLASS_WRITE,
	.flags = SCSI_OP_IN_STANDBY | SCSI_OP_CONFIGURES,
	.usage = {0, 0x10, 0, 0, 0, 0, 0, FF2, 0},
	.decode = spc_mode_select_decode,
	.execute = spc_mode_select,
    },
    {
	.name = "RESERVE(10)",
	.code = 0x56,
	.cdb_bytes = 10,
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_CONFIGURES,
	.execute = spc_reserve,
    },
    {
	.name = "RELEASE(10)",
	.code = 0x57,
	.cdb_bytes = 10,
	.flags = SCSI_OP_CONFIGURES,
	.execute = spc_release,
    },
    {
	.name = "MODE SENSE(10)",
	.code = 0x5a,
	.cdb_bytes = 10,
	ALLOCATION(7, 2),
	.access = SCSI_CLASS_READ,
	.flags = SCSI_OP_IN_STANDBY,
	.usage = {0, 0x18, 0xff, 0xff, 0, 0, 0, FF2, 0},
	.decode = spc_mode_sense_decode,
	.execute = spc_mode_sense,
    },
    PERSISTENT_RESERVE_IN("PERSISTENT RESERVE IN, READ KEYS", 0x00),
    PERSISTENT_RESERVE_IN("PERSISTENT RESERVE IN, READ RESERVATION", 0x01),
    PERSISTENT_RESERVE_IN("PERSISTENT RESERVE IN, REPORT CAPABILITIES", 0x02),
    PERSISTENT_RESERVE_IN("PERSISTENT RESERVE IN, READ FULL STATUS", 0x03),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, REGISTER", 0x00),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, RESERVE", 0x01),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, RELEASE", 0x02),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, CLEAR", 0x03),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, PREEMPT", 0x04),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, PREEMPT AND ABORT", 0x05),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY", 0x06),
    PERSISTENT_RESERVE_OUT("PERSISTENT RESERVE OUT, REGISTER AND MOVE", 0x07),
    {
	.name = "EXTENDED COPY(LID1)",
	.code = 0x83,
	.service_action = 0x00,
	.cdb_bytes = 16,
	PARAMETERS(10, 4),
	.access = SCSI_CLASS_WRITE,
	.flags = SCSI_OP_SERVICE_ACTION,
	.usage = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4, 0, 0},
	.decode = spc_extended_copy_decode,
	.offered = spc_extended_copy_offered,
	.execute = spc_extended_copy,
    },
    {
	.name = "RECEIVE COPY RESULTS, COPY STATUS",
	.code = 0x84,
	.service_action = 0x00,
	.cdb_bytes = 16,
	ALLOCATION(10, 4),
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_SERVICE_ACTION,
	.usage = {0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, FF4, 0, 0},
	.decode = spc_copy_status_decode,
	.offered = spc_extended_copy_offered,
	.execute = spc_copy_status,
    },
    {
	.name = "RECEIVE COPY RESULTS, OPERATING PARAMETERS",
	.code = 0x84,
	.service_action = 0x03,
	.cdb_bytes = 16,
	ALLOCATION(10, 4),
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_SERVICE_ACTION,
	.usage = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4, 0, 0},
	.offered = spc_extended_copy_offered,
	.execute = spc_copy_operating_parameters,
    },
    {
	.name = "READ(16)",
	.code = 0x88,
	.cdb_bytes = 16,
	.direction = SCSI_DATA_IN,
	.access = SCSI_CLASS_READ,
	LBA(2, 8),
	BLOCKS(10, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | FUA, FF8, FF4, 0, 0},
	.also_byte_1 = FUA_NV,
	.reply_bytes = UINT32_MAX,
	.execute = sbc_read,
    },
    {
	.name = "COMPARE AND WRITE",
	.code = 0x89,
	.cdb_bytes = 16,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 8),
	RANGE(13, 1),
	.flags = SCSI_OP_EXACT_DATA | SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1 | SCSI_OP_LOCKS_RANGE,
	.usage = {0, DPO | FUA, FF8, 0, 0, 0, 0xff, 0, 0},
	.also_byte_1 = FUA_NV,
	.decode = sbc_compare_and_write_decode,
	.work_bytes = sbc_compare_and_write_work_bytes,
	.offered = sbc_compare_and_write_offered,
	.execute = sbc_compare_and_write,
    },
    {
	.name = "WRITE(16)",
	.code = 0x8a,
	.cdb_bytes = 16,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 8),
	BLOCKS(10, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | FUA, FF8, FF4, 0, 0},
	.also_byte_1 = FUA_NV,
	.execute = sbc_write,
    },
    {
	.name = "ORWRITE(16)",
	.code = 0x8b,
	.cdb_bytes = 16,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 8),
	BLOCKS(10, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1 | SCSI_OP_LOCKS_RANGE,
	.usage = {0, DPO | FUA, FF8, FF4, 0, 0},
	.also_byte_1 = FUA_NV,
	.work_bytes = sbc_orwrite_work_bytes,
	.offered = sbc_orwrite_offered,
	.execute = sbc_orwrite,
    },
    {
	.name = "WRITE AND VERIFY(16)",
	.code = 0x8e,
	.cdb_bytes = 16,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 8),
	BLOCKS(10, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | BYTCHK, FF8, FF4, 0, 0},
	.decode = sbc_write_and_verify_decode,
	.work_bytes = sbc_verify_work_bytes,
	.execute = sbc_write_and_verify,
    },
    {
	.name = "VERIFY(16)",
	.code = 0x8f,
	.cdb_bytes = 16,
	.access = SCSI_CLASS_READ,
	LBA(2, 8),
	RANGE(10, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | BYTCHK, FF8, FF4, 0, 0},
	.decode = sbc_verify_decode,
	.work_bytes = sbc_verify_work_bytes,
	.execute = sbc_verify,
    },
    {
	.name = "PRE-FETCH(16)",
	.code = 0x90,
	.cdb_bytes = 16,
	.access = SCSI_CLASS_READ,
	LBA(2, 8),
	RANGE(10, 4),
	.flags = SCSI_OP_MEDIUM,
	.usage = {0, IMMED, FF8, FF4, GROUP, 0},
	.execute = sbc_pre_fetch,
    },
    {
	.name = "SYNCHRONIZE CACHE(16)",
	.code = 0x91,
	.cdb_bytes = 16,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 8),
	RANGE(10, 4),
	.flags = SCSI_OP_MEDIUM,
	.usage = {0, IMMED, FF8, FF4, 0, 0},
	.also_byte_1 = SYNC_NV,
	.execute = sbc_synchronize_cache,
    },
    {
	.name = "WRITE SAME(16)",
	.code = 0x93,
	.cdb_bytes = 16,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 8),
	RANGE(10, 4),
	.flags = SCSI_OP_EXACT_DATA | SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, 0x09, FF8, FF4, 0, 0},
	.decode = sbc_write_same_decode,
	.work_bytes = sbc_write_same_work_bytes,
	.execute = sbc_write_same,
    },
    {
	.name = "WRITE ATOMIC(16)",
	.code = 0x9c,
	.cdb_bytes = 16,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 8),
	BLOCKS(12, 2),
	.flags = SCSI_OP_EXACT_DATA | SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1 | SCSI_OP_LOCKS_RANGE,
	.usage = {0, DPO | FUA, FF8, 0, 0, FF2, 0, 0},
	.decode = sbc_write_atomic_decode,
	.offered = sbc_write_atomic_offered,
	.execute = sbc_write,
    },
    {
	.name = "READ CAPACITY(16)",
	.code = 0x9e,
	.service_action = 0x10,
	.cdb_bytes = 16,
	ALLOCATION(10, 4),
	.flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_MEDIUM,
	.usage = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4, 0, 0},
	.execute = sbc_read_capacity_16,
    },
    {
	.name = "GET LBA STATUS(16)",
	.code = 0x9e,
	.service_action = 0x12,
	.cdb_bytes = 16,
	ALLOCATION(10, 4),
	.access = SCSI_CLASS_READ,
	LBA(2, 8),
	.flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_MEDIUM,
	.usage = {0, 0, FF8, FF4, 0, 0},
	.decode = sbc_get_lba_status_decode,
	.offered = sbc_unmap_offered,
	.execute = sbc_get_lba_status,
    },
    {
	.name = "REPORT LUNS",
	.code = 0xa0,
	.cdb_bytes = 12,
	ALLOCATION(6, 4),
	.flags = SCSI_OP_WITHOUT_UNIT | SCSI_OP_BEFORE_ATTENTION,
	.usage = {0, 0, 0xff, 0, 0, 0, FF4, 0, 0},
	.reply_bytes = 8 + 8 * (SCSI_MAXIMUM_LUN + 2),
	.decode = spc_report_luns_decode,
	.execute = spc_report_luns,
    },
    {
	.name = "REPORT TARGET PORT GROUPS",
	.code = 0xa3,
	.service_action = 0x0a,
	.cdb_bytes = 12,
	ALLOCATION(6, 4),
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_STRICT_BYTE_1 | SCSI_OP_ALWAYS_READY,
	.usage = {0, 0x20, 0, 0, 0, 0, FF4, 0, 0},
	.reply_bytes = UINT16_MAX,
	.execute = spc_report_port_groups,
    },
    {
	.name = "REPORT SUPPORTED OPERATION CODES",
	.code = 0xa3,
	.service_action = 0x0c,
	.cdb_bytes = 12,
	ALLOCATION(6, 4),
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_ALWAYS_READY,
	.usage = {0, 0, 0x87, 0xff, FF2, FF4, 0, 0},
	.decode = spc_supported_operations_decode,
	.execute = spc_supported_operations,
    },
    {
	.name = "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS",
	.code = 0xa3,
	.service_action = 0x0d,
	.cdb_bytes = 12,
	ALLOCATION(6, 4),
	.access = SCSI_CLASS_QUERY,
	.flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_ALWAYS_READY,
	.usage = {0, 0, 0x80, 0, 0, 0, FF4, 0, 0},
	.execute = spc_supported_functions,
    },
    {
	.name = "SET TARGET PORT GROUPS",
	.code = 0xa4,
	.service_action = 0x0a,
	.cdb_bytes = 12,
	PARAMETERS(6, 4),
	.access = SCSI_CLASS_WRITE,
	.flags = SCSI_OP_SERVICE_ACTION | SCSI_OP_ALWAYS_READY | SCSI_OP_CONFIGURES,
	.usage = {0, 0, 0, 0, 0, 0, FF4, 0, 0},
	.decode = spc_set_port_groups_decode,
	.execute = spc_set_port_groups,
    },
    {
	.name = "READ(12)",
	.code = 0xa8,
	.cdb_bytes = 12,
	.direction = SCSI_DATA_IN,
	.access = SCSI_CLASS_READ,
	LBA(2, 4),
	BLOCKS(6, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | FUA, FF4, FF4, 0, 0},
	.also_byte_1 = FUA_NV,
	.reply_bytes = UINT32_MAX,
	.execute = sbc_read,
    },
    {
	.name = "WRITE(12)",
	.code = 0xaa,
	.cdb_bytes = 12,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 4),
	BLOCKS(6, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | FUA, FF4, FF4, 0, 0},
	.also_byte_1 = FUA_NV,
	.execute = sbc_write,
    },
    {
	.name = "WRITE AND VERIFY(12)",
	.code = 0xae,
	.cdb_bytes = 12,
	.direction = SCSI_DATA_OUT,
	.access = SCSI_CLASS_WRITE,
	LBA(2, 4),
	BLOCKS(6, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_WRITES | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | BYTCHK, FF4, FF4, 0, 0},
	.decode = sbc_write_and_verify_decode,
	.work_bytes = sbc_verify_work_bytes,
	.execute = sbc_write_and_verify,
    },
    {
	.name = "VERIFY(12)",
	.code = 0xaf,
	.cdb_bytes = 12,
	.access = SCSI_CLASS_READ,
	LBA(2, 4),
	RANGE(6, 4),
	.flags = SCSI_OP_MEDIUM | SCSI_OP_STRICT_BYTE_1,
	.usage = {0, DPO | BYTCHK, FF4, FF4, 0, 0},
	.decode = sbc_verify_decode,
	.work_bytes = sbc_verify_work_bytes,
	.execute = sbc_verify,
    },
    {
	.name = "READ DEFECT DATA(12)",
	.code = 0xb7,
	.cdb_bytes = 12,
	ALLOCATION(6, 4),
	.access = SCSI_CLASS_READ,
	.flags = SCSI_OP_MEDIUM,
	.usage = {0, 0x1f, FF4, FF4, 0, 0},
	.execute = sbc_read_defect_data_12,
    },
};

enum {
	ROWS = sizeof(table) / sizeof(table[0]),
	SERVICE_ACTIONS = 32,
	SERVICE_ACTION_BITS = 0x1f,
	BYTE_1_UNDEFINED = 0xe0,
	/* Codes whose rows have service actions; more than there will ever be. */
	GROUPS = 16,
	NO_ROW = 0,
};

/* Row number plus 1, or 0. */
static uint8_t by_code[256];
/* Of codes with service actions: group number plus 1, or 0. */
static uint8_t group_of_code[256];
static uint8_t groups[GROUPS][SERVICE_ACTIONS];

static void compute_rejected(struct scsi_operation *row)
{
	uint8_t rejected[16] = {0};

	for (unsigned i = 1; i < row->cdb_bytes; i++)
		rejected[i] = (uint8_t)~row->usage[i];
	rejected[1] &= (uint8_t)~row->also_byte_1;
	if (row->flags & SCSI_OP_SERVICE_ACTION)
		rejected[1] &= (uint8_t)~SERVICE_ACTION_BITS;
	if (!(row->flags & SCSI_OP_STRICT_BYTE_1))
		rejected[1] &= (uint8_t)~BYTE_1_UNDEFINED;
	memcpy(row->rejected, rejected, sizeof(rejected));
}

static void compute_gate(struct scsi_operation *row)
{
	if (row->flags & SCSI_OP_MEDIUM)
		row->gate |= SCSI_ACCESS_NOT_READY;
	if (!(row->flags & (SCSI_OP_BEFORE_ATTENTION | SCSI_OP_ALWAYS_READY)))
		row->gate |= SCSI_ACCESS_SANITIZING;
	if (row->flags & SCSI_OP_SANITIZES)
		row->gate &= ~(uint32_t)SCSI_ACCESS_SANITIZE_FAILED;
	if (row->flags & SCSI_OP_WRITES)
		row->gate |= SCSI_ACCESS_READ_ONLY | SCSI_ACCESS_WRITE_PROTECTED;
	if (row->access >= SCSI_CLASS_READ)
		row->gate |= SCSI_ACCESS_LOCKED;
	if (!(row->flags & (SCSI_OP_BEFORE_ATTENTION | SCSI_OP_ALWAYS_READY)))
		row->refusals |= SCSI_REFUSE_UNAVAILABLE | SCSI_REFUSE_TRANSITION;
	if (!(row->flags & (SCSI_OP_BEFORE_ATTENTION | SCSI_OP_ALWAYS_READY | SCSI_OP_IN_STANDBY)))
		row->refusals |= SCSI_REFUSE_STANDBY;
	if (row->access != SCSI_CLASS_ALWAYS)
		row->refusals |= 1u << row->access;
	if (row->flags & SCSI_OP_WRITES)
		row->refusals |= SCSI_REFUSE_READ_ONLY;
}

static void index_row(unsigned number)
{
	static uint8_t group_count;
	const struct scsi_operation *row = &table[number];

	if (!(row->flags & SCSI_OP_SERVICE_ACTION)) {
		assert(by_code[row->code] == NO_ROW);
		by_code[row->code] = (uint8_t)(number + 1);
		return;
	}
	if (group_of_code[row->code] == 0) {
		assert(group_count < GROUPS);
		group_of_code[row->code] = ++group_count;
	}
	groups[group_of_code[row->code] - 1][row->service_action] = (uint8_t)(number + 1);
}

static void init_table(void)
{
	_Static_assert(ROWS < 255, "row numbers are bytes");
	for (unsigned i = 0; i < ROWS; i++) {
		compute_rejected(&table[i]);
		compute_gate(&table[i]);
		index_row(i);
	}
}

void scsi_operations_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_table);
}

const struct scsi_operation *scsi_operations_find(const uint8_t cdb[static 16])
{
	unsigned row = by_code[cdb[0]];

	if (__builtin_expect(row == NO_ROW, 0)) {
		unsigned group = group_of_code[cdb[0]];

		row = group == 0 ? NO_ROW : groups[group - 1][cdb[1] & SERVICE_ACTION_BITS];
		if (row == NO_ROW)
			return NULL;
	}
	return &table[row - 1];
}

bool scsi_operations_has_service_actions(uint8_t code)
{
	return group_of_code[code] != 0;
}

bool scsi_operations_code_offered(uint8_t code, const struct scsi_logical_unit *unit)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (table[i].code == code && scsi_operation_offered(&table[i], unit))
			return true;
	return false;
}

size_t scsi_operations_count(void)
{
	return ROWS;
}

const struct scsi_operation *scsi_operations_get(size_t index)
{
	return &table[index];
}

bool scsi_operation_offered(const struct scsi_operation *operation, const struct scsi_logical_unit *unit)
{
	if (unit == NULL)
		return (operation->flags & SCSI_OP_WITHOUT_UNIT) != 0;
	return operation->offered == NULL || operation->offered(unit);
}
