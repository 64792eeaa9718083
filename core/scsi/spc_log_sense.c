/* SPDX-License-Identifier: Apache-2.0
 *
 * LOG SENSE, SPC-5 6.8: the supported pages, and what a thin unit has used (SBC-4 6.4.5), summed up from the store's
 * extents.
 */
#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"

enum { PAGE_SUPPORTED = 0x00, PAGE_PROVISIONING = 0x0c, PAGE_CODE = 0x3f };
enum { CUMULATIVE = 1, MOST_EXTENTS = 128 };
enum { PARAMETER_USED = 0x0002 };

static bool has_provisioning(const struct scsi_logical_unit *unit)
{
	return unit->provisions && (unit->capabilities->flags & TGTKIT_CAN_EXTENTS) != 0;
}

bool spc_log_sense_decode(struct scsi_command *command)
{
	uint8_t page = command->cdb[2] & PAGE_CODE, control = command->cdb[2] >> 6;
	uint16_t pointer = rt_get_be16(command->cdb + 5);

	if (control > CUMULATIVE)
		return scsi_sense_invalid_cdb_field(command, 2, 7);
	if (page != PAGE_SUPPORTED && (page != PAGE_PROVISIONING || !has_provisioning(command->unit)))
		return scsi_sense_invalid_cdb_field(command, 2, 5);
	if (pointer > (page == PAGE_PROVISIONING ? PARAMETER_USED : 0))
		return scsi_sense_invalid_cdb_field(command, 5, 7);
	return true;
}

struct log_state {
	struct tgtkit_extent extents[MOST_EXTENTS];
	uint64_t used_bytes;
};

static void reply_used(struct scsi_command *command)
{
	enum { FORMAT_BINARY_LIST = 0x03, SCOPE_THIS_UNIT = 0x01 };
	const struct log_state *state = command->private_state;
	uint64_t blocks = state->used_bytes >> command->unit->block_shift;
	uint8_t page[16] = {PAGE_PROVISIONING, 0, 0, 12, 0, PARAMETER_USED, FORMAT_BINARY_LIST, 8};

	rt_put_be32(page + 8, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	page[12] = SCOPE_THIS_UNIT;
	scsi_command_reply(command, page, sizeof(page));
}

static void count_next(struct scsi_command *command);

static void extents_are_known(struct scsi_command *command)
{
	struct log_state *state = command->private_state;
	uint64_t end = command->io.offset;

	for (uint32_t i = 0; i < command->io.extents_count; i++) {
		const struct tgtkit_extent *extent = &state->extents[i];

		if (!(extent->flags & TGTKIT_EXTENT_HOLE))
			state->used_bytes += extent->length;
		end = extent->offset + extent->length;
	}
	if (end <= command->io.offset) {
		scsi_sense_fail(command, SCSI_KEY_HARDWARE_ERROR, SCSI_ASC_INTERNAL_TARGET_FAILURE);
		scsi_command_finish(command);
		return;
	}
	command->progress = (end + command->unit->block_bytes - 1) >> command->unit->block_shift;
	count_next(command);
}

static void count_next(struct scsi_command *command)
{
	uint64_t capacity = scsi_unit_blocks(command->unit);

	if (command->progress >= capacity) {
		reply_used(command);
		return;
	}
	scsi_command_submit_range(command, TGTKIT_EXTENTS, 0, command->progress, capacity - command->progress,
				  extents_are_known);
}

void spc_log_sense(struct scsi_command *command)
{
	struct log_state *state;

	if ((command->cdb[2] & PAGE_CODE) == PAGE_SUPPORTED) {
		bool provisioning = has_provisioning(command->unit);
		uint8_t page[6] = {PAGE_SUPPORTED,   0, 0, (uint8_t)(1 + provisioning), PAGE_SUPPORTED,
				   PAGE_PROVISIONING};

		scsi_command_reply(command, page, 5u + provisioning);
		return;
	}
	if (!scsi_command_allocate_state(command, sizeof(*state)))
		return;
	state = command->private_state;
	command->io.extents = state->extents;
	command->io.extents_capacity = MOST_EXTENTS;
	count_next(command);
}
