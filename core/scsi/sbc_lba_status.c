/* SPDX-License-Identifier: Apache-2.0
 *
 * GET LBA STATUS, SBC-4 5.6: from the store's extents.
 */
#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/validate.h"

enum { HEADER_BYTES = 8, DESCRIPTOR_BYTES = 16, MOST_EXTENTS = 128 };
enum lba_status { MAPPED = 0, DEALLOCATED = 1 };

struct lba_status_state {
	struct tgtkit_extent extents[MOST_EXTENTS];
};

/* A part of a physical block has no status of its own: from within one, the list begins with the next one, if there is
 * one, as libiscsi's conformance suite expects. */
bool sbc_get_lba_status_decode(struct scsi_command *command)
{
	uint64_t whole;

	if (!scsi_validate_range(command, command->lba, 1))
		return false;
	whole = rt_round_up(command->lba, UINT64_C(1) << command->unit->physical_exponent);
	if (whole < scsi_unit_blocks(command->unit))
		command->lba = whole;
	return true;
}

/* One descriptor being built: neighbours of one status go together. */
struct status_list {
	struct scsi_command *command;
	uint64_t lba; /* of the next block to be told */
	uint64_t first;
	enum lba_status status;
	uint32_t descriptors;
};

static void put_descriptor(struct status_list *list)
{
	uint64_t blocks = list->lba - list->first;
	uint8_t descriptor[DESCRIPTOR_BYTES] = {0};

	if (blocks == 0)
		return;
	rt_put_be64(descriptor, list->first);
	rt_put_be32(descriptor + 8, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	descriptor[12] = (uint8_t)list->status;
	scsi_command_reply_at(list->command, HEADER_BYTES + (size_t)list->descriptors * DESCRIPTOR_BYTES, descriptor,
			      sizeof(descriptor));
	list->descriptors++;
	list->first = list->lba;
}

/* false: a descriptor cannot count that many blocks, so the list ends here. */
static bool extend(struct status_list *list, uint64_t end, enum lba_status status)
{
	if (end <= list->lba)
		return true;
	if (status != list->status) {
		put_descriptor(list);
		list->status = status;
	}
	list->lba = end;
	return list->lba - list->first <= UINT32_MAX;
}

static uint64_t round_up(const struct scsi_command *command, uint64_t bytes)
{
	return (bytes >> command->unit->block_shift) + ((bytes & (command->unit->block_bytes - 1)) != 0);
}

/* A block is deallocated only if all of it is a hole: data reaches up to the end of its last block, and down to the
 * beginning of its first. */
static void put_extents(struct status_list *list)
{
	const struct store_request *io = &list->command->io;

	for (uint32_t i = 0; i < io->extents_count; i++) {
		const struct tgtkit_extent *extent = &io->extents[i];
		uint64_t end = extent->offset + extent->length;
		bool hole = (extent->flags & TGTKIT_EXTENT_HOLE) != 0;
		uint64_t last = hole ? end >> list->command->unit->block_shift : round_up(list->command, end);

		if (!extend(list, last, hole ? DEALLOCATED : MAPPED))
			break;
	}
	put_descriptor(list);
}

static void extents_are_known(struct scsi_command *command)
{
	const struct tgtkit_extent *first = command->io.extents;
	struct status_list list = {.command = command,
				   .lba = command->lba,
				   .first = command->lba,
				   .status = first->flags & TGTKIT_EXTENT_HOLE ? DEALLOCATED : MAPPED};
	uint8_t header[HEADER_BYTES] = {0};

	put_extents(&list);
	rt_put_be32(header, HEADER_BYTES - 4 + list.descriptors * DESCRIPTOR_BYTES);
	scsi_command_reply_at(command, 0, header, sizeof(header));
	scsi_command_good(command);
}

void sbc_get_lba_status(struct scsi_command *command)
{
	struct lba_status_state *state;

	if (!scsi_command_allocate_state(command, sizeof(*state)))
		return;
	state = command->private_state;
	command->io.extents = state->extents;
	command->io.extents_capacity = MOST_EXTENTS;
	scsi_command_submit_range(command, TGTKIT_EXTENTS, 0, command->lba,
				  scsi_unit_blocks(command->unit) - command->lba, extents_are_known);
}
