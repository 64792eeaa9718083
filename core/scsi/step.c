/* SPDX-License-Identifier: Apache-2.0
 *
 * What handlers use: the steps of a command at the store, parameter data, parts of buffers.
 */
#include <stdlib.h>
#include <string.h>

#include "scsi/device_server.h"

static bool is_writing(uint32_t operation)
{
	return operation != TGTKIT_READ && operation != TGTKIT_EXTENTS;
}

static void io_is_done(struct store_request *io)
{
	struct scsi_command *command = RT_CONTAINER_OF(io, struct scsi_command, io);

	command->in_store = false;
	if (__builtin_expect(command->cancelled, 0)) {
		scsi_command_end(command);
	} else if (__builtin_expect(io->status != 0, 0)) {
		scsi_sense_from_errno(command, io->status, is_writing(io->operation));
		scsi_command_end(command);
	} else {
		command->resume(command);
	}
}

void scsi_command_submit(struct scsi_command *command, void (*resume)(struct scsi_command *command))
{
	struct scsi_logical_unit *unit = command->unit;

	command->resume = resume;
	command->in_store = true;
	command->io.done = io_is_done;
	command->io.deadline_ns = rt_loop_now_ns(command->nexus->worker->loop) + unit->command_timeout_ns;
	store_submit(unit->store, &command->io);
}

void scsi_command_submit_range(struct scsi_command *command, uint32_t operation, uint32_t flags, uint64_t lba,
			       uint64_t blocks, void (*resume)(struct scsi_command *command))
{
	command->io.operation = operation;
	command->io.flags = flags;
	command->io.offset = scsi_command_bytes(command, lba);
	command->io.length = scsi_command_bytes(command, blocks);
	scsi_command_submit(command, resume);
}

bool scsi_command_allocate_state(struct scsi_command *command, size_t length)
{
	command->private_state = calloc(1, length);
	if (command->private_state != NULL)
		return true;
	command->status = SCSI_BUSY;
	scsi_command_finish(command);
	return false;
}

void scsi_command_reply_at(struct scsi_command *command, size_t offset, const void *bytes, size_t length)
{
	size_t room = command->data_in.length_bytes;

	if (room > command->transfer_length)
		room = command->transfer_length;
	if (offset >= room)
		return;
	if (length > room - offset)
		length = room - offset;
	rt_segments_write(command->data_in.segments, command->data_in.segment_count, offset, bytes, length);
	if (command->data_in_length < offset + length)
		command->data_in_length = (uint32_t)(offset + length);
}

void scsi_command_reply(struct scsi_command *command, const void *parameters, size_t length)
{
	scsi_command_reply_at(command, 0, parameters, length);
	scsi_command_good(command);
}

void scsi_segments_slice(const struct rt_buffer *buffer, size_t offset, size_t length, struct scsi_segments *slice)
{
	slice->count = 0;
	for (uint32_t i = 0; i < buffer->segment_count && length > 0; i++) {
		const struct tgtkit_segment *segment = &buffer->segments[i];
		size_t here;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		here = segment->length - offset;
		if (here > length)
			here = length;
		slice->list[slice->count++] = (struct tgtkit_segment){
		    .address = (char *)segment->address + offset,
		    .length = (uint32_t)here,
		    .region = segment->region,
		};
		length -= here;
		offset = 0;
	}
}

/* Both sides are walked segment by segment. */
size_t scsi_segments_compare(const struct scsi_segments *a, const struct rt_buffer *b, size_t b_offset, size_t length)
{
	struct scsi_segments slice;
	size_t done = 0, at_a = 0, at_b = 0;
	uint32_t i = 0, j = 0;

	scsi_segments_slice(b, b_offset, length, &slice);
	while (done < length) {
		const char *left = (const char *)a->list[i].address + at_a;
		const char *right = (const char *)slice.list[j].address + at_b;
		size_t here = a->list[i].length - at_a, there = slice.list[j].length - at_b;

		if (here > there)
			here = there;
		if (memcmp(left, right, here) != 0) {
			while (*left == *right)
				left++, right++, done++;
			return done;
		}
		done += here;
		at_a += here;
		at_b += here;
		if (at_a == a->list[i].length)
			i++, at_a = 0;
		if (at_b == slice.list[j].length)
			j++, at_b = 0;
	}
	return length;
}
