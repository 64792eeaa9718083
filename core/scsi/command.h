/* SPDX-License-Identifier: Apache-2.0
 *
 * A SCSI command on its way through the device server.  Memory of the transport (embedded in its task), which clears it
 * first; everything is called on the nexus's worker.
 *
 *     prepare -> (the transport collects data-out) -> execute -> done -> (the transport sends) -> release
 *        `-> answered at once (status and sense are set) ----------------^
 */
#ifndef TGTKIT_SCSI_COMMAND_H
#define TGTKIT_SCSI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "rt/list.h"
#include "rt/memory.h"
#include "scsi/nexus.h"
#include "store/store.h"

enum scsi_task_attribute {
	SCSI_UNTAGGED = 0,
	SCSI_SIMPLE = 1,
	SCSI_ORDERED = 2,
	SCSI_HEAD_OF_QUEUE = 3,
	SCSI_ACA = 4,
};

enum scsi_direction { SCSI_NO_DATA, SCSI_DATA_OUT, SCSI_DATA_IN };

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_ACA_ACTIVE = 0x30,
	SCSI_TASK_ABORTED = 0x40,
};

#define SCSI_SENSE_BYTES 64u

struct scsi_operation;
struct scsi_nexus_lun;
struct scsi_access_lock;

struct scsi_command {
	/* Set by the transport before prepare. */
	struct scsi_nexus *nexus;
	uint8_t lun[8];
	uint8_t cdb[16];
	enum scsi_task_attribute attribute;
	/* What the initiator says it will send; 0: nothing.  Commands whose data-out means something only as a whole
	 * are refused when it is not what the CDB asks for. */
	uint32_t expected_data_out_length;
	void (*done)(struct scsi_command *self); /* from the loop (RT_PHASE_COMPLETE), never inside a call here */
	/* Called when a command that has not been executed yet is aborted by task management: the transport stops
	 * collecting.  `done` follows. */
	void (*data_out_cancelled)(struct scsi_command *self);

	/* Set by prepare. */
	const struct scsi_operation *operation;
	enum scsi_direction direction;
	uint32_t transfer_length; /* bytes that the CDB asks to move; for DATA_OUT what the transport has to collect */

	uint32_t data_out_length; /* bytes of data_out */

	/* The result. */
	uint32_t data_in_length; /* bytes of data_in that are valid; 0 unless direction is DATA_IN */
	uint8_t status;		 /* enum scsi_status */
	bool aborted;		 /* ended by task management of its own nexus: no response is sent */
	uint8_t sense_length;
	uint8_t sense[SCSI_SENSE_BYTES];

	/* Private to core/scsi. */
	struct scsi_nexus_lun *nexus_lun;
	struct scsi_logical_unit *unit;
	struct rt_list in_task_set, in_lane;
	struct rt_deferred finish;
	struct rt_memory_waiter memory_waiter;
	struct store_request io;
	uint64_t started_ns;			      /* by the clock of the turn; 0: not yet */
	uint64_t lba, blocks;			      /* decoded from the CDB by its table row */
	uint64_t progress;			      /* blocks or bytes done, of a command in several steps */
	void *private_state;			      /* of a command in several steps; freed before done */
	void *detached_state;			      /* of work that goes on without the command; not freed with it */
	void (*abandoned)(struct scsi_command *self); /* lets it go when it is aborted; NULL: it ends with its step */
	struct scsi_access_lock *lock;
	void (*resume)(struct scsi_command *self);
	uint8_t stage; /* enum scsi_stage */
	uint8_t step;
	bool internal; /* a step of a copy: a unit attention is left to the commands of the initiator */
	bool registered, barrier, cancelled, silently, in_store, hung;

	/* Last, and cleared by themselves: see scsi_command_clear.
	 * Data-out: the transport takes the memory (WINDOW or SOLICITED class) and fills it from the first byte on,
	 * with at most transfer_length bytes (fewer when the initiator's expected length is smaller); it gives it back
	 * when the command is done. */
	struct rt_buffer data_out;
	struct rt_buffer data_in; /* of READ class; given back by scsi_command_release */
};

/* What the transport does with fresh memory before it fills in the command.  The lists of segments, two thirds of it,
 * stay as they are: a command is begun for every I/O. */
static inline void scsi_command_clear(struct scsi_command *command)
{
	memset(command, 0, offsetof(struct scsi_command, data_out));
	rt_buffer_clear(&command->data_out);
	rt_buffer_clear(&command->data_in);
}

/* Checks LUN, CDB, unit attention, reservation and access.  true: collect transfer_length bytes if direction is
 * DATA_OUT, then execute.  false: answered, status and sense are set, `done` is not called; release it when sent. */
bool scsi_command_prepare(struct scsi_command *command);
void scsi_command_execute(struct scsi_command *command);
/* After the response was sent, or `done` came with `aborted`; also instead of execute, for a prepared command whose
 * data-out failed in transport (its connection is gone, a digest error): it leaves the task set. */
void scsi_command_release(struct scsi_command *command);
/* For the transport: ends a prepared, unexecuted command with CHECK CONDITION, this sense key and this additional
 * sense code and qualifier; status and sense are set as by a prepare that answered. */
void scsi_command_fail_transport(struct scsi_command *command, uint8_t sense_key, uint8_t asc, uint8_t ascq);

#endif
