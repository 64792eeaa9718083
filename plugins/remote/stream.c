/* SPDX-License-Identifier: Apache-2.0
 *
 * Out: all requests of a turn in one call.  In: whatever there is in one call, the data of a read that has begun to
 * arrive straight to its place.  See the protocol's "Transmission phase"; whatever is not in it costs the server its
 * connection, and no request.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "unit.h"

#define INPUT_BYTES	  (64u << 10)
#define REQUESTS_PER_CALL 64
#define CALLS_PER_TURN	  16 /* of one connection, before others have their turn */
#define TEXT_LIMIT_BYTES  8192u

/* ---- Requests under way ------------------------------------------------------------------------------------------ */

bool remote_stream_begin(struct remote_connection *connection)
{
	struct remote_stream *stream = &connection->stream;
	unsigned char *input = stream->input != NULL ? stream->input : malloc(INPUT_BYTES);

	*stream = (struct remote_stream){.input = input, .structured = connection->retires_reads};
	if (input == NULL)
		return false;
	STAILQ_INIT(&stream->unsent);
	for (unsigned i = 0; i < REMOTE_STREAM_SLOTS; i++)
		stream->free_slots[stream->free_slot_count++] = (uint16_t)i;
	stream->active = true;
	return true;
}

void remote_stream_end(struct remote_connection *connection)
{
	connection->stream.active = false;
}

void remote_stream_free(struct remote_stream *stream)
{
	free(stream->input);
	stream->input = NULL;
}

static void answer(struct remote_io *io, int error)
{
	struct remote_connection *connection = io->connection;
	struct remote_stream *stream = &connection->stream;

	if (io->transfer.has_slot) {
		const unsigned slot = io->transfer.cookie % REMOTE_STREAM_SLOTS;

		stream->slots[slot] = NULL;
		stream->free_slots[stream->free_slot_count++] = (uint16_t)slot;
		io->transfer.has_slot = false;
	}
	io->error = error;
	STAILQ_INSERT_TAIL(&connection->answered, io, reply);
}

static void break_off(struct remote_connection *connection, const char *reason)
{
	struct remote_stream *stream = &connection->stream;
	struct remote_io *io;

	snprintf(connection->reason, sizeof(connection->reason), "%s", reason);
	stream->broken = true;
	STAILQ_FOREACH(io, &stream->unsent, transfer.link)
	if (!io->transfer.has_slot)
		answer(io, ENOTCONN);
	STAILQ_INIT(&stream->unsent);
	for (unsigned i = 0; i < REMOTE_STREAM_SLOTS; i++)
		if (stream->slots[i] != NULL)
			answer(stream->slots[i], ENOTCONN);
}

/* ---- Out --------------------------------------------------------------------------------------------------------- */

void remote_stream_add(struct remote_io *io)
{
	struct remote_stream *stream = &io->connection->stream;
	const struct remote_command command = io->transfer.command;

	io->transfer = (struct remote_transfer){.command = command};
	io->error = 0;
	io->needs_retirement = false;
	if (stream->broken)
		answer(io, ENOTCONN);
	else
		STAILQ_INSERT_TAIL(&stream->unsent, io, transfer.link);
}

static bool take_slot(struct remote_stream *stream, struct remote_io *io)
{
	struct remote_transfer *transfer = &io->transfer;
	unsigned slot;

	if (transfer->has_slot)
		return true;
	if (stream->free_slot_count == 0)
		return false;
	slot = stream->free_slots[--stream->free_slot_count];
	stream->slots[slot] = io;
	transfer->cookie = stream->sequence++ * REMOTE_STREAM_SLOTS + slot;
	transfer->has_slot = true;
	return true;
}

static void encode(const struct remote_transfer *transfer, unsigned char header[static NBD_REQUEST_BYTES])
{
	wire_put_32(header, NBD_REQUEST_MAGIC);
	wire_put_16(header + 4, transfer->command.flags);
	wire_put_16(header + 6, transfer->command.type);
	wire_put_64(header + 8, transfer->cookie);
	wire_put_64(header + 16, transfer->command.offset);
	wire_put_32(header + 24, transfer->command.length);
}

static uint64_t payload_bytes(const struct remote_io *io)
{
	return io->transfer.command.type == NBD_CMD_WRITE ? io->transfer.command.length : 0;
}

/* Headers that follow one another are one piece. */
static unsigned append(struct iovec *pieces, unsigned count, void *address, size_t length)
{
	if (count > 0 && (char *)pieces[count - 1].iov_base + pieces[count - 1].iov_len == (char *)address) {
		pieces[count - 1].iov_len += length;
		return count;
	}
	pieces[count] = (struct iovec){address, length};
	return count + 1;
}

