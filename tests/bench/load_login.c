/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <isa-l/crc.h>

#include "load.h"

#define LOGIN_ROOM 16384u

void load_send_all(int fd, const void *data, size_t bytes)
{
	for (const char *from = data; bytes > 0;) {
		ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);

		if (sent <= 0)
			load_fail("the target does not take data: %s", strerror(errno));
		from += sent;
		bytes -= (size_t)sent;
	}
}

static void receive_all(int fd, void *data, size_t bytes)
{
	for (char *to = data; bytes > 0;) {
		ssize_t received = recv(fd, to, bytes, 0);

		if (received <= 0)
			load_fail("the target has closed the connection: %s",
				  received ? strerror(errno) : "end of stream");
		to += received;
		bytes -= (size_t)received;
	}
}

void load_put_digest(uint8_t to[DIGEST_BYTES], const void *from, size_t bytes)
{
	uint32_t crc = ~crc32_iscsi((unsigned char *)(uintptr_t)from, (int)bytes, 0xffffffffu);

	for (unsigned i = 0; i < DIGEST_BYTES; i++)
		to[i] = (uint8_t)(crc >> 8 * i);
}

size_t load_receive_pdu(const struct session *session, uint8_t header[HEADER_BYTES], char *data, size_t room)
{
	uint8_t digest[DIGEST_BYTES];

	receive_all(session->fd, header, HEADER_BYTES);
	if (session->digests)
		receive_all(session->fd, digest, sizeof(digest));
	size_t bytes = rt_get_be24(header + 5);

	if (header[4] != 0 || load_padded(bytes) >= room)
		load_fail("a PDU of opcode %02xh that is too long", header[0]);
	receive_all(session->fd, data, load_padded(bytes));
	if (session->digests && bytes)
		receive_all(session->fd, digest, sizeof(digest));
	data[bytes] = 0;
	return bytes;
}

static const char *find_key(const char *text, size_t bytes, const char *key)
{
	size_t key_bytes = strlen(key);

	for (const char *item = text; item < text + bytes; item += strlen(item) + 1) {
		if (strncmp(item, key, key_bytes) == 0 && item[key_bytes] == '=')
			return item + key_bytes + 1;
	}
	return NULL;
}

static uint32_t number_key(const char *text, size_t bytes, const char *key, uint32_t fallback)
{
	const char *value = find_key(text, bytes, key);

	return value ? (uint32_t)strtoul(value, NULL, 0) : fallback;
}

static bool yes_key(const char *text, size_t bytes, const char *key, bool fallback)
{
	const char *value = find_key(text, bytes, key);

	return value ? strcmp(value, "Yes") == 0 : fallback;
}

