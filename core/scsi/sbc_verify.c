/* SPDX-License-Identifier: Apache-2.0
 *
 * VERIFY and WRITE AND VERIFY, SBC-4 5.34 to 5.40: in steps of bounded work memory.
 */
#include <stdlib.h>
#include <string.h>

#include "scsi/device_server.h"
#include "scsi/handlers.h"

enum bytchk { BYTCHK_MEDIUM = 0, BYTCHK_DATA = 1, BYTCHK_RESERVED = 2, BYTCHK_ONE_BLOCK = 3 };
enum { STEP_BYTES = 256 << 10 };

struct verify_state {
	struct scsi_segments step;
	uint64_t step_blocks;
};

static enum bytchk bytchk(const struct scsi_command *command)
{
	return command->cdb[1] >> 1 & 3;
}

static bool sets_transfer(struct scsi_command *command, uint64_t blocks)
{
	uint64_t bytes = scsi_command_bytes(command, blocks);

	if (bytes > command->unit->maximum_transfer_bytes)
		return scsi_sense_invalid_cdb_field(command, command->operation->length_at, 7);
	command->direction = SCSI_DATA_OUT;
	command->transfer_length = (uint32_t)bytes;
	return true;
}

bool sbc_verify_decode(struct scsi_command *command)
{
	switch (bytchk(command)) {
	case BYTCHK_MEDIUM:
		return true;
	case BYTCHK_DATA:
		return sets_transfer(command, command->blocks);
	case BYTCHK_ONE_BLOCK:
		return sets_transfer(command, command->blocks != 0);
	default:
		return scsi_sense_invalid_cdb_field(command, 1, 2);
	}
}

bool sbc_write_and_verify_decode(struct scsi_command *command)
{
	if (bytchk(command) > BYTCHK_DATA)
		return scsi_sense_invalid_cdb_field(command, 1, 2);
	return true;
}

uint32_t sbc_verify_work_bytes(const struct scsi_command *command)
{
	uint64_t bytes = scsi_command_bytes(command, command->blocks);

	return bytes < STEP_BYTES ? (uint32_t)bytes : STEP_BYTES;
}

/* Blocks that there is data to compare with: fewer than asked for when the initiator sent less. */
static uint64_t blocks_to_verify(const struct scsi_command *command)
{
	uint64_t received = command->data_out_length >> command->unit->block_shift;

	switch (bytchk(command)) {
	case BYTCHK_DATA:
		return received < command->blocks ? received : command->blocks;
	case BYTCHK_ONE_BLOCK:
		return received != 0 ? command->blocks : 0;
	default:
		return command->blocks;
	}
}

static size_t compare_step(const struct scsi_command *command, const struct verify_state *state)
{
	size_t block = command->unit->block_bytes, length = scsi_command_bytes(command, state->step_blocks);
	struct rt_buffer work = {.segment_count = state->step.count};
	size_t difference;

	if (bytchk(command) == BYTCHK_MEDIUM)
		return length;
	if (bytchk(command) == BYTCHK_DATA)
		return scsi_segments_compare(&state->step, &command->data_out,
					scsi_command_bytes(command, command->progress), length);
	memcpy(work.segments, state->step.list, state->step.count * sizeof(work.segments[0]));
	for (size_t at = 0; at < length; at += block) {
		struct scsi_segments one;

		scsi_segments_slice(&work, at, block, &one);
		difference = scsi_segments_compare(&one, &command->data_out, 0, block);
		if (difference != block)
			return at + difference;
	}
	return length;
}

static void verify_next(struct scsi_command *command);

/* The information field says where in the data the difference is, SBC-4 5.34. */
static void step_is_read(struct scsi_command *command)
{
	struct verify_state *state = command->private_state;
	size_t length = scsi_command_bytes(command, state->step_blocks);
	size_t difference = compare_step(command, state);

	if (difference != length) {
		scsi_sense_fail_at(command, SCSI_KEY_MISCOMPARE, SCSI_ASC_MISCOMPARE_DURING_VERIFY,
				   bytchk(command) == BYTCHK_DATA
				       ? scsi_command_bytes(command, command->progress) + difference
				       : command->lba + command->progress + difference / command->unit->block_bytes);
		scsi_command_finish(command);
		return;
	}
	command->progress += state->step_blocks;
	verify_next(command);
}

static void verify_next(struct scsi_command *command)
{
	struct verify_state *state = command->private_state;
	uint64_t left = command->blocks - command->progress;
	uint64_t most = command->data_in.length_bytes >> command->unit->block_shift;

	if (left == 0) {
		scsi_command_good(command);
		return;
	}
	state->step_blocks = left < most ? left : most;
	scsi_segments_slice(&command->data_in, 0, scsi_command_bytes(command, state->step_blocks), &state->step);
	command->io.segments = state->step.list;
	command->io.segment_count = state->step.count;
	scsi_command_submit_range(command, TGTKIT_READ, 0, command->lba + command->progress, state->step_blocks,
				  step_is_read);
}

void sbc_verify(struct scsi_command *command)
{
	if (!scsi_command_allocate_state(command, sizeof(struct verify_state)))
		return;
	command->blocks = blocks_to_verify(command);
	verify_next(command);
}

static void is_written(struct scsi_command *command)
{
	verify_next(command);
}

/* Stable before it is verified: what is read back is what the medium holds. */
void sbc_write_and_verify(struct scsi_command *command)
{
	struct verify_state *state;

	if (!scsi_command_allocate_state(command, sizeof(*state)))
		return;
	state = command->private_state;
	command->blocks = command->data_out_length >> command->unit->block_shift;
	if (command->blocks == 0) {
		scsi_command_good(command);
		return;
	}
	scsi_segments_slice(&command->data_out, 0, scsi_command_bytes(command, command->blocks), &state->step);
	command->io.segments = state->step.list;
	command->io.segment_count = state->step.count;
	scsi_command_submit_range(command, TGTKIT_WRITE, TGTKIT_REQUEST_FUA, command->lba, command->blocks, is_written);
}