struct output {
	unsigned char headers[REQUESTS_PER_CALL][NBD_REQUEST_BYTES];
	struct iovec pieces[2 * REQUESTS_PER_CALL];
	unsigned count; /* of pieces */
	uint64_t bytes;
};

/* Of the first request a part may have gone. */
static void skip_sent(struct output *output, uint64_t bytes)
{
	output->bytes -= bytes;
	for (struct iovec *piece = output->pieces; bytes > 0; piece++) {
		const size_t skip = bytes < piece->iov_len ? (size_t)bytes : piece->iov_len;

		piece->iov_base = (char *)piece->iov_base + skip;
		piece->iov_len -= skip;
		bytes -= skip;
	}
}

static void gather(struct remote_stream *stream, struct output *output)
{
	struct remote_io *io;
	unsigned requests = 0;

	output->count = 0;
	output->bytes = 0;
	STAILQ_FOREACH(io, &stream->unsent, transfer.link)
	{
		if (requests == REQUESTS_PER_CALL || !take_slot(stream, io))
			break;
		encode(&io->transfer, output->headers[requests]);
		output->count = append(output->pieces, output->count, output->headers[requests++], NBD_REQUEST_BYTES);
		if (payload_bytes(io) > 0)
			output->count = append(output->pieces, output->count, io->data, payload_bytes(io));
		output->bytes += NBD_REQUEST_BYTES + payload_bytes(io);
	}
	if (output->count > 0)
		skip_sent(output, STAILQ_FIRST(&stream->unsent)->transfer.sent_bytes);
}

static void note_sent(struct remote_stream *stream, uint64_t bytes)
{
	while (bytes > 0) {
		struct remote_io *io = STAILQ_FIRST(&stream->unsent);
		const uint64_t left = NBD_REQUEST_BYTES + payload_bytes(io) - io->transfer.sent_bytes;

		if (bytes < left) {
			io->transfer.sent_bytes += bytes;
			return;
		}
		bytes -= left;
		io->transfer.is_sent = true;
		STAILQ_REMOVE_HEAD(&stream->unsent, transfer.link);
	}
}

bool remote_stream_send(struct remote_connection *connection)
{
	struct remote_stream *stream = &connection->stream;
	struct output output;
	ssize_t sent;

	while (!stream->broken && !STAILQ_EMPTY(&stream->unsent)) {
		gather(stream, &output);
		if (output.count == 0)
			break; /* a reply makes room */
		const struct msghdr message = {.msg_iov = output.pieces, .msg_iovlen = output.count};

		sent = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			break_off(connection, strerror(errno));
			return false;
		}
		if (sent > 0)
			note_sent(stream, (uint64_t)sent);
		stream->is_full = sent < 0 || (uint64_t)sent < output.bytes;
		if (stream->is_full)
			return true;
	}
	stream->is_full = false;
	return true;
}

/* ---- In: replies ------------------------------------------------------------------------------------------------- */

/* NBD's own numbers, which are Linux's on most machines only. */
static int error_of(uint32_t number)
{
	switch (number) {
	case 1:
		return EPERM;
	case 5:
		return EIO;
	case 12:
		return ENOMEM;
	case 28:
		return ENOSPC;
	case 75:
		return EOVERFLOW;
	case 95:
		return ENOTSUP;
	case 108:
		return ESHUTDOWN;
	default:
		return EINVAL;
	}
}

static bool refuse(struct remote_connection *connection, const char *what)
{
	break_off(connection, what);
	return false;
}

static struct remote_io *find(const struct remote_stream *stream, uint64_t cookie)
{
	struct remote_io *io = stream->slots[cookie % REMOTE_STREAM_SLOTS];

	return io != NULL && io->transfer.cookie == cookie && io->transfer.is_sent ? io : NULL;
}

static void reply_is_over(struct remote_stream *stream)
{
	struct remote_io *io = stream->io;

	stream->next = NEXT_REPLY;
	stream->io = NULL;
	if (!stream->is_last)
		return;
	if (io->operation == TGTKIT_READ && io->error == 0 && io->transfer.received_bytes != io->length)
		io->error = EIO;
	answer(io, io->error);
}

static void expect(struct remote_stream *stream, enum remote_stream_next next, uint64_t bytes)
{
	stream->next = next;
	stream->left = bytes;
	if (bytes == 0)
		reply_is_over(stream);
}

static bool begin_simple_reply(struct remote_connection *connection, const unsigned char *header)
{
	struct remote_stream *stream = &connection->stream;
	const uint32_t error = wire_get_32(header + 4);
	struct remote_io *io = find(stream, wire_get_64(header + 8));

	if (io == NULL)
		return refuse(connection, "the server answers a request that it was not sent");
	if (error == 0 && stream->structured && (io->operation == TGTKIT_READ || io->operation == TGTKIT_EXTENTS))
		return refuse(connection, "the server answers without the structure that was agreed on");
	stream->io = io;
	stream->is_last = true;
	io->error = error == 0 ? 0 : error_of(error);
	if (io->operation != TGTKIT_READ || error != 0) {
		expect(stream, NEXT_TEXT, 0);
		return true;
	}
	stream->into = io->data;
	io->transfer.received_bytes = io->length;
	expect(stream, NEXT_DATA, io->length);
	return true;
}

