/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: how a command proceeds, for the handlers of scsi/operations.h.
 *
 *     prepare -> execute -> (task set) -> (memory) -> admit -> (access lock) -> handler -> finish -> done
 */
#ifndef TGTKIT_SCSI_DEVICE_SERVER_H
#define TGTKIT_SCSI_DEVICE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "scsi/command.h"
#include "scsi/nexus_lun.h"
#include "scsi/operations.h"
#include "scsi/sense.h"
#include "scsi/unit.h"

enum scsi_stage {
	SCSI_STAGE_NEW,
	SCSI_STAGE_COLLECTING, /* prepared; the transport collects data-out */
	SCSI_STAGE_BLOCKED,    /* by the order of its task set */
	SCSI_STAGE_NO_MEMORY,
	SCSI_STAGE_PARKED,    /* in lane->parked */
	SCSI_STAGE_LOCKING,   /* waits for its own access lock */
	SCSI_STAGE_EXECUTING, /* in lane->executing, if it has a unit */
	SCSI_STAGE_FINISHING,
	SCSI_STAGE_ENDED,
};

/* Tests the access word and goes on: parks the command, answers it, locks for it or runs its handler. */
void scsi_command_admit(struct scsi_command *command);
/* The command's lock has been granted. */
void scsi_command_start(struct scsi_command *command);
/* Status and sense are set: ends the command later in this turn. */
void scsi_command_finish(struct scsi_command *command);
/* The same at once; only in RT_PHASE_COMPLETE. */
void scsi_command_end(struct scsi_command *command);
static inline void scsi_command_good(struct scsi_command *command)
{
	command->status = SCSI_GOOD;
	scsi_command_finish(command);
}

/* Submits command->io, of which operation, flags, range and segments are set; after success `resume` is called, in
 * RT_PHASE_COMPLETE; an error or an abort ends the command. */
void scsi_command_submit(struct scsi_command *command, void (*resume)(struct scsi_command *command));
/* The same for a range in logical blocks. */
void scsi_command_submit_range(struct scsi_command *command, uint32_t operation, uint32_t flags, uint64_t lba,
			       uint64_t blocks, void (*resume)(struct scsi_command *command));

/* `silently`: by its own nexus, no response is sent.  Otherwise it answers TASK ABORTED. */
void scsi_command_abort(struct scsi_command *command, bool silently);

/* Answers GOOD with parameter data, cut to the allocation length. */
void scsi_command_reply(struct scsi_command *command, const void *parameters, size_t length);
/* Parameter data in pieces: bytes beyond the allocation length go nowhere. */
void scsi_command_reply_at(struct scsi_command *command, size_t offset, const void *bytes, size_t length);

static inline uint64_t scsi_command_bytes(const struct scsi_command *command, uint64_t blocks)
{
	return blocks << command->unit->block_shift;
}

/* Zeroed private_state.  false: there is no memory, the command has been ended with BUSY. */
bool scsi_command_allocate_state(struct scsi_command *command, size_t length);

/* Work memory of `length` bytes is held in data_in of a command whose row asks for it. */
struct scsi_segments {
	struct tgtkit_segment list[RT_BUFFER_MAXIMUM_SEGMENTS];
	uint32_t count;
};
/* The bytes [offset, offset + length) of a buffer, which has them. */
void scsi_segments_slice(const struct rt_buffer *buffer, size_t offset, size_t length, struct scsi_segments *slice);
/* The first of `length` bytes that differs between `a` and those of `b` from `b_offset` on, or `length`. */
size_t scsi_segments_compare(const struct scsi_segments *a, const struct rt_buffer *b, size_t b_offset, size_t length);

#endif
