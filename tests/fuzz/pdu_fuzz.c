/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream of PDUs into a connection: everything from the socket down to a store in memory is the real thing.
 *
 * Input: a byte that configures target and login, then requests: a byte of choices, bytes 0 and 1 of the header, task
 * tag, the rest of the header in the form of patches (a count, then offset and value), the CDB of a command, two bytes
 * of data length, and the data of a text request.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "iscsi/admission.h"
#include "iscsi/connection.h"
#include "iscsi/digest.h"
#include "iscsi/server.h"
#include "rt/log.h"
#include "rt/worker.h"
#include "scsi/logical_unit.h"
#include "scsi/task_management.h"
#include "unit/scsi/fake_store.h"

/* Target and login. */
enum { DIGESTS = 1, SMALL = 2, SOLICITED = 4, DISCOVERY = 8, HOLD = 16, CANCELLABLE = 32, NO_LOGIN = 64 };
/* A request. */
enum {
	NUMBERED = 1,
	ANSWER_R2T = 2,
	LYING_LENGTH = 4,
	DAMAGED = 8,
	IN_PIECES = 16,
	NO_TURN = 32,
	RELEASE = 64,
	PUBLISH = 128
};

enum {
	MEMORY_BYTES = 64 << 20,
	STORE_BYTES = 256 << 10,
	MOST_DATA_BYTES = 20000,
	MOST_REQUESTS = 64,
	MOST_TURNS = 4000,
};

static struct rt_worker *worker;
static const struct iscsi_target_port port = {.tag = 1, .relative_target_port_id = 1};

struct served {
	struct iscsi_directory directory;
	struct iscsi_target target;
};

struct fixture {
	struct store *store;
	struct scsi_logical_unit *unit;
	struct scsi_lun_map *map, *empty_map;
	/* Another initiator, which does nothing but reset the unit now and then. */
	struct scsi_nexus *other_nexus;
	struct scsi_task_management reset;
	bool resets, other_is_closed;
	int peer;
	uint8_t config;
	bool logged_in;
	bool digests; /* in force */
	uint32_t exp_cmd_sn;
	/* The oldest R2T without an answer. */
	bool has_r2t;
	uint8_t r2t[ISCSI_BHS_BYTES];
	/* What came from the target and is no whole PDU yet. */
	uint8_t received[512 << 10];
	size_t received_bytes;
};

static struct fixture fixture;

struct input {
	const uint8_t *next;
	size_t left;
};

static uint8_t take_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->next++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct iscsi_server_options options = {
	    .login_timeout_s = 3600,
	    .task_management_timeout_s = 1,
	    .max_connections = 10,
	    .max_pending_logins = 10,
	};

	(void)argc;
	(void)argv;
	rt_log_set_level(RT_LOG_ERROR);
	FUZZ_REQUIRE(rt_workers_adopt_current(&worker, MEMORY_BYTES) == 0);
	FUZZ_REQUIRE(iscsi_server_start(worker->loop, &options) == 0);
	return 0;
}

/* ---- Target --------------------------------------------------------------------------------------------------------
 */

static void directory_released(struct iscsi_directory *directory)
{
	free(directory);
}

enum { WITHOUT_TARGET, WITH_TARGET, WITH_NO_UNIT, WITH_NO_ADMISSION, CHANGES };

static void publish(unsigned what)
{
	struct served *served = calloc(1, sizeof *served);
	bool is_small = (fixture.config & SMALL) != 0;

	FUZZ_REQUIRE(served);
	served->target = (struct iscsi_target){
	    .name = "iqn.2026-11.org.example:disk1",
	    .alias = "",
	    .ports = &port,
	    .port_count = 1,
	    .lun_map = what == WITH_NO_UNIT ? fixture.empty_map : fixture.map,
	    .restricted = what == WITH_NO_ADMISSION,
	    .parameters = {.immediate_data = true,
			   .header_digests = ISCSI_DIGEST_NONE | ISCSI_DIGEST_CRC32C,
			   .data_digests = ISCSI_DIGEST_NONE | ISCSI_DIGEST_CRC32C,
			   .max_recv_data_segment_length = is_small ? 512 : 16384,
			   .max_burst_length = is_small ? 1024 : 65536,
			   .first_burst_length = is_small ? 1024 : 16384,
			   .max_outstanding_r2t = 4,
			   .max_queued_commands = 16,
			   .async_event_reporting = true},
	};
	atomic_init(&served->directory.references, 1);
	served->directory.released = directory_released;
	served->directory.targets = &served->target;
	served->directory.target_count = what != WITHOUT_TARGET;
	iscsi_server_publish(&served->directory, NULL);
	rt_loop_turn(worker->loop, 0);
}