/* Room for `bytes` at `offset` of a read, NULL if they are none of it.  What arrives out of order leaves no gap that
 * holds anything else than zeros. */
static unsigned char *place_of(struct remote_io *io, uint64_t offset, uint64_t bytes)
{
	struct remote_transfer *transfer = &io->transfer;
	unsigned char *data = io->data;

	if (io->operation != TGTKIT_READ || bytes == 0 || offset < io->offset || offset - io->offset > io->length ||
	    bytes > io->length - (offset - io->offset) || bytes > io->length - transfer->received_bytes)
		return NULL;
	if (!transfer->is_scattered && offset - io->offset != transfer->received_bytes) {
		transfer->is_scattered = true;
		memset(data + transfer->received_bytes, 0, io->length - transfer->received_bytes);
	}
	transfer->received_bytes += bytes;
	return data + (offset - io->offset);
}

static bool begin_data(struct remote_connection *connection, uint64_t offset, uint64_t bytes)
{
	struct remote_stream *stream = &connection->stream;

	stream->into = place_of(stream->io, offset, bytes);
	if (stream->into == NULL)
		return refuse(connection, "the server sends data that it was not asked for");
	expect(stream, NEXT_DATA, bytes);
	return true;
}

static bool take_hole(struct remote_connection *connection, uint64_t offset, uint32_t bytes)
{
	struct remote_stream *stream = &connection->stream;
	unsigned char *place = place_of(stream->io, offset, bytes);

	if (place == NULL)
		return refuse(connection, "the server sends data that it was not asked for");
	memset(place, 0, bytes);
	expect(stream, NEXT_TEXT, 0);
	return true;
}

/* Only one kind of context was asked for, so that its number says nothing. */
static bool begin_extents(struct remote_connection *connection, uint32_t bytes)
{
	struct remote_stream *stream = &connection->stream;

	if (stream->io->operation != TGTKIT_EXTENTS || bytes == 0 || bytes % NBD_EXTENT_BYTES != 0)
		return refuse(connection, "the server sends a block status that makes no sense");
	stream->io->request->extents_count = 0;
	stream->extent_offset = stream->io->transfer.command.offset;
	expect(stream, NEXT_EXTENTS, bytes);
	return true;
}

static bool begin_error(struct remote_connection *connection, uint32_t error, uint32_t bytes)
{
	struct remote_stream *stream = &connection->stream;

	if (bytes > TEXT_LIMIT_BYTES)
		return refuse(connection, "the server sends an error that is too long");
	if (stream->io->error == 0)
		stream->io->error = error_of(error);
	expect(stream, NEXT_TEXT, bytes);
	return true;
}

/* Bytes of a chunk that are needed to know what to do with it. */
static uint32_t fixed_bytes(uint16_t type)
{
	switch (type) {
	case NBD_CHUNK_NONE:
		return 0;
	case NBD_CHUNK_OFFSET_DATA:
		return 8;
	case NBD_CHUNK_OFFSET_HOLE:
		return 12;
	default:
		return 4; /* an error, or the context of a block status */
	}
}

static bool begin_chunk(struct remote_connection *connection, uint16_t type, const unsigned char *payload,
			uint32_t bytes)
{
	const uint32_t after = bytes - fixed_bytes(type);

	if (type & NBD_CHUNK_IS_ERROR)
		return begin_error(connection, wire_get_32(payload), after);
	if (type == NBD_CHUNK_OFFSET_DATA)
		return begin_data(connection, wire_get_64(payload), after);
	if (type == NBD_CHUNK_OFFSET_HOLE && after == 0)
		return take_hole(connection, wire_get_64(payload), wire_get_32(payload + 8));
	if (type == NBD_CHUNK_BLOCK_STATUS)
		return begin_extents(connection, after);
	if (type != NBD_CHUNK_NONE || after != 0 || !connection->stream.is_last)
		return refuse(connection, "the server sends a reply of a kind that nobody knows");
	expect(&connection->stream, NEXT_TEXT, 0);
	return true;
}

static size_t available(const struct remote_stream *stream)
{
	return stream->input_end - stream->input_start;
}

