/* SPDX-License-Identifier: Apache-2.0
 *
 * COMPARE AND WRITE (SBC-4 5.3) and ORWRITE(16) (SBC-4 5.16): under the lock of their range.
 */
#include <stdlib.h>

#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/vpd.h"

enum { FUA = 0x08, STEP_BYTES = 256 << 10 };

bool sbc_compare_and_write_offered(const struct scsi_logical_unit *unit)
{
	return unit->compare_and_write;
}

bool sbc_compare_and_write_decode(struct scsi_command *command)
{
	if (command->blocks > scsi_maximum_compare_and_write_blocks(command->unit))
		return scsi_sense_invalid_cdb_field(command, command->operation->length_at, 7);
	command->transfer_length = (uint32_t)scsi_command_bytes(command, 2 * command->blocks);
	return true;
}

uint32_t sbc_compare_and_write_work_bytes(const struct scsi_command *command)
{
	return (uint32_t)scsi_command_bytes(command, command->blocks);
}

static uint32_t stability(const struct scsi_command *command)
{
	bool stable = (command->cdb[1] & FUA) != 0 || !scsi_mode_write_cache(command->unit);

	return stable ? TGTKIT_REQUEST_FUA : 0;
}

static void is_written(struct scsi_command *command)
{
	scsi_command_good(command);
}

static void compare(struct scsi_command *command)
{
	struct scsi_segments *slice = command->private_state;
	size_t length = scsi_command_bytes(command, command->blocks);
	size_t difference;

	scsi_segments_slice(&command->data_out, 0, length, slice);
	difference = scsi_segments_compare(slice, &command->data_in, 0, length);
	if (difference != length) {
		scsi_sense_fail_at(command, SCSI_KEY_MISCOMPARE, SCSI_ASC_MISCOMPARE_DURING_VERIFY, difference);
		scsi_command_finish(command);
		return;
	}
	scsi_segments_slice(&command->data_out, length, length, slice);
	command->io.segments = slice->list;
	command->io.segment_count = slice->count;
	scsi_command_submit_range(command, TGTKIT_WRITE, stability(command), command->lba, command->blocks, is_written);
}

void sbc_compare_and_write(struct scsi_command *command)
{
	if (command->blocks == 0) {
		scsi_command_good(command);
		return;
	}
	if (!scsi_command_allocate_state(command, sizeof(struct scsi_segments)))
		return;
	command->io.segments = command->data_in.segments;
	command->io.segment_count = command->data_in.segment_count;
	scsi_command_submit_range(command, TGTKIT_READ, 0, command->lba, command->blocks, compare);
}

bool sbc_orwrite_offered(const struct scsi_logical_unit *unit)
{
	return unit->orwrite;
}

uint32_t sbc_orwrite_work_bytes(const struct scsi_command *command)
{
	return command->transfer_length < STEP_BYTES ? command->transfer_length : STEP_BYTES;
}

struct orwrite_state {
	struct scsi_segments medium;
	uint64_t blocks;
};

static void orwrite_next(struct scsi_command *command);

static void orwrite_step_is_written(struct scsi_command *command)
{
	const struct orwrite_state *state = command->private_state;

	command->progress += state->blocks;
	orwrite_next(command);
}

static void or_into(const struct scsi_segments *medium, const struct rt_buffer *data, size_t offset)
{
	for (uint32_t i = 0; i < medium->count; i++) {
		uint8_t *bytes = medium->list[i].address;
		size_t length = medium->list[i].length;
		struct scsi_segments with;

		scsi_segments_slice(data, offset, length, &with);
		for (uint32_t j = 0; j < with.count; j++) {
			const uint8_t *other = with.list[j].address;

			for (uint32_t k = 0; k < with.list[j].length; k++)
				*bytes++ |= other[k];
		}
		offset += length;
	}
}

static void merge(struct scsi_command *command)
{
	struct orwrite_state *state = command->private_state;

	or_into(&state->medium, &command->data_out, scsi_command_bytes(command, command->progress));
	scsi_command_submit_range(command, TGTKIT_WRITE, stability(command), command->lba + command->progress,
				  state->blocks, orwrite_step_is_written);
}

static void orwrite_next(struct scsi_command *command)
{
	struct orwrite_state *state = command->private_state;
	uint64_t left = command->blocks - command->progress;
	uint64_t most = command->data_in.length_bytes >> command->unit->block_shift;

	if (left == 0) {
		scsi_command_good(command);
		return;
	}
	state->blocks = left < most ? left : most;
	scsi_segments_slice(&command->data_in, 0, scsi_command_bytes(command, state->blocks), &state->medium);
	command->io.segments = state->medium.list;
	command->io.segment_count = state->medium.count;
	scsi_command_submit_range(command, TGTKIT_READ, 0, command->lba + command->progress, state->blocks, merge);
}

void sbc_orwrite(struct scsi_command *command)
{
	if (!scsi_command_allocate_state(command, sizeof(struct orwrite_state)))
		return;
	command->blocks = command->data_out_length >> command->unit->block_shift;
	orwrite_next(command);
}
