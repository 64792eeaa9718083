/* SPDX-License-Identifier: Apache-2.0
 *
 * EXTENDED COPY(LID1), SPC-4 6.4: each step is a READ and a WRITE of the same I_T nexus, so that mapping, reservations,
 * locks and task management hold for both sides.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/extended_copy.h"
#include "scsi/handlers.h"

enum { STEP_BYTES = 512 << 10 };

struct copy {
	struct scsi_command *command;
	struct scsi_copy_list list;
	struct scsi_copy_result result; /* what is told of it when it has ended */
	size_t segment;
	struct scsi_command read, write;
	struct scsi_logical_unit *from, *to;
	uint64_t bytes, bytes_done; /* of the segment */
	uint32_t step_bytes;
	bool backwards; /* the destination overlaps the end of the source */
};

bool spc_extended_copy_offered(const struct scsi_logical_unit *unit)
{
	return unit->extended_copy;
}

bool spc_extended_copy_decode(struct scsi_command *command)
{
	enum { MOST_BYTES = 65536 };

	if (command->transfer_length > MOST_BYTES)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	return true;
}

static void finish(struct copy *copy, bool ok, uint16_t asc)
{
	struct scsi_command *command = copy->command;
	struct scsi_copy_result *held;

	copy->result.status = ok ? SCSI_COPY_COMPLETE : SCSI_COPY_FAILED;
	if (copy->list.holds_results && !command->cancelled) {
		held = scsi_copy_result_add(command->nexus_lun, copy->list.id);
		if (held != NULL) {
			held->status = copy->result.status;
			held->segments_done = copy->result.segments_done;
			held->bytes_done = copy->result.bytes_done;
		}
	}
	if (!ok)
		scsi_sense_fail_at(command, SCSI_KEY_COPY_ABORTED, asc, copy->segment);
	scsi_command_finish(command);
}

static void next_step(struct copy *copy);

/* A READ(16) or WRITE(16) of the nexus itself.  false: it was refused. */
static bool prepare(struct copy *copy, struct scsi_command *step, bool write, uint16_t lun, uint64_t lba,
		    void (*done)(struct scsi_command *step))
{
	uint32_t shift = (write ? copy->to : copy->from)->block_shift;

	memset(step, 0, sizeof(*step));
	step->nexus = copy->command->nexus;
	step->internal = true;
	step->done = done;
	scsi_lun_encode(lun, step->lun);
	step->cdb[0] = write ? 0x8a : 0x88;
	rt_put_be64(step->cdb + 2, lba);
	rt_put_be32(step->cdb + 10, copy->step_bytes >> shift);
	step->expected_data_out_length = write ? copy->step_bytes : 0;
	return scsi_command_prepare(step);
}

static uint64_t step_offset(const struct copy *copy)
{
	return copy->backwards ? copy->bytes - copy->bytes_done - copy->step_bytes : copy->bytes_done;
}

static bool step_failed(const struct copy *copy, const struct scsi_command *step)
{
	return copy->command->cancelled || step->aborted || step->status != SCSI_GOOD;
}

static void is_written(struct scsi_command *step)
{
	struct copy *copy = RT_CONTAINER_OF(step, struct copy, write);
	bool failed = step_failed(copy, step);

	scsi_command_release(&copy->write);
	scsi_command_release(&copy->read);
	if (failed) {
		finish(copy, false, SCSI_ASC_NONE);
		return;
	}
	copy->bytes_done += copy->step_bytes;
	copy->result.bytes_done += copy->step_bytes;
	next_step(copy);
}

static void is_read(struct scsi_command *step)
{
	struct copy *copy = RT_CONTAINER_OF(step, struct copy, read);
	const struct scsi_copy_segment *segment = &copy->list.segments[copy->segment];
	uint64_t lba = segment->destination_lba + (step_offset(copy) >> copy->to->block_shift);
	uint16_t lun = copy->list.targets[segment->destination].lun;

	if (step_failed(copy, step) || !prepare(copy, &copy->write, true, lun, lba, is_written)) {
		scsi_command_release(&copy->read);
		finish(copy, false, SCSI_ASC_NONE);
		return;
	}
	copy->write.data_out = copy->read.data_in; /* lent: the READ keeps and releases it */
	copy->write.data_out_length = copy->step_bytes;
	scsi_command_execute(&copy->write);
}

