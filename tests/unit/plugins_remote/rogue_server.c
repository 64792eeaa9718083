/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "remote_test.h"
#include "rogue_server.h"

#define CONNECTION_LIMIT 64

/* Of the NBD protocol. */
enum { OPTION_GO = 7, OPTION_STRUCTURED_REPLY = 8, OPTION_SET_META_CONTEXT = 10 };
enum { REPLY_ACK = 1, REPLY_INFO = 3, REPLY_META_CONTEXT = 4 };
enum { COMMAND_READ, COMMAND_WRITE, COMMAND_DISCONNECT, COMMAND_FLUSH, COMMAND_ZERO = 6, COMMAND_BLOCK_STATUS };
enum { CHUNK_DATA = 1, CHUNK_BLOCK_STATUS = 5, CHUNK_DONE = 1 };
enum { HAS_FLAGS = 1, SENDS_FLUSH = 4, SENDS_FUA = 8, SENDS_ZEROES = 64, MULTI_CONN = 256 };
#define REPLY_UNSUPPORTED 0x80000001u
#define ESHUTDOWN_OF_NBD  108u

struct __attribute__((packed)) option {
	uint64_t magic;
	uint32_t option, length;
};

struct __attribute__((packed)) option_reply {
	uint64_t magic;
	uint32_t option, type, length;
};

struct __attribute__((packed)) request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t cookie, offset;
	uint32_t length;
};

struct __attribute__((packed)) simple_reply {
	uint32_t magic, error;
	uint64_t cookie;
};

struct __attribute__((packed)) chunk {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t cookie;
	uint32_t length;
};

unsigned char rogue_disk[ROGUE_DISK_BYTES];

static struct {
	int listener;
	pthread_t acceptor, threads[CONNECTION_LIMIT];
	int fds[CONNECTION_LIMIT];
	atomic_uint count, writes;
	atomic_int behaviour;
	bool multi_conn;
} rogue;

static bool receive(int fd, void *buffer, size_t length)
{
	return length == 0 || recv(fd, buffer, length, MSG_WAITALL) == (ssize_t)length;
}

