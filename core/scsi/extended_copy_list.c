/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameter list of EXTENDED COPY(LID1), SPC-4 6.4.3.
 */
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/extended_copy.h"
#include "scsi/vpd.h"

enum { HEADER_BYTES = 16, TARGET_BYTES = 32, SEGMENT_BYTES = 28 };
enum { LIST_ID_USAGE = 0x18, USAGE_HOLD = 0x00, DESTINATION_COUNT = 0x02, PERIPHERAL_DEVICE_TYPE = 0x1f };

static bool fail(struct scsi_command *command, uint16_t asc)
{
	return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, asc);
}

static bool is_designated(const struct scsi_logical_unit *unit, const uint8_t *designation)
{
	uint8_t designators[SCSI_UNIT_DESIGNATORS_BYTES];
	size_t length = scsi_unit_designators(unit, designators);

	/* Code set, association and type, length, and the designator itself, wherever it stands in the page 83h. */
	for (size_t at = 0; at < length; at += 4u + designators[at + 3]) {
		const uint8_t *own = designators + at;

		if ((own[0] & 0x0f) == (designation[0] & 0x0f) && (own[1] & 0x3f) == (designation[1] & 0x3f) &&
		    own[3] == designation[3] && memcmp(own + 4, designation + 4, own[3]) == 0)
			return true;
	}
	return false;
}

static bool decode_target(struct scsi_command *command, const uint8_t *bytes, struct scsi_copy_target *target)
{
	const struct scsi_lun_map *map = command->nexus->lun_map;
	enum { MOST_DESIGNATOR_BYTES = 20 };

	if (bytes[0] != SCSI_COPY_IDENTIFICATION)
		return fail(command, SCSI_ASC_UNSUPPORTED_TARGET_DESCRIPTOR);
	if ((bytes[1] & PERIPHERAL_DEVICE_TYPE) != 0)
		return true; /* only disks are reachable */
	target->block_bytes = rt_get_be24(bytes + 29);
	if (bytes[7] > MOST_DESIGNATOR_BYTES)
		return true;
	for (size_t i = 0; i < map->count && !target->reachable; i++) {
		if (map->mappings[i].unit == NULL)
			continue;
		target->reachable = is_designated(map->mappings[i].unit, bytes + 4);
		target->lun = map->mappings[i].lun;
	}
	return true;
}

static bool decode_segment(struct scsi_command *command, const uint8_t *bytes, struct scsi_copy_segment *segment)
{
	if (bytes[0] != SCSI_COPY_BLOCK_TO_BLOCK)
		return fail(command, SCSI_ASC_UNSUPPORTED_SEGMENT_DESCRIPTOR);
	if (rt_get_be16(bytes + 2) != SEGMENT_BYTES - 4)
		return fail(command, SCSI_ASC_INVALID_FIELD_IN_PARAMETER_LIST);
	*segment = (struct scsi_copy_segment){
	    .source = rt_get_be16(bytes + 4),
	    .destination = rt_get_be16(bytes + 6),
	    .counts_destination_blocks = (bytes[1] & DESTINATION_COUNT) != 0,
	    .blocks = rt_get_be16(bytes + 10),
	    .source_lba = rt_get_be64(bytes + 12),
	    .destination_lba = rt_get_be64(bytes + 20),
	};
	return true;
}

static bool check_lengths(struct scsi_command *command, uint32_t targets, uint64_t segments, uint64_t inline_data,
			  size_t length)
{
	if (targets + segments > SCSI_COPY_MOST_LIST_BYTES || HEADER_BYTES + targets + segments + inline_data > length)
		return fail(command, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	if (targets > SCSI_COPY_MOST_TARGETS * TARGET_BYTES)
		return fail(command, SCSI_ASC_TOO_MANY_TARGET_DESCRIPTORS);
	if (segments > SCSI_COPY_MOST_SEGMENTS * SEGMENT_BYTES)
		return fail(command, SCSI_ASC_TOO_MANY_SEGMENT_DESCRIPTORS);
	if (inline_data != 0)
		return scsi_sense_invalid_parameter(command, 12, 7);
	return true;
}

bool scsi_copy_list_decode(struct scsi_command *command, const uint8_t *bytes, size_t length,
			   struct scsi_copy_list *list)
{
	uint32_t targets, segments;

	if (length < HEADER_BYTES)
		return fail(command, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	targets = rt_get_be16(bytes + 2);
	segments = rt_get_be32(bytes + 8);
	if (!check_lengths(command, targets, segments, rt_get_be32(bytes + 12), length))
		return false;
	list->id = bytes[0];
	list->holds_results = (bytes[1] & LIST_ID_USAGE) == USAGE_HOLD;
	/* The types first: a descriptor of another length throws the rest out of step. */
	for (bytes += HEADER_BYTES; targets > 0; bytes += TARGET_BYTES, targets -= TARGET_BYTES) {
		if (bytes[0] != SCSI_COPY_IDENTIFICATION)
			return fail(command, SCSI_ASC_UNSUPPORTED_TARGET_DESCRIPTOR);
		if (targets < TARGET_BYTES)
			return fail(command, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
		if (!decode_target(command, bytes, &list->targets[list->target_count++]))
			return false;
	}
	for (; segments > 0; bytes += SEGMENT_BYTES, segments -= SEGMENT_BYTES) {
		if (bytes[0] != SCSI_COPY_BLOCK_TO_BLOCK)
			return fail(command, SCSI_ASC_UNSUPPORTED_SEGMENT_DESCRIPTOR);
		if (segments < SEGMENT_BYTES)
			return fail(command, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
		if (!decode_segment(command, bytes, &list->segments[list->segment_count++]))
			return false;
	}
	return true;
}