static void read_step(struct copy *copy)
{
	const struct scsi_copy_segment *segment = &copy->list.segments[copy->segment];
	uint64_t left = copy->bytes - copy->bytes_done;
	uint64_t lba;

	copy->step_bytes = left < STEP_BYTES ? (uint32_t)left : STEP_BYTES;
	lba = segment->source_lba + (step_offset(copy) >> copy->from->block_shift);
	if (prepare(copy, &copy->read, false, copy->list.targets[segment->source].lun, lba, is_read))
		scsi_command_execute(&copy->read);
	else
		finish(copy, false, SCSI_ASC_NONE);
}

static struct scsi_logical_unit *reach(struct copy *copy, uint16_t index)
{
	const struct scsi_copy_target *target;
	const struct scsi_lun_mapping *mapping;

	if (index >= copy->list.target_count)
		return NULL;
	target = &copy->list.targets[index];
	if (!target->reachable)
		return NULL;
	mapping = scsi_lun_map_find(copy->command->nexus->lun_map, target->lun);
	if (mapping == NULL || mapping->unit == NULL ||
	    (target->block_bytes != 0 && target->block_bytes != mapping->unit->block_bytes))
		return NULL;
	return mapping->unit;
}

static bool fits(struct scsi_logical_unit *unit, uint64_t lba, uint64_t bytes)
{
	uint64_t capacity = scsi_unit_blocks(unit);

	return lba <= capacity && bytes >> unit->block_shift <= capacity - lba;
}

/* false: the segment cannot be copied; the additional sense code says why. */
static bool begin_segment(struct copy *copy, uint16_t *asc)
{
	const struct scsi_copy_segment *segment = &copy->list.segments[copy->segment];
	uint32_t shift;

	copy->from = reach(copy, segment->source);
	copy->to = reach(copy, segment->destination);
	*asc = SCSI_ASC_COPY_TARGET_NOT_REACHABLE;
	if (copy->from == NULL || copy->to == NULL)
		return false;
	*asc = SCSI_ASC_NONE;
	shift = (segment->counts_destination_blocks ? copy->to : copy->from)->block_shift;
	copy->bytes = (uint64_t)segment->blocks << shift;
	copy->bytes_done = 0;
	copy->backwards = copy->from == copy->to && segment->destination_lba > segment->source_lba;
	return copy->bytes % copy->from->block_bytes == 0 && copy->bytes % copy->to->block_bytes == 0 &&
	       fits(copy->from, segment->source_lba, copy->bytes) &&
	       fits(copy->to, segment->destination_lba, copy->bytes);
}

static void next_segment(struct copy *copy)
{
	uint16_t asc;

	for (; copy->segment < copy->list.segment_count; copy->segment++, copy->result.segments_done++) {
		if (!begin_segment(copy, &asc)) {
			finish(copy, false, asc);
			return;
		}
		if (copy->bytes > 0) {
			read_step(copy);
			return;
		}
	}
	finish(copy, true, SCSI_ASC_NONE);
}

static void next_step(struct copy *copy)
{
	if (copy->bytes_done < copy->bytes) {
		read_step(copy);
		return;
	}
	copy->segment++;
	copy->result.segments_done++;
	next_segment(copy);
}

static bool take_list(struct scsi_command *command, struct copy *copy)
{
	uint8_t *bytes = malloc(command->data_out_length);
	bool ok;

	if (bytes == NULL) {
		command->status = SCSI_BUSY;
		return false;
	}
	rt_segments_read(command->data_out.segments, command->data_out.segment_count, 0, bytes,
			 command->data_out_length);
	ok = scsi_copy_list_decode(command, bytes, command->data_out_length, &copy->list);
	free(bytes);
	return ok;
}

void spc_extended_copy(struct scsi_command *command)
{
	struct copy *copy;

	if (command->data_out_length != command->transfer_length) {
		scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
		scsi_command_finish(command);
		return;
	}
	if (command->transfer_length == 0) {
		scsi_command_good(command);
		return;
	}
	if (!scsi_command_allocate_state(command, sizeof(*copy)))
		return;
	copy = command->private_state;
	copy->command = command;
	if (take_list(command, copy))
		next_segment(copy);
	else
		scsi_command_finish(command);
}