static int open_socket(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int fd, on = 1;

	if (getaddrinfo(load_options.host, load_options.port, &hints, &found) != 0)
		load_fail("%s port %s: no such address", load_options.host, load_options.port);
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
		load_fail("%s port %s: %s", load_options.host, load_options.port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	freeaddrinfo(found);
	return fd;
}

static void send_login(const struct session *session, unsigned number)
{
	uint8_t request[1024] = {0x43, 0x87}; /* immediate login; transit from operational to full feature */
	const char *digest = load_options.digests ? "CRC32C" : "None";
	int length =
	    snprintf((char *)request + HEADER_BYTES, sizeof(request) - HEADER_BYTES,
		     "InitiatorName=iqn.2026-11.org.example:load%c"
		     "TargetName=%s%cSessionType=Normal%cHeaderDigest=%s%cDataDigest=%s%c"
		     "InitialR2T=No%cImmediateData=Yes%cMaxBurstLength=1048576%cFirstBurstLength=262144%c"
		     "MaxOutstandingR2T=1%cMaxRecvDataSegmentLength=%u%cErrorRecoveryLevel=0%c",
		     0, load_options.target, 0, 0, digest, 0, digest, 0, 0, 0, 0, 0, 0, OWN_SEGMENT_BYTES, 0, 0);

	rt_put_be24(request + 5, (uint32_t)length);
	rt_put_be32(request + 8, 0x80000000u | (uint32_t)getpid() << 8 >> 8); /* random ISID */
	rt_put_be16(request + 12, (uint16_t)number);
	rt_put_be32(request + 24, session->cmd_sn);
	load_send_all(session->fd, request, HEADER_BYTES + load_padded((size_t)length));
}

void load_log_in(struct session *session, unsigned number)
{
	uint8_t header[HEADER_BYTES];
	char text[LOGIN_ROOM];

	session->fd = open_socket();
	session->cmd_sn = 1;
	session->digests = false;
	send_login(session, number);
	size_t bytes = load_receive_pdu(session, header, text, sizeof(text));

	if ((header[0] & 0x3f) != 0x23 || rt_get_be16(header + 36) != 0)
		load_fail("login refused with status %04xh", rt_get_be16(header + 36));
	if ((header[1] & 0x83) != 0x83)
		load_fail("the target wants more than one login exchange");
	if (load_options.digests &&
	    strcmp(find_key(text, bytes, "DataDigest") ? find_key(text, bytes, "DataDigest") : "", "CRC32C") != 0)
		load_fail("the target does not do digests");
	session->digests = load_options.digests;
	session->exp_stat_sn = rt_get_be32(header + 24) + 1;
	session->max_cmd_sn = rt_get_be32(header + 32);
	session->segment_bytes = number_key(text, bytes, "MaxRecvDataSegmentLength", 8192);
	session->first_burst_bytes = number_key(text, bytes, "FirstBurstLength", 65536);
	session->immediate_data = yes_key(text, bytes, "ImmediateData", true);
	session->initial_r2t = yes_key(text, bytes, "InitialR2T", true);
}

void load_fill_command(struct session *session, uint8_t header[HEADER_BYTES], uint32_t tag)
{
	header[0] = 0x01;
	rt_put_be16(header + 8, (uint16_t)(load_options.lun < 256 ? load_options.lun : 0x4000 | load_options.lun));
	rt_put_be32(header + 16, tag);
	rt_put_be32(header + 24, session->cmd_sn++);
	rt_put_be32(header + 28, session->exp_stat_sn);
}

/* One small reading command before the load; the number of bytes received, or -1 for CHECK CONDITION. */
static int small_command(struct session *session, const uint8_t cdb[16], char *data, uint32_t room)
{
	uint8_t header[HEADER_BYTES + DIGEST_BYTES] = {0};
	int received = 0;

	load_fill_command(session, header, 0);
	header[1] = room > 4 ? 0xc1 : 0x81;
	rt_put_be32(header + 20, room > 4 ? room - 4 : 0);
	memcpy(header + 32, cdb, 16);
	load_put_digest(header + HEADER_BYTES, header, HEADER_BYTES);
	load_send_all(session->fd, header, HEADER_BYTES + (session->digests ? DIGEST_BYTES : 0));
	for (;;) {
		char segment[4096];
		size_t bytes = load_receive_pdu(session, header, segment, sizeof(segment));
		bool is_data = (header[0] & 0x3f) == 0x25;

		if (is_data && bytes <= room) {
			memcpy(data, segment, bytes);
			received = (int)bytes;
		}
		if (is_data && !(header[1] & 1))
			continue;
		session->exp_stat_sn = rt_get_be32(header + 24) + 1;
		session->max_cmd_sn = rt_get_be32(header + 32);
		return header[3] ? -1 : received;
	}
}

void load_prepare_unit(struct session *session, uint64_t *blocks, uint32_t *bytes_per_block)
{
	static const uint8_t test_unit_ready[16], read_capacity[16] = {0x9e, 0x10, [13] = 32};
	char data[36];
	int attempts = 0;

	while (small_command(session, test_unit_ready, data, 0) < 0) {
		if (++attempts == 20)
			load_fail("LUN %u never gets ready", load_options.lun);
	}
	if (small_command(session, read_capacity, data, sizeof(data)) < 12)
		load_fail("LUN %u: READ CAPACITY fails", load_options.lun);
	*blocks = rt_get_be64((uint8_t *)data) + 1;
	*bytes_per_block = rt_get_be32((uint8_t *)data + 8);
}