static void make_other_nexus(void)
{
	const struct scsi_nexus_spec spec = {
	    .initiator_port = "iqn.2026-11.org.example:other,i,0x800000000001",
	    .initiator_name = "iqn.2026-11.org.example:other",
	    .target_name = "iqn.2026-11.org.example:disk1",
	    .target_port_group_tag = 1,
	    .relative_target_port_id = 1,
	    .lun_map = fixture.map,
	};

	FUZZ_REQUIRE(scsi_nexus_create(&spec, &fixture.other_nexus) == 0);
}

static void reset_done(struct scsi_task_management *function)
{
	(void)function;
	fixture.resets = false;
}

static void reset_unit(void)
{
	if (fixture.resets)
		return;
	fixture.resets = true;
	fixture.reset = (struct scsi_task_management){
	    .nexus = fixture.other_nexus, .function = SCSI_LOGICAL_UNIT_RESET, .done = reset_done};
	scsi_task_management_start(&fixture.reset);
}

static void other_closed(void *context, bool all_ended)
{
	(void)context;
	(void)all_ended;
	fixture.other_is_closed = true;
}

static void change(unsigned what)
{
	if (what == CHANGES)
		reset_unit();
	else
		publish(what);
}

static void make_target(void)
{
	struct scsi_logical_unit_spec spec = {
	    .name = "fake:memory",
	    .logical_block_bytes = 512,
	    .serial = "6f9619ff-8b86-d011-b42d-00c04fc964ff",
	    .thin = true,
	    .write_cache = true,
	    .persistent_reservations = true,
	    .compare_and_write = true,
	    .orwrite = true,
	    .extended_copy = true,
	    .unmap = true,
	    .command_timeout_us = 25000000,
	    .task_management_timeout_us = 1000,
	};
	struct scsi_lun_mapping mapping = {.lun = 0};

	fixture.store = fake_store_new(STORE_BYTES, TGTKIT_CAN_FLUSH | TGTKIT_CAN_DISCARD | TGTKIT_CAN_ZERO);
	fixture.store->hold_all = (fixture.config & HOLD) != 0;
	fixture.store->cancellable = (fixture.config & CANCELLABLE) != 0;
	spec.store = fixture.store;
	FUZZ_REQUIRE(scsi_logical_unit_create(&spec, &fixture.unit) == 0);
	mapping.unit = fixture.unit;
	fixture.map = scsi_lun_map_create(&mapping, 1, NULL);
	fixture.empty_map = scsi_lun_map_create(NULL, 0, NULL);
	publish(WITH_TARGET);
	make_other_nexus();
}

static void free_target(void)
{
	publish(WITHOUT_TARGET);
	scsi_lun_map_drop(fixture.map);
	scsi_lun_map_drop(fixture.empty_map);
	scsi_logical_unit_destroy(fixture.unit);
	fake_store_free(fixture.store);
}

/* ---- Connection ------------------------------------------------------------------------------------------------ */

static void connect_peer(void)
{
	struct sockaddr_storage address = {.ss_family = AF_INET};
	int room = 1 << 20, sockets[2];

	FUZZ_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets) == 0);
	(void)setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	(void)setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	fixture.peer = sockets[0];
	FUZZ_REQUIRE(iscsi_admission_enter(&address) == NULL);
	atomic_fetch_add(&iscsi_worker_get(0)->connection_count, 1);
	iscsi_connection_start(iscsi_worker_get(0), sockets[1], 1, &address, NULL);
}

static void take_response(const uint8_t *bhs)
{
	uint8_t opcode = iscsi_pdu_opcode(bhs);

	FUZZ_REQUIRE(bhs[0] == opcode &&
		     ((opcode >= ISCSI_NOP_IN && opcode <= ISCSI_LOGOUT_RESPONSE) || opcode == ISCSI_R2T ||
		      opcode == ISCSI_ASYNC_MESSAGE || opcode == ISCSI_REJECT));
	FUZZ_REQUIRE(iscsi_pdu_ahs_bytes(bhs) == 0);
	fixture.exp_cmd_sn = rt_get_be32(bhs + ISCSI_AT_EXP_CMD_SN);
	if (opcode == ISCSI_LOGIN_RESPONSE && (bhs[ISCSI_AT_FLAGS] & ISCSI_TRANSIT))
		fixture.logged_in = true;
	if (opcode == ISCSI_R2T && !fixture.has_r2t) {
		fixture.has_r2t = true;
		memcpy(fixture.r2t, bhs, ISCSI_BHS_BYTES);
	}
}

