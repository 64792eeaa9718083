/* SPDX-License-Identifier: Apache-2.0
 *
 * READ, WRITE, SYNCHRONIZE CACHE and PRE-FETCH, SBC-4 5.
 */
#include <stdlib.h>

#include "scsi/background.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/vpd.h"

/* READ(6) and WRITE(6) have an LBA where others have FUA. */
static bool has_fua(const struct scsi_command *command)
{
	enum { FUA = 0x08 };

	return command->operation->cdb_bytes > 6 && (command->cdb[1] & FUA) != 0;
}

static void read_done(struct scsi_command *command)
{
	command->data_in_length = command->transfer_length;
	command->status = SCSI_GOOD;
	scsi_command_end(command);
}

static void start_read(struct scsi_command *command)
{
	command->io.segments = command->data_in.segments;
	command->io.segment_count = command->data_in.segment_count;
	scsi_command_submit_range(command, TGTKIT_READ, 0, command->lba, command->blocks, read_done);
}

void sbc_read(struct scsi_command *command)
{
	if (__builtin_expect(command->blocks == 0, 0))
		scsi_command_good(command);
	else if (__builtin_expect(has_fua(command), 0))
		scsi_command_submit_range(command, TGTKIT_FLUSH, 0, 0, 0, start_read); /* read what the medium holds */
	else
		start_read(command);
}

static void write_done(struct scsi_command *command)
{
	command->status = SCSI_GOOD;
	scsi_command_end(command);
}

/* The initiator sent less than the CDB asks for: what came is written, in whole blocks. */
static bool write_short(struct scsi_command *command)
{
	struct scsi_segments *slice;

	if (!scsi_command_allocate_state(command, sizeof(*slice)))
		return false;
	slice = command->private_state;
	command->blocks = command->data_out_length >> command->unit->block_shift;
	scsi_segments_slice(&command->data_out, 0, scsi_command_bytes(command, command->blocks), slice);
	command->io.segments = slice->list;
	command->io.segment_count = slice->count;
	return true;
}

void sbc_write(struct scsi_command *command)
{
	bool stable = has_fua(command) || !scsi_mode_write_cache(command->unit);

	command->io.segments = command->data_out.segments;
	command->io.segment_count = command->data_out.segment_count;
	if (__builtin_expect(command->data_out_length != command->transfer_length, 0) && !write_short(command))
		return;
	if (__builtin_expect(command->blocks == 0, 0)) {
		scsi_command_good(command);
		return;
	}
	scsi_command_submit_range(command, TGTKIT_WRITE, stable ? TGTKIT_REQUEST_FUA : 0, command->lba, command->blocks,
				  write_done);
}

bool sbc_write_atomic_offered(const struct scsi_logical_unit *unit)
{
	return scsi_atomic_write_blocks(unit) != 0;
}

/* SBC-4 5.42: within the limits of B0, so that the store gets it as one request; no atomic boundary is supported. */
bool sbc_write_atomic_decode(struct scsi_command *command)
{
	uint32_t unit = scsi_atomic_write_blocks(command->unit);

	if (command->blocks != 0 && command->blocks != unit)
		return scsi_sense_invalid_cdb_field(command, command->operation->length_at, 7);
	if (command->lba % unit != 0)
		return scsi_sense_invalid_cdb_field(command, command->operation->lba_at, 7);
	return true;
}

static void is_done(struct scsi_command *command)
{
	scsi_command_good(command);
}

void sbc_synchronize_cache(struct scsi_command *command)
{
	enum { IMMED = 0x02 };

	if (command->cdb[1] & IMMED) {
		scsi_background_flush(command);
		return;
	}
	scsi_command_submit_range(command, TGTKIT_FLUSH, 0, 0, 0, is_done);
}

/* No cache of the core's own to fetch into: the blocks exist, which is all that can be said.  SBC-4 5.11: CONDITION MET
 * would claim that they all fitted. */
void sbc_pre_fetch(struct scsi_command *command)
{
	scsi_command_good(command);
}
