/* SPDX-License-Identifier: Apache-2.0
 *
 * One request as one libnbd command.  libnbd calls back with its handle locked, so that a callback only notes the
 * result; remote_connection_settle does the rest.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "unit.h"

#define EXTENTS_LIMIT_BYTES (1u << 30) /* of the 32 bits that a command has for its length */
/* At most: of a reply without data, and of a piece of data or of a hole. */
#define REPLY_HEADER_BYTES 20
#define PIECE_HEADER_BYTES 32

/* The result is known: libnbd need not keep the command (1). */
static int replied(void *user_data, int *error)
{
	struct remote_io *io = user_data;

	io->error = *error;
	if (io->operation == TGTKIT_READ && io->error == 0 && io->seen_bytes != io->length)
		io->error = EIO;
	if (io->error == 0 && io->operation != TGTKIT_READ && io->operation != TGTKIT_EXTENTS)
		io->connection->reply_bytes += REPLY_HEADER_BYTES;
	STAILQ_INSERT_TAIL(&io->connection->answered, io, reply);
	return 1;
}

/* ---- Reads --------------------------------------------------------------------------------------------------------- */

/* A reply may come in pieces.  Those that follow one another, up to the end, have left nothing out. */
static int piece_arrived(void *user_data, const void *data, size_t count, uint64_t offset, unsigned status, int *error)
{
	struct remote_io *io = user_data;

	(void)data;
	(void)error;
	if (status == LIBNBD_READ_ERROR)
		return 0;
	io->is_scattered |= offset != io->offset + io->seen_bytes;
	io->seen_bytes += count;
	io->connection->reply_bytes += PIECE_HEADER_BYTES + (status == LIBNBD_READ_DATA ? count : 0);
	return 0;
}

/* Having libnbd zero all memory first costs as much as another copy.  Without it, what a server leaves out would show
 * what was in that memory before, so replies in pieces that cannot be accounted for need it. */
static int64_t send_read(struct remote_io *io, struct nbd_handle *nbd, nbd_completion_callback completion)
{
	const bool initialize = io->unit->initializes_reads;

	if (nbd_get_pread_initialize(nbd) != initialize && nbd_set_pread_initialize(nbd, initialize) != 0)
		return -1;
	io->seen_bytes = 0;
	io->is_initialized = initialize;
	io->is_scattered = false;
	return nbd_aio_pread_structured(nbd, io->data, io->length, io->offset,
					(nbd_chunk_callback){.callback = piece_arrived, .user_data = io}, completion,
					0);
}

bool remote_command_must_repeat(const struct remote_io *io)
{
	return io->operation == TGTKIT_READ && io->is_scattered && !io->is_initialized;
}

/* ---- Extents ------------------------------------------------------------------------------------------------------- */

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

static int extents_arrived(void *user_data, const char *context, uint64_t offset, uint32_t *entries, size_t count,
			   int *error)
{
	struct remote_io *io = user_data;

	(void)error;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
		return 0;
	io->request->extents_count = 0;
	for (size_t i = 0; i + 1 < count; i += 2) {
		io->nonsense |= entries[i] == 0;
		add_extent(io->request, offset, offset + entries[i], entries[i + 1]);
		offset += entries[i];
	}
	return 0;
}

static int64_t send_extents(struct remote_io *io, struct nbd_handle *nbd, nbd_completion_callback completion)
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
	return nbd_aio_block_status(nbd, end - start, start,
				    (nbd_extent_callback){.callback = extents_arrived, .user_data = io}, completion, 0);
}

/* ---- The others ---------------------------------------------------------------------------------------------------- */

/* A server that cannot do it fast is asked for pieces that it answers in time. */
static int64_t send_zero(struct remote_io *io, struct nbd_handle *nbd, nbd_completion_callback completion)
{
	uint32_t flags = io->flags & TGTKIT_REQUEST_FUA ? LIBNBD_CMD_FLAG_FUA : 0;
	uint64_t left = io->length - io->done_bytes;

	if (!(io->flags & TGTKIT_REQUEST_MAY_UNMAP))
		flags |= LIBNBD_CMD_FLAG_NO_HOLE;
	if (io->unit->export.can_fast_zero && !io->slow)
		flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
	else if (left > REMOTE_SLOW_ZERO_BYTES)
		left = REMOTE_SLOW_ZERO_BYTES;
	io->sent_bytes = left;
	return nbd_aio_zero(nbd, left, io->offset + io->done_bytes, completion, flags);
}

bool remote_command_send(struct remote_io *io, struct nbd_handle *nbd)
{
	const nbd_completion_callback completion = {.callback = replied, .user_data = io};
	const uint32_t fua = io->flags & TGTKIT_REQUEST_FUA ? LIBNBD_CMD_FLAG_FUA : 0;
	int64_t cookie;

	switch (io->operation) {
	case TGTKIT_READ:
		cookie = send_read(io, nbd, completion);
		break;
	case TGTKIT_WRITE:
		cookie = nbd_aio_pwrite(nbd, io->data, io->length, io->offset, completion, fua);
		break;
	case TGTKIT_FLUSH:
		cookie = nbd_aio_flush(nbd, completion, 0);
		break;
	case TGTKIT_DISCARD:
		cookie = nbd_aio_trim(nbd, io->length, io->offset, completion, fua);
		break;
	case TGTKIT_ZERO:
		cookie = send_zero(io, nbd, completion);
		break;
	default:
		cookie = send_extents(io, nbd, completion);
		break;
	}
	if (cookie < 0)
		io->error = nbd_get_errno() > 0 ? nbd_get_errno() : EINVAL;
	return cookie >= 0;
}