/* The response at the start of what was received: its bytes, or 0: not whole. */
static size_t whole_response(void)
{
	const uint8_t *bhs = fixture.received;
	size_t length = ISCSI_BHS_BYTES, data;

	if (fixture.received_bytes < ISCSI_BHS_BYTES)
		return 0;
	data = iscsi_pdu_data_bytes(bhs);
	length += data + iscsi_padding((uint32_t)data);
	/* The last login response comes before digests are in force. */
	if (fixture.digests)
		length += ISCSI_DIGEST_BYTES + (data ? ISCSI_DIGEST_BYTES : 0);
	FUZZ_REQUIRE(length <= sizeof fixture.received);
	return length <= fixture.received_bytes ? length : 0;
}

static void drain(void)
{
	ssize_t length;
	size_t whole;

	do {
		length = recv(fixture.peer, fixture.received + fixture.received_bytes,
			      sizeof fixture.received - fixture.received_bytes, 0);
		if (length > 0)
			fixture.received_bytes += (size_t)length;
		while ((whole = whole_response())) {
			take_response(fixture.received);
			fixture.received_bytes -= whole;
			memmove(fixture.received, fixture.received + whole, fixture.received_bytes);
		}
	} while (length > 0);
}

static void turn(void)
{
	for (int i = 0; i < 3; i++)
		rt_loop_turn(worker->loop, 0);
	drain();
}

static void send_bytes(const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fixture.peer, bytes, length, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent < 0) {
			turn();
			return;
		}
		bytes += sent;
		length -= (size_t)sent;
	}
}

static void log_in(void)
{
	static const char target[] = "TargetName=iqn.2026-11.org.example:disk1";
	static const char newest[] = "iSCSIProtocolLevel=2\0TaskReporting=FastAbort";
	uint8_t pdu[1024] = {ISCSI_IMMEDIATE | ISCSI_LOGIN_REQUEST, 0x87};
	char *text = (char *)pdu + ISCSI_BHS_BYTES;
	const char *digest = fixture.config & DIGESTS ? "CRC32C" : "None";
	int length = snprintf(
	    text, sizeof pdu - ISCSI_BHS_BYTES,
	    "InitiatorName=iqn.2026-11.org.example:fuzz%cSessionType=%s%c%s%cHeaderDigest=%s%c"
	    "DataDigest=%s%cInitialR2T=%s%cMaxOutstandingR2T=4%cMaxBurstLength=65536%cFirstBurstLength=65536%c",
	    0, fixture.config & DISCOVERY ? "Discovery" : "Normal", 0, target, 0, digest, 0, digest, 0,
	    fixture.config & SOLICITED ? "Yes" : "No", 0, 0, 0, 0);

	memcpy(text + length, newest, sizeof newest);
	length += (int)sizeof newest;
	rt_put_be24(pdu + ISCSI_AT_DATA_SEGMENT_LENGTH, (uint32_t)length);
	pdu[ISCSI_AT_ISID] = 0x80;
	rt_put_be32(pdu + ISCSI_AT_CMD_SN, 1);
	send_bytes(pdu, ISCSI_BHS_BYTES + (size_t)length + iscsi_padding((uint32_t)length));
	turn();
	FUZZ_REQUIRE(fixture.logged_in);
	fixture.digests = (fixture.config & DIGESTS) != 0;
}

/* ---- Requests --------------------------------------------------------------------------------------------------- */

static void fill_header(uint8_t *bhs, uint8_t choices, struct input *input)
{
	unsigned patches;

	bhs[0] = take_byte(input);
	bhs[1] = take_byte(input);
	bhs[ISCSI_AT_INITIATOR_TASK_TAG + 3] = take_byte(input);
	rt_put_be32(bhs + ISCSI_AT_TARGET_TRANSFER_TAG, ISCSI_RESERVED_TAG);
	if (iscsi_pdu_opcode(bhs) == ISCSI_SCSI_COMMAND) {
		rt_put_be32(bhs + ISCSI_AT_EXPECTED_DATA_TRANSFER_LENGTH, take_byte(input) * 512u);
		for (unsigned i = 0; i < 16; i++)
			bhs[ISCSI_AT_CDB + i] = take_byte(input);
	}
	if ((choices & ANSWER_R2T) && fixture.has_r2t) {
		bhs[0] = ISCSI_DATA_OUT;
		memcpy(bhs + ISCSI_AT_INITIATOR_TASK_TAG, fixture.r2t + ISCSI_AT_INITIATOR_TASK_TAG, 8);
		memcpy(bhs + ISCSI_AT_BUFFER_OFFSET, fixture.r2t + ISCSI_AT_BUFFER_OFFSET, 4);
		fixture.has_r2t = false;
	}
	rt_put_be32(bhs + ISCSI_AT_CMD_SN, fixture.exp_cmd_sn + (choices & NUMBERED ? 0 : take_byte(input)));
	for (patches = take_byte(input) % 8u; patches > 0; patches--) {
		uint8_t offset = take_byte(input);

		bhs[offset % ISCSI_BHS_BYTES] = take_byte(input);
	}
}

