/* SPDX-License-Identifier: Apache-2.0
 *
 * One request as one command of the protocol, for the connection's stream or for libnbd.  libnbd calls back with its
 * handle locked, so that a callback only notes the result; remote_connection_settle does the rest.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "unit.h"

#define EXTENTS_LIMIT_BYTES (1u << 30) /* of the 32 bits that a command has for its length */

/* libnbd holds on to a read that seems well (0), until it is asked whether all bytes came; others are over (1). */
static int replied(void *user_data, int *error)
{
	struct remote_io *io = user_data;

	io->error = *error;
	io->needs_retirement = io->operation == TGTKIT_READ && *error == 0 && io->connection->retires_reads;
	STAILQ_INSERT_TAIL(&io->connection->answered, io, reply);
	return io->needs_retirement ? 0 : 1;
}

/* ---- Extents ----------------------------------------------------------------------------------------------------- */

/* Appends what of [start, end) was asked for. */
static void add_extent(struct tgtkit_request *request, uint64_t start, uint64_t end, uint32_t state)
{
	const uint64_t request_end = request->offset + request->length;

	if (start < request->offset)
		start = request->offset;
	if (end > request_end)
		end = request_end;
	if (start >= end || request->extents_count == request->extents_capacity)
		return;
	request->extents[request->extents_count++] = (struct tgtkit_extent){
	    .offset = start,
	    .length = end - start,
	    .flags = (state & LIBNBD_STATE_HOLE ? TGTKIT_EXTENT_HOLE : 0u) |
		     (state & LIBNBD_STATE_ZERO ? TGTKIT_EXTENT_ZERO : 0u),
	};
}

void remote_command_extent(struct remote_io *io, uint64_t offset, uint32_t length, uint32_t state)
{
	io->nonsense |= length == 0;
	add_extent(io->request, offset, offset + length, state);
}

static int extents_arrived(void *user_data, const char *context, uint64_t offset, uint32_t *entries, size_t count,
			   int *error)
{
	struct remote_io *io = user_data;

	(void)error;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
		return 0;
	io->request->extents_count = 0;
	for (size_t i = 0; i + 1 < count; i += 2) {
		remote_command_extent(io, offset, entries[i], entries[i + 1]);
		offset += entries[i];
	}
	return 0;
}

/* Whole blocks of the server's. */
static void describe_extents(struct remote_io *io, struct remote_command *command)
{
	const struct remote_export *export = &io->unit->export;
	const uint64_t block = export->minimum_block_bytes == 0 ? 1 : export->minimum_block_bytes;
	const uint64_t start = io->offset / block * block, limit = export->size_bytes / block * block;
	uint64_t end = (io->offset + io->length + block - 1) / block * block;

	if (end > limit)
		end = limit;
	if (end - start > EXTENTS_LIMIT_BYTES)
		end = start + EXTENTS_LIMIT_BYTES;
	io->request->extents_count = 0;
	io->nonsense = false;
	*command =
	    (struct remote_command){.type = NBD_CMD_BLOCK_STATUS, .length = (uint32_t)(end - start), .offset = start};
}

/* ---- The others -------------------------------------------------------------------------------------------------- */

/* A server that cannot do it fast is asked for pieces that it answers in time. */
static void describe_zero(struct remote_io *io, struct remote_command *command)
{
	uint64_t left = io->length - io->done_bytes;

	command->type = NBD_CMD_WRITE_ZEROES;
	if (!(io->flags & TGTKIT_REQUEST_MAY_UNMAP))
		command->flags |= LIBNBD_CMD_FLAG_NO_HOLE;
	if (io->unit->export.can_fast_zero && !io->slow)
		command->flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
	else if (left > REMOTE_SLOW_ZERO_BYTES)
		left = REMOTE_SLOW_ZERO_BYTES;
	io->sent_bytes = left;
	command->offset = io->offset + io->done_bytes;
	command->length = (uint32_t)left;
}

static void describe(struct remote_io *io, struct remote_command *command)
{
	*command = (struct remote_command){.flags = io->flags & TGTKIT_REQUEST_FUA ? LIBNBD_CMD_FLAG_FUA : 0,
					   .length = (uint32_t)io->length,
					   .offset = io->offset};
	switch (io->operation) {
	case TGTKIT_READ:
		command->type = NBD_CMD_READ;
		command->flags = 0;
		break;
	case TGTKIT_WRITE:
		command->type = NBD_CMD_WRITE;
		break;
	case TGTKIT_FLUSH:
		*command = (struct remote_command){.type = NBD_CMD_FLUSH};
		break;
	case TGTKIT_DISCARD:
		command->type = NBD_CMD_TRIM;
		break;
	case TGTKIT_ZERO:
		describe_zero(io, command);
		break;
	default:
		describe_extents(io, command);
		break;
	}
}

static int64_t ask_libnbd(struct remote_io *io, struct nbd_handle *nbd)
{
	const struct remote_command *command = &io->transfer.command;
	const nbd_completion_callback completion = {.callback = replied, .user_data = io};

	switch (command->type) {
	case NBD_CMD_READ:
		return nbd_aio_pread(nbd, io->data, command->length, command->offset, completion, 0);
	case NBD_CMD_WRITE:
		return nbd_aio_pwrite(nbd, io->data, command->length, command->offset, completion, command->flags);
	case NBD_CMD_FLUSH:
		return nbd_aio_flush(nbd, completion, 0);
	case NBD_CMD_TRIM:
		return nbd_aio_trim(nbd, command->length, command->offset, completion, command->flags);
	case NBD_CMD_WRITE_ZEROES:
		return nbd_aio_zero(nbd, command->length, command->offset, completion, command->flags);
	default:
		return nbd_aio_block_status(nbd, command->length, command->offset,
					    (nbd_extent_callback){.callback = extents_arrived, .user_data = io},
					    completion, 0);
	}
}

bool remote_command_send(struct remote_io *io)
{
	describe(io, &io->transfer.command);
	if (io->connection->stream.active) {
		remote_stream_add(io);
		return true;
	}
	io->cookie = ask_libnbd(io, io->connection->nbd);
	if (io->cookie < 0)
		io->error = nbd_get_errno() > 0 ? nbd_get_errno() : EINVAL;
	return io->cookie >= 0;
}
