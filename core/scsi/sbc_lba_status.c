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

/* A part of a physical block has no status of its own, and every descriptor begins and ends with one.  Asked from
 * within one, the list begins with the next, if there is one.  SBC-4 5.6.2 wants the LBA that was asked for; but
 * libiscsi's GetLBAStatus.UnmapSingle, which has to pass on units of several logical blocks per physical one, asks for
 * the second logical block of a physical one and wants to be told of the next.  For everybody who goes from descriptor
 * to descriptor both are the same. */
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

/* In logical blocks; the last physical block of a unit may be a part of one. */
static uint64_t end_of_data(struct scsi_logical_unit *unit, uint64_t bytes)
{
	uint64_t capacity = scsi_unit_blocks(unit);
	uint64_t end = rt_round_up(bytes, (uint64_t)unit->block_bytes << unit->physical_exponent) >> unit->block_shift;

	return end < capacity ? end : capacity;
}

static uint64_t end_of_hole(struct scsi_logical_unit *unit, uint64_t bytes)
{
	uint64_t end = bytes >> unit->block_shift;

	return end < scsi_unit_blocks(unit) ? end >> unit->physical_exponent << unit->physical_exponent : end;
}

/* A physical block is deallocated only if all of it is a hole: data reaches up to the end of its last block, and down
 * to the beginning of its first. */
static void put_extents(struct status_list *list)
{
	const struct store_request *io = &list->command->io;
	struct scsi_logical_unit *unit = list->command->unit;

	for (uint32_t i = 0; i < io->extents_count; i++) {
		const struct tgtkit_extent *extent = &io->extents[i];
		uint64_t end = extent->offset + extent->length;
		bool hole = (extent->flags & TGTKIT_EXTENT_HOLE) != 0;

		if (!extend(list, hole ? end_of_hole(unit, end) : end_of_data(unit, end), hole ? DEALLOCATED : MAPPED))
			break;
	}
	/* The store has told of less than a physical block: nothing is known of it, so it counts as mapped. */
	if (list->lba == list->command->lba)
		extend(list, end_of_data(unit, (list->lba + 1) << unit->block_shift), MAPPED);
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