static size_t fill_data(uint8_t *data, const uint8_t *bhs, size_t length, struct input *input)
{
	if (length > MOST_DATA_BYTES)
		length = MOST_DATA_BYTES;
	memset(data, 0xa5, length);
	if (iscsi_pdu_opcode(bhs) != ISCSI_TEXT_REQUEST && iscsi_pdu_opcode(bhs) != ISCSI_LOGIN_REQUEST)
		return length;
	if (length > input->left)
		length = input->left;
	memcpy(data, input->next, length);
	input->next += length;
	input->left -= length;
	return length;
}

static size_t put_digest(uint8_t *to, const uint8_t *covered, size_t length)
{
	if (!fixture.digests)
		return 0;
	iscsi_digest_put(to, iscsi_crc32c(ISCSI_CRC_SEED, covered, length));
	return ISCSI_DIGEST_BYTES;
}

static void send_request(struct input *input)
{
	static uint8_t pdu[ISCSI_BHS_BYTES + 255 * 4 + MOST_DATA_BYTES + 16];
	uint8_t choices = take_byte(input), bhs[ISCSI_BHS_BYTES] = {0};
	size_t length, padded, at = ISCSI_BHS_BYTES;

	fill_header(bhs, choices, input);
	length = (size_t)take_byte(input) << 8;
	length |= take_byte(input);
	memset(pdu, 0, sizeof pdu);
	at += iscsi_pdu_ahs_bytes(bhs);
	length = fill_data(pdu + at + (fixture.digests ? ISCSI_DIGEST_BYTES : 0), bhs, length, input);
	padded = length + iscsi_padding((uint32_t)length);
	if (!(choices & LYING_LENGTH))
		rt_put_be24(bhs + ISCSI_AT_DATA_SEGMENT_LENGTH, (uint32_t)length);
	memcpy(pdu, bhs, ISCSI_BHS_BYTES);
	at += put_digest(pdu + at, pdu, at);
	if (length)
		at += padded + put_digest(pdu + at + padded, pdu + at, padded);
	if (choices & DAMAGED)
		pdu[at - 1] ^= 1;
	if (choices & IN_PIECES) {
		send_bytes(pdu, at / 3);
		turn();
		send_bytes(pdu + at / 3, at - at / 3);
	} else {
		send_bytes(pdu, at);
	}
	if (!(choices & NO_TURN))
		turn();
	if (choices & RELEASE)
		fake_store_release(fixture.store);
	/* The target stays as it is, hides its unit, admits nobody, or is gone; or somebody resets the unit. */
	if (choices & PUBLISH)
		change(take_byte(input) % (CHANGES + 1u));
}

/* ---- The end: everything that was taken has been given back -------------------------------------------------------
 */

static bool is_quiet(void)
{
	struct rt_memory_usage usage = rt_memory_usage(worker->memory);

	for (unsigned i = 0; i < RT_MEMORY_CLASSES; i++)
		if (usage.used_bytes[i])
			return false;
	if (fixture.resets || !fixture.other_is_closed)
		return false;
	return usage.reserved_bytes == 0 && iscsi_server_connection_count() == 0 && fixture.store->under_way == 0;
}

static void end(void)
{
	unsigned turns = 0;

	close(fixture.peer);
	fake_store_release(fixture.store);
	while (!is_quiet()) {
		if (!fixture.resets && fixture.other_nexus) {
			scsi_nexus_close(fixture.other_nexus, other_closed, NULL);
			fixture.other_nexus = NULL;
		}
		FUZZ_REQUIRE(++turns < MOST_TURNS);
		rt_loop_turn(worker->loop, turns < 10 ? 0 : 1);
	}
	free_target();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {.next = data, .left = size};

	memset(&fixture, 0, offsetof(struct fixture, received));
	fixture.received_bytes = 0;
	fixture.config = take_byte(&input);
	make_target();
	connect_peer();
	if (!(fixture.config & NO_LOGIN))
		log_in();
	for (unsigned i = 0; i < MOST_REQUESTS && input.left > 0; i++)
		send_request(&input);
	turn();
	end();
	return 0;
}
