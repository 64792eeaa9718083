/* SPDX-License-Identifier: Apache-2.0
 *
 * WRITE SAME(10) and (16), SBC-4 5.50: by the store's own zeroing or unmapping where the block is zero, else written
 * out in steps of bounded work memory.
 */
#include <stdlib.h>
#include <string.h>

#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/vpd.h"

enum { WRITE_SAME_16 = 0x93, UNMAP = 0x08, NDOB = 0x01 };
enum { STEP_BYTES = 256 << 10 };

static bool has_no_data_out(const struct scsi_command *command)
{
	return command->cdb[0] == WRITE_SAME_16 && (command->cdb[1] & NDOB) != 0;
}

bool sbc_write_same_decode(struct scsi_command *command)
{
	uint64_t capacity = scsi_unit_blocks(command->unit);

	if ((command->cdb[1] & UNMAP) && !command->unit->provisions)
		return scsi_sense_invalid_cdb_field(command, 1, 3);
	if (command->blocks == 0)
		command->blocks = capacity - command->lba; /* WSNZ = 0: to the end */
	if (command->blocks > scsi_maximum_write_same_blocks(command->unit))
		return scsi_sense_invalid_cdb_field(command, command->operation->length_at, 7);
	if (has_no_data_out(command))
		command->direction = SCSI_NO_DATA;
	else
		command->transfer_length = command->unit->block_bytes;
	return true;
}

/* Only needed when the block turns out not to be zero, which nobody knows yet. */
uint32_t sbc_write_same_work_bytes(const struct scsi_command *command)
{
	uint64_t bytes = scsi_command_bytes(command, command->blocks);

	if (has_no_data_out(command))
		return 0;
	return bytes < STEP_BYTES ? (uint32_t)bytes : STEP_BYTES;
}

static bool block_is_zero(const struct scsi_command *command)
{
	const struct rt_buffer *block = &command->data_out;

	for (uint32_t i = 0; i < block->segment_count; i++) {
		const char *bytes = block->segments[i].address;
		size_t length = block->segments[i].length;

		if (bytes[0] != 0 || memcmp(bytes, bytes + 1, length - 1) != 0)
			return false;
	}
	return true;
}

static uint32_t stability(const struct scsi_command *command)
{
	return scsi_mode_write_cache(command->unit) ? 0 : TGTKIT_REQUEST_FUA;
}

static void is_done(struct scsi_command *command)
{
	scsi_command_good(command);
}

/* With UNMAP the blocks are unmapped where unmapped ones read zero, else zeroed, which may unmap them too. */
static void write_zeros(struct scsi_command *command)
{
	bool unmap = (command->cdb[1] & UNMAP) != 0;

	if (unmap && command->unit->unmap_reads_zero)
		scsi_command_submit_range(command, TGTKIT_DISCARD, stability(command), command->lba, command->blocks,
					  is_done);
	else
		scsi_command_submit_range(command, TGTKIT_ZERO,
					  stability(command) | (unmap ? TGTKIT_REQUEST_MAY_UNMAP : 0), command->lba,
					  command->blocks, is_done);
}

static void fill_pattern(struct scsi_command *command)
{
	size_t block = command->unit->block_bytes;
	uint8_t pattern[4096];

	rt_segments_read(command->data_out.segments, command->data_out.segment_count, 0, pattern, block);
	for (size_t at = 0; at + block <= command->data_in.length_bytes; at += block)
		rt_segments_write(command->data_in.segments, command->data_in.segment_count, at, pattern, block);
}

static void write_next(struct scsi_command *command)
{
	struct scsi_segments *step = command->private_state;
	uint64_t left = command->blocks - command->progress, lba = command->lba + command->progress;
	uint64_t most = command->data_in.length_bytes >> command->unit->block_shift;

	if (left == 0) {
		scsi_command_good(command);
		return;
	}
	if (left > most)
		left = most;
	scsi_segments_slice(&command->data_in, 0, scsi_command_bytes(command, left), step);
	command->io.segments = step->list;
	command->io.segment_count = step->count;
	command->progress += left;
	scsi_command_submit_range(command, TGTKIT_WRITE, stability(command), lba, left, write_next);
}

static void write_pattern(struct scsi_command *command)
{
	if (!scsi_command_allocate_state(command, sizeof(struct scsi_segments)))
		return;
	fill_pattern(command);
	write_next(command);
}

/* The block that comes with UNMAP does not matter: initiators of either kind (zeros, or anything) mean to unmap. */
void sbc_write_same(struct scsi_command *command)
{
	if (command->blocks == 0) {
		scsi_command_good(command);
	} else if ((command->cdb[1] & UNMAP) || has_no_data_out(command) || block_is_zero(command)) {
		write_zeros(command);
	} else {
		write_pattern(command);
	}
}
