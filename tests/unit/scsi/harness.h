/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit on a fake store, one worker (the test's own thread) and nexuses, for the suites of core/scsi.
 */
#ifndef TGTKIT_TESTS_UNIT_SCSI_HARNESS_H
#define TGTKIT_TESTS_UNIT_SCSI_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/worker.h"
#include "scsi/command.h"
#include "scsi/logical_unit.h"
#include "scsi/nexus.h"
#include "scsi/sense.h"
#include "scsi/task_management.h"
#include "unit/scsi/fake_store.h"

#define HARNESS_FLAGS                                                                                                  \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |        \
	 TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE)
enum { HARNESS_BLOCKS = 8192, HARNESS_OTHER_LUN = 300 };

struct harness {
	struct rt_worker *worker;
	struct store *store;
	struct scsi_logical_unit_spec spec;
	struct scsi_logical_unit *unit;
	struct scsi_lun_map *map; /* LUNs 0 and HARNESS_OTHER_LUN are the unit */
	struct scsi_nexus *nexus, *other;
};

/* The one of the running test: made by harness_setup as the spec then says. */
extern struct harness harness;

/* Fixtures. */
void harness_setup(void);
void harness_teardown(void);
/* What setup uses; tests that need another kind of unit change it and call harness_restart. */
void harness_default_spec(void);
void harness_restart(uint64_t size_bytes, uint32_t store_flags);

struct scsi_nexus *harness_new_nexus(const char *initiator_port, uint16_t port_id);
/* Closes and waits until it is closed. */
void harness_close_nexus(struct scsi_nexus *nexus);

/* A command and what became of it. */
struct issued {
	struct scsi_command command;
	bool done, data_out_cancelled;
	uint8_t *data; /* data-in, flat */
};

struct request {
	struct scsi_nexus *nexus; /* NULL: harness.nexus */
	uint16_t lun;
	uint8_t cdb[16];
	const void *data_out;
	size_t data_out_length;
	enum scsi_task_attribute attribute;
};

struct issued *harness_prepare(struct request request);
void harness_execute(struct issued *issued, const void *data_out, size_t length);
/* Prepares and, unless it was answered, executes. */
struct issued *harness_start(struct request request);
void harness_wait(struct issued *issued);
void harness_turn(void);
struct issued *harness_run(struct request request);
/* Gives back what it holds. */
void harness_free(struct issued *issued);

/* Runs a command and checks how it ends. */
void harness_expect_good(struct request request);
void harness_expect_sense(struct request request, uint8_t key, uint16_t asc);
void harness_expect_status(struct request request, uint8_t status);
void harness_check_sense(const struct issued *issued, uint8_t key, uint16_t asc);
/* Takes away the power-on unit attention. */
void harness_clear_attention(struct scsi_nexus *nexus, uint16_t lun);

/* Runs a function of harness.nexus on LUN 0 to its end; `release`: lets the store go on once it has started. */
enum scsi_task_response harness_manage(enum scsi_task_function function, struct issued *referenced, bool release);

#define BE16(v) (uint8_t)((v) >> 8), (uint8_t)(v)
#define BE32(v) BE16((uint32_t)(v) >> 16), BE16((uint32_t)(v))
#define BE64(v) BE32((uint64_t)(v) >> 32), BE32((uint64_t)(v))

#define READ_10(lba, blocks)                                                                                           \
	{                                                                                                              \
		0x28, 0, BE32(lba), 0, BE16(blocks), 0                                                                 \
	}
#define WRITE_10(lba, blocks)                                                                                          \
	{                                                                                                              \
		0x2a, 0, BE32(lba), 0, BE16(blocks), 0                                                                 \
	}
#define READ_16(lba, blocks)                                                                                           \
	{                                                                                                              \
		0x88, 0, BE64(lba), BE32(blocks), 0, 0                                                                 \
	}
#define WRITE_16(lba, blocks)                                                                                          \
	{                                                                                                              \
		0x8a, 0, BE64(lba), BE32(blocks), 0, 0                                                                 \
	}
#define TEST_UNIT_READY                                                                                                \
	{                                                                                                              \
		0                                                                                                      \
	}
#define INQUIRY(evpd, page, length)                                                                                    \
	{                                                                                                              \
		0x12, evpd, page, BE16(length), 0                                                                      \
	}

#endif