static bool say(int fd, const void *buffer, size_t length)
{
	return send(fd, buffer, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* ---- Handshake ----------------------------------------------------------------------------------------------------- */

static bool reply_option(int fd, uint32_t option, uint32_t type, const void *data, uint32_t length)
{
	const struct option_reply reply = {.magic = htobe64(0x3e889045565a9),
					   .option = htobe32(option),
					   .type = htobe32(type),
					   .length = htobe32(length)};

	return say(fd, &reply, sizeof(reply)) && say(fd, data, length);
}

static bool reply_go(int fd)
{
	const uint64_t size = rogue.behaviour == ROGUE_LIES ? UINT64_C(1) << 63 : ROGUE_DISK_BYTES;
	struct __attribute__((packed)) {
		uint16_t type;
		uint64_t size;
		uint16_t flags;
	} info = {.size = htobe64(size),
		  .flags = htobe16(HAS_FLAGS | SENDS_FLUSH | SENDS_FUA | SENDS_ZEROES |
				   (rogue.multi_conn ? MULTI_CONN : 0))};

	return reply_option(fd, OPTION_GO, REPLY_INFO, &info, sizeof(info)) &&
	       reply_option(fd, OPTION_GO, REPLY_ACK, NULL, 0);
}

static bool reply_meta_context(int fd)
{
	static const char context[] = "\0\0\0\1base:allocation";

	return reply_option(fd, OPTION_SET_META_CONTEXT, REPLY_META_CONTEXT, context, sizeof(context) - 1) &&
	       reply_option(fd, OPTION_SET_META_CONTEXT, REPLY_ACK, NULL, 0);
}

static bool negotiate(int fd)
{
	uint32_t client_flags;
	struct option option;
	char data[1024];

	if (!say(fd, "NBDMAGICIHAVEOPT\0\3", 18) || !receive(fd, &client_flags, sizeof(client_flags)))
		return false;
	while (receive(fd, &option, sizeof(option)) && be32toh(option.length) <= sizeof(data) &&
	       receive(fd, data, be32toh(option.length))) {
		switch (be32toh(option.option)) {
		case OPTION_GO:
			return reply_go(fd);
		case OPTION_STRUCTURED_REPLY:
			reply_option(fd, OPTION_STRUCTURED_REPLY, REPLY_ACK, NULL, 0);
			break;
		case OPTION_SET_META_CONTEXT:
			reply_meta_context(fd);
			break;
		default:
			reply_option(fd, be32toh(option.option), REPLY_UNSUPPORTED, NULL, 0);
		}
	}
	return false;
}

/* ---- Requests ------------------------------------------------------------------------------------------------------ */

static bool reply_simple(int fd, const struct request *request, uint32_t error)
{
	struct simple_reply reply = {
	    .magic = htobe32(0x67446698), .error = htobe32(error), .cookie = request->cookie};

	if (rogue.behaviour == ROGUE_BAD_MAGIC)
		reply.magic = ~reply.magic;
	if (rogue.behaviour == ROGUE_UNKNOWN_COOKIE)
		reply.cookie = ~reply.cookie;
	return say(fd, &reply, sizeof(reply));
}

static bool reply_chunk(int fd, const struct request *request, uint16_t flags, uint16_t type, uint32_t length)
{
	struct chunk reply = {.magic = htobe32(0x668e33ef),
			      .flags = htobe16(flags),
			      .type = htobe16(type),
			      .cookie = request->cookie,
			      .length = htobe32(length)};

	if (rogue.behaviour == ROGUE_BAD_MAGIC)
		reply.magic = ~reply.magic;
	if (rogue.behaviour == ROGUE_UNKNOWN_COOKIE)
		reply.cookie = ~reply.cookie;
	return say(fd, &reply, sizeof(reply));
}

static bool reply_piece(int fd, const struct request *request, uint16_t flags, uint64_t offset, uint32_t length)
{
	const uint64_t wire_offset = htobe64(offset);

	return reply_chunk(fd, request, flags, CHUNK_DATA, (uint32_t)sizeof(wire_offset) + length) &&
	       say(fd, &wire_offset, sizeof(wire_offset)) && say(fd, rogue_disk + offset, length);
}

static bool reply_read(int fd, const struct request *request, uint64_t offset, uint32_t length)
{
	const uint32_t half = length / 2;

	switch (rogue.behaviour) {
	case ROGUE_SHORT_READ:
		return reply_piece(fd, request, CHUNK_DONE, offset, half);
	case ROGUE_SECOND_HALF_FIRST:
		return reply_piece(fd, request, 0, offset + half, half) &&
		       reply_piece(fd, request, CHUNK_DONE, offset, half);
	case ROGUE_FIRST_HALF_TWICE:
		return reply_piece(fd, request, 0, offset, half) &&
		       reply_piece(fd, request, CHUNK_DONE, offset, half);
	}
	return reply_piece(fd, request, CHUNK_DONE, offset, length);
}

static bool reply_block_status(int fd, const struct request *request, uint32_t length)
{
	uint32_t body[5] = {htobe32(1), htobe32(length / 2), 0, htobe32(length - length / 2), htobe32(3)};

	if (rogue.behaviour == ROGUE_EMPTY_EXTENTS)
		body[1] = 0;
	if (rogue.behaviour == ROGUE_FOREIGN_EXTENTS)
		body[3] = htobe32(4 * length);
	return reply_chunk(fd, request, CHUNK_DONE, CHUNK_BLOCK_STATUS, sizeof(body)) && say(fd, body, sizeof(body));
}

static bool write_disk(int fd, const struct request *request, uint64_t offset, uint32_t length)
{
	rogue.writes++;
	return receive(fd, rogue_disk + offset, length) && reply_simple(fd, request, 0);
}

static bool obey(int fd, const struct request *request)
{
	const uint64_t offset = be64toh(request->offset);
	const uint32_t length = be32toh(request->length);
	const uint16_t type = be16toh(request->type);

	if (type == COMMAND_DISCONNECT || rogue.behaviour == ROGUE_HANGS_UP || offset > ROGUE_DISK_BYTES ||
	    length > ROGUE_DISK_BYTES - offset)
		return false;
	if (rogue.behaviour == ROGUE_SHUTS_DOWN && type != COMMAND_WRITE)
		return reply_simple(fd, request, ESHUTDOWN_OF_NBD);
	switch (type) {
	case COMMAND_READ:
		return reply_read(fd, request, offset, length);
	case COMMAND_WRITE:
		return write_disk(fd, request, offset, length);
	case COMMAND_BLOCK_STATUS:
		return reply_block_status(fd, request, length);
	case COMMAND_ZERO:
		memset(rogue_disk + offset, 0, length);
		break;
	case COMMAND_FLUSH:
		if (rogue.behaviour == ROGUE_HOLDS_FLUSHES)
			return true;
	}
	return reply_simple(fd, request, 0);
}

static void *converse(void *context)
{
	const int fd = *(int *)context;
	struct request request;
	char rubbish[256];

	switch (rogue.behaviour) {
	case ROGUE_BABBLES:
		memset(rubbish, 'x', sizeof(rubbish));
		say(fd, rubbish, sizeof(rubbish));
		break;
	case ROGUE_SILENT:
		break;
	case ROGUE_CLOSES:
		shutdown(fd, SHUT_RDWR);
		return NULL;
	default:
		if (negotiate(fd))
			while (receive(fd, &request, sizeof(request)) && obey(fd, &request))
				;
		shutdown(fd, SHUT_RDWR);
		return NULL;
	}
	/* Until the client has had enough. */
	while (recv(fd, rubbish, sizeof(rubbish), 0) > 0)
		;
	return NULL;
}

static void *accept_all(void *context)
{
	(void)context;
	while (rogue.count < CONNECTION_LIMIT) {
		const unsigned index = rogue.count;

		rogue.fds[index] = accept(rogue.listener, NULL, NULL);
		if (rogue.fds[index] < 0)
			return NULL;
		if (pthread_create(&rogue.threads[index], NULL, converse, &rogue.fds[index]) != 0)
			return NULL;
		rogue.count++;
	}
	return NULL;
}

/* ---- From the test ------------------------------------------------------------------------------------------------- */

void rogue_start(enum rogue_behaviour behaviour, bool multi_conn)
{
	memset(&rogue, 0, sizeof(rogue));
	rogue.behaviour = behaviour;
	rogue.multi_conn = multi_conn;
	rogue.listener = nbd_server_listen(&server, in_scratch("socket"));
	ck_assert_int_eq(pthread_create(&rogue.acceptor, NULL, accept_all, NULL), 0);
}

void rogue_behave(enum rogue_behaviour behaviour)
{
	rogue.behaviour = behaviour;
}

void rogue_cut(unsigned index)
{
	shutdown(rogue.fds[index], SHUT_RDWR);
}

unsigned rogue_writes(void)
{
	return rogue.writes;
}

void rogue_stop(void)
{
	shutdown(rogue.listener, SHUT_RDWR);
	pthread_join(rogue.acceptor, NULL);
	for (unsigned i = 0; i < rogue.count; i++) {
		shutdown(rogue.fds[i], SHUT_RDWR);
		pthread_join(rogue.threads[i], NULL);
		close(rogue.fds[i]);
	}
	close(rogue.listener);
}