static bool begin_structured_reply(struct remote_connection *connection, const unsigned char *header)
{
	struct remote_stream *stream = &connection->stream;
	const uint16_t flags = wire_get_16(header + 4), type = wire_get_16(header + 6);
	const uint32_t bytes = wire_get_32(header + 16), fixed = fixed_bytes(type);
	struct remote_io *io = find(stream, wire_get_64(header + 8));

	if (io == NULL || !stream->structured)
		return refuse(connection, "the server answers a request that it was not sent");
	if (bytes < fixed)
		return refuse(connection, "the server sends a reply that is too short for its kind");
	if (available(stream) < NBD_CHUNK_BYTES + fixed)
		return false;
	stream->input_start += NBD_CHUNK_BYTES + fixed;
	stream->io = io;
	stream->is_last = flags & NBD_CHUNK_DONE;
	return begin_chunk(connection, type, header + NBD_CHUNK_BYTES, bytes);
}

/* ---- In: bytes --------------------------------------------------------------------------------------------------- */

static bool take_reply(struct remote_connection *connection)
{
	struct remote_stream *stream = &connection->stream;
	const unsigned char *header = stream->input + stream->input_start;

	if (available(stream) < NBD_SIMPLE_REPLY_BYTES)
		return false;
	switch (wire_get_32(header)) {
	case NBD_SIMPLE_REPLY_MAGIC:
		stream->input_start += NBD_SIMPLE_REPLY_BYTES;
		return begin_simple_reply(connection, header);
	case NBD_STRUCTURED_REPLY_MAGIC:
		return available(stream) >= NBD_CHUNK_BYTES && begin_structured_reply(connection, header);
	}
	return refuse(connection, "the server's reply has no magic number of a reply");
}

/* Data (`copied`), or text. */
static bool take_bytes(struct remote_stream *stream, bool copied)
{
	const size_t bytes = available(stream) < stream->left ? available(stream) : (size_t)stream->left;

	if (copied) {
		memcpy(stream->into, stream->input + stream->input_start, bytes);
		stream->into += bytes;
	}
	stream->input_start += bytes;
	stream->left -= bytes;
	if (stream->left > 0)
		return false;
	reply_is_over(stream);
	return true;
}

static bool take_extents(struct remote_stream *stream)
{
	while (stream->left > 0 && available(stream) >= NBD_EXTENT_BYTES) {
		const unsigned char *extent = stream->input + stream->input_start;

		remote_command_extent(stream->io, stream->extent_offset, wire_get_32(extent), wire_get_32(extent + 4));
		stream->extent_offset += wire_get_32(extent);
		stream->input_start += NBD_EXTENT_BYTES;
		stream->left -= NBD_EXTENT_BYTES;
	}
	if (stream->left > 0)
		return false;
	reply_is_over(stream);
	return true;
}

/* False: it takes more input to go on, or the stream has broken. */
static bool take_next(struct remote_connection *connection)
{
	switch (connection->stream.next) {
	case NEXT_DATA:
		return take_bytes(&connection->stream, true);
	case NEXT_TEXT:
		return take_bytes(&connection->stream, false);
	case NEXT_EXTENTS:
		return take_extents(&connection->stream);
	default:
		return take_reply(connection);
	}
}

static void take_input(struct remote_connection *connection)
{
	struct remote_stream *stream = &connection->stream;

	while (take_next(connection))
		;
	/* What is left is the beginning of something, and short. */
	memmove(stream->input, stream->input + stream->input_start, available(stream));
	stream->input_end -= stream->input_start;
	stream->input_start = 0;
}

/* While data is under way, nothing of the input is left. */
static unsigned room(const struct remote_stream *stream, struct iovec pieces[static 2])
{
	unsigned count = 0;

	if (stream->next == NEXT_DATA)
		pieces[count++] = (struct iovec){stream->into, stream->left};
	pieces[count++] = (struct iovec){stream->input + stream->input_end, INPUT_BYTES - stream->input_end};
	return count;
}

static void note_received(struct remote_stream *stream, size_t bytes)
{
	if (stream->next == NEXT_DATA) {
		const size_t direct = bytes < stream->left ? bytes : (size_t)stream->left;

		stream->into += direct;
		stream->left -= direct;
		bytes -= direct;
	}
	stream->input_end += bytes;
}

/* True: there may be more. */
static bool receive_some(struct remote_connection *connection)
{
	struct remote_stream *stream = &connection->stream;
	struct iovec pieces[2];
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = room(stream, pieces)};
	const size_t wanted = pieces[0].iov_len + (message.msg_iovlen > 1 ? pieces[1].iov_len : 0);
	const ssize_t received = recvmsg(connection->fd, &message, MSG_DONTWAIT);

	if (received < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (received <= 0) {
		break_off(connection, received == 0 ? "the server closed the connection" : strerror(errno));
		return false;
	}
	note_received(stream, (size_t)received);
	take_input(connection);
	return !stream->broken && (size_t)received == wanted;
}

void remote_stream_receive(struct remote_connection *connection)
{
	for (unsigned i = 0; i < CALLS_PER_TURN; i++)
		if (connection->stream.broken || !receive_some(connection))
			return;
}
