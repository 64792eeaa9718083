/* SPDX-License-Identifier: Apache-2.0
 *
 * MODE SELECT(6) and (10), SPC-5 6.12 and 6.13.
 */
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/mode_pages.h"

enum { MODE_SELECT_6 = 0x15, MOST_LIST_BYTES = 512, LONGLBA = 0x01, SUBPAGE_FORMAT = 0x40, PAGE_CODE = 0x3f };

struct mode_list {
	uint8_t bytes[MOST_LIST_BYTES];
	size_t length;
};

bool spc_mode_select_decode(struct scsi_command *command)
{
	if (command->transfer_length > MOST_LIST_BYTES)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	return true;
}

static bool too_short(struct scsi_command *command)
{
	return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
}

/* The block descriptor may only repeat what is: all blocks (or 0, or all ones), of the size they have. */
static bool check_block_descriptor(struct scsi_command *command, const struct mode_list *list, size_t at, bool is_long)
{
	uint64_t capacity = scsi_unit_blocks(command->unit), blocks = rt_get_be32(list->bytes + at);
	uint32_t block_bytes = rt_get_be24(list->bytes + at + 5);
	bool all = blocks == UINT32_MAX;

	if (is_long) {
		blocks = rt_get_be64(list->bytes + at);
		block_bytes = rt_get_be32(list->bytes + at + 12);
		all = blocks == UINT64_MAX;
	}
	if (blocks != 0 && blocks != capacity && !all)
		return scsi_sense_invalid_parameter(command, (unsigned)at, SCSI_NO_BIT);
	if (block_bytes != 0 && block_bytes != command->unit->block_bytes)
		return scsi_sense_invalid_parameter(command, (unsigned)at + (is_long ? 12 : 5), SCSI_NO_BIT);
	return true;
}

/* Sets *at to where the pages begin. */
static bool check_header(struct scsi_command *command, const struct mode_list *list, size_t *at)
{
	bool is_6 = command->cdb[0] == MODE_SELECT_6, is_long;
	size_t header = is_6 ? 4 : 8, descriptor;

	if (list->length < header)
		return too_short(command);
	descriptor = is_6 ? list->bytes[3] : rt_get_be16(list->bytes + 6);
	is_long = !is_6 && (list->bytes[4] & LONGLBA) != 0;
	if (descriptor != 0 && descriptor != (is_long ? 16u : 8u))
		return scsi_sense_invalid_parameter(command, is_6 ? 3 : 6, SCSI_NO_BIT);
	if (list->length < header + descriptor)
		return too_short(command);
	*at = header + descriptor;
	return descriptor == 0 || check_block_descriptor(command, list, header, is_long);
}

/* Only changeable bits may differ from what is in force. */
static bool check_values(struct scsi_command *command, const struct scsi_mode_page *kind, const uint8_t *page,
			 size_t at)
{
	uint8_t current[SCSI_MODE_PAGE_ROOM], changeable[SCSI_MODE_PAGE_ROOM];

	scsi_mode_page_build(kind, command->unit, SCSI_PAGE_CURRENT, current);
	scsi_mode_page_build(kind, command->unit, SCSI_PAGE_CHANGEABLE, changeable);
	for (size_t i = 2; i < kind->length; i++) {
		unsigned wrong = (page[i] ^ current[i]) & ~(unsigned)changeable[i] & 0xff;

		if (wrong != 0)
			return scsi_sense_invalid_parameter(command, (unsigned)(at + i),
							    31u - (unsigned)__builtin_clz(wrong));
	}
	return true;
}

/* The page at *at, which is moved behind it.  NULL: sense is set. */
static const struct scsi_mode_page *check_page(struct scsi_command *command, const struct mode_list *list, size_t *at)
{
	const uint8_t *page = list->bytes + *at;
	const struct scsi_mode_page *kind;

	if (list->length - *at < 2) {
		too_short(command);
		return NULL;
	}
	kind = page[0] & SUBPAGE_FORMAT ? NULL : scsi_mode_page_find(page[0] & PAGE_CODE);
	if (kind == NULL) {
		scsi_sense_invalid_parameter(command, (unsigned)*at, 5);
		return NULL;
	}
	if (page[1] != kind->length - 2) {
		scsi_sense_invalid_parameter(command, (unsigned)*at + 1, 7);
		return NULL;
	}
	if (list->length - *at < kind->length) {
		too_short(command);
		return NULL;
	}
	if (!check_values(command, kind, page, *at))
		return NULL;
	*at += kind->length;
	return kind;
}

static bool check_list(struct scsi_command *command, const struct mode_list *list)
{
	size_t at;

	if (command->data_out_length != command->transfer_length)
		return too_short(command);
	if (list->length == 0)
		return true;
	if (!check_header(command, list, &at))
		return false;
	while (at < list->length)
		if (check_page(command, list, &at) == NULL)
			return false;
	return true;
}

static bool apply_page(struct scsi_logical_unit *unit, const struct scsi_mode_page *kind, const uint8_t *values)
{
	uint8_t before[SCSI_MODE_PAGE_ROOM], after[SCSI_MODE_PAGE_ROOM];

	scsi_mode_page_build(kind, unit, SCSI_PAGE_CURRENT, before);
	kind->apply(unit, values);
	scsi_mode_page_build(kind, unit, SCSI_PAGE_CURRENT, after);
	return memcmp(before, after, sizeof(before)) != 0;
}

/* Whether anything has changed. */
static bool apply_list(struct scsi_command *command, const struct mode_list *list)
{
	bool changed = false;
	size_t at;

	if (list->length == 0 || !check_header(command, list, &at))
		return false;
	while (at < list->length) {
		const uint8_t *values = list->bytes + at;

		changed |= apply_page(command->unit, check_page(command, list, &at), values);
	}
	return changed;
}

static void tell_lane(struct scsi_visit *visit, struct scsi_lane *lane)
{
	const struct scsi_command *command = visit->context;

	scsi_unit_attention_raise_lane(lane, SCSI_UA_MODE_PARAMETERS_CHANGED, command->nexus_lun);
}

static void is_done(struct scsi_command *command)
{
	scsi_command_good(command);
}

/* What was written before the cache was switched off, or the unit write-protected, becomes stable. */
static void all_told(struct scsi_visit *visit)
{
	struct scsi_command *command = visit->context;

	scsi_visit_free(visit);
	scsi_command_submit_range(command, TGTKIT_FLUSH, 0, 0, 0, is_done);
}

void spc_mode_select(struct scsi_command *command)
{
	struct mode_list list = {.length = command->data_out_length};
	struct scsi_visit *visit;

	rt_segments_read(command->data_out.segments, command->data_out.segment_count, 0, list.bytes, list.length);
	if (!check_list(command, &list)) {
		scsi_command_finish(command);
		return;
	}
	visit = scsi_visit_create(command->unit, NULL);
	if (visit == NULL) {
		command->status = SCSI_BUSY;
		scsi_command_finish(command);
		return;
	}
	if (!apply_list(command, &list)) {
		scsi_visit_free(visit);
		scsi_command_good(command);
		return;
	}
	visit->context = command;
	visit->arrive = tell_lane;
	visit->finished = all_told;
	scsi_visit_start(visit);
}
