/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "load.h"

#define RESERVED_TAG 0xffffffffu
#define IOVECS	     128

static uint64_t block_count, random_state = 0x9e3779b97f4a7c15ull;
static uint32_t block_bytes;
static uint64_t started, outstanding, since_flush; /* a flush is outstanding, too */
static bool is_flushing;
static uint8_t *pattern; /* what is written */

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* ---- Output ---- */

static struct output *queue_output(struct session *session)
{
	if (session->output_count == session->output_room) {
		session->output_room = session->output_room ? 2 * session->output_room : 64;
		session->outputs = realloc(session->outputs, session->output_room * sizeof(struct output));
		if (!session->outputs)
			load_fail("out of memory");
	}
	struct output *output = &session->outputs[session->output_count++];

	memset(output, 0, sizeof(*output));
	return output;
}

static size_t header_bytes(const struct session *session)
{
	return HEADER_BYTES + (session->digests ? DIGEST_BYTES : 0);
}

static size_t trailer_bytes(const struct session *session, const struct output *output)
{
	return session->digests && output->payload_bytes ? DIGEST_BYTES : 0;
}

/* The digests of what has been queued since.  All payload begins at the start of the pattern, so that one digest does
 * for all of one length. */
static void seal(struct output *output)
{
	static uint32_t known_bytes;
	static uint8_t known[DIGEST_BYTES];

	load_put_digest(output->header + HEADER_BYTES, output->header, HEADER_BYTES);
	if (output->payload_bytes && output->payload_bytes != known_bytes) {
		known_bytes = output->payload_bytes;
		load_put_digest(known, pattern, known_bytes);
	}
	memcpy(output->trailer, known, sizeof(known));
}

static void take_sent(struct session *session, size_t sent)
{
	sent += session->output_offset;
	while (session->output_first < session->output_count) {
		const struct output *output = &session->outputs[session->output_first];
		size_t bytes = header_bytes(session) + output->payload_bytes + trailer_bytes(session, output);

		if (sent < bytes)
			break;
		sent -= bytes;
		session->output_first++;
	}
	session->output_offset = sent;
	if (session->output_first == session->output_count)
		session->output_first = session->output_count = session->output_sealed = 0;
}

static int gather_output(struct session *session, struct iovec iov[IOVECS])
{
	size_t skip = session->output_offset;
	int count = 0;

	for (size_t i = session->output_first; i < session->output_count && count + 3 <= IOVECS; i++) {
		struct output *output = &session->outputs[i];
		const struct iovec parts[] = {{output->header, header_bytes(session)},
					      {pattern, output->payload_bytes},
					      {output->trailer, trailer_bytes(session, output)}};

		for (unsigned k = 0; k < 3; k++) {
			size_t skipped = skip < parts[k].iov_len ? skip : parts[k].iov_len;

			skip -= skipped;
			if (skipped < parts[k].iov_len)
				iov[count++] =
				    (struct iovec){(uint8_t *)parts[k].iov_base + skipped, parts[k].iov_len - skipped};
		}
	}
	return count;
}

static void flush_output(struct session *session)
{
	struct iovec iov[IOVECS];

	session->waits_for_room = false;
	while (session->output_first < session->output_count) {
		struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)gather_output(session, iov)};
		ssize_t sent = sendmsg(session->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN) {
			session->waits_for_room = true;
			return;
		}
		if (sent < 0)
			load_fail("the target does not take data: %s", strerror(errno));
		take_sent(session, (size_t)sent);
	}
}

/* ---- Load ---- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void queue_data_out(struct session *session, uint32_t tag, uint32_t transfer_tag, uint32_t offset, uint32_t end)
{
	for (uint32_t data_sn = 0; offset < end; data_sn++) {
		struct output *output = queue_output(session);

		output->payload_bytes = smaller(session->segment_bytes, end - offset);
		output->header[0] = 0x05;
		output->header[1] = offset + output->payload_bytes == end ? 0x80 : 0;
		rt_put_be24(output->header + 5, output->payload_bytes);
		rt_put_be16(output->header + 8,
			    (uint16_t)(load_options.lun < 256 ? load_options.lun : 0x4000 | load_options.lun));
		rt_put_be32(output->header + 16, tag);
		rt_put_be32(output->header + 20, transfer_tag);
		rt_put_be32(output->header + 28, session->exp_stat_sn);
		rt_put_be32(output->header + 36, data_sn);
		rt_put_be32(output->header + 40, offset);
		offset += output->payload_bytes;
	}
}

static uint64_t choose_lba(struct session *session)
{
	uint64_t blocks_per_io = load_options.io_bytes / block_bytes, positions = block_count / blocks_per_io;

	if (load_options.sequential)
		return session->next_lba++ % positions * blocks_per_io;
	return next_random() % positions * blocks_per_io;
}

static void start_io(struct session *session, uint64_t now)
{
	uint32_t tag = session->free_slots[--session->free_count];
	struct slot *slot = &session->slots[tag];
	struct output *output = queue_output(session);
	uint32_t unsolicited = 0;

	started++;
	outstanding++;
	since_flush++;
	slot->is_flush = false;
	slot->started_ns = now;
	slot->lba = choose_lba(session);
	slot->is_write = next_random() % 100 >= load_options.read_percent;
	if (slot->is_write) {
		unsolicited = smaller(session->first_burst_bytes, load_options.io_bytes);
		if (session->immediate_data)
			output->payload_bytes = smaller(unsolicited, session->segment_bytes);
		if (session->initial_r2t)
			unsolicited = output->payload_bytes;
	}
	load_fill_command(session, output->header, tag);
	output->header[1] =
	    (uint8_t)((slot->is_write ? 0x21 : 0x41) | (unsolicited > output->payload_bytes ? 0 : 0x80));
	rt_put_be24(output->header + 5, output->payload_bytes);
	rt_put_be32(output->header + 20, load_options.io_bytes);
	output->header[32] = slot->is_write ? 0x8a : 0x88;
	rt_put_be64(output->header + 34, slot->lba);
	rt_put_be32(output->header + 42, load_options.io_bytes / block_bytes);
	queue_data_out(session, tag, RESERVED_TAG, output->payload_bytes, unsolicited);
}

/* SYNCHRONIZE CACHE, of everything, with nothing beside it. */
static void start_flush(struct session *session)
{
	uint32_t tag = session->free_slots[--session->free_count];
	struct output *output = queue_output(session);

	session->slots[tag].is_flush = is_flushing = true;
	since_flush = 0;
	outstanding++;
	load_fill_command(session, output->header, tag);
	output->header[1] = 0x81;
	output->header[32] = 0x35;
}

static bool wants_all(void)
{
	return load_options.ios && started == load_options.ios;
}

static bool wants_flush(void)
{
	return load_options.flush_every && since_flush && (since_flush == load_options.flush_every || wants_all());
}

bool load_is_over(void)
{
	return wants_all() && !outstanding && !wants_flush();
}

static void start_what_has_room(struct session *session, uint64_t now)
{
	while (session->free_count > 0 && !rt_serial_before(session->max_cmd_sn, session->cmd_sn) && !is_flushing) {
		if (wants_flush()) {
			if (!outstanding)
				start_flush(session);
			return;
		}
		if (wants_all())
			return;
		start_io(session, now);
	}
}

static void finish_io(struct session *session, uint32_t tag, uint8_t status, uint64_t now)
{
	if (tag >= load_options.depth)
		load_fail("an answer to a command that was never sent");
	outstanding--;
	if (session->slots[tag].is_flush) {
		if (status)
			load_fail("a flush ended with status %02xh", status);
		is_flushing = false;
	} else {
		load_count(now - session->slots[tag].started_ns, status != 0);
	}
	session->free_slots[session->free_count++] = tag;
}

static void answer_ping(struct session *session, const uint8_t *header)
{
	struct output *output = queue_output(session);

	output->header[0] = 0x40;
	output->header[1] = 0x80;
	memcpy(output->header + 8, header + 8, 16); /* LUN, task tag (reserved) and transfer tag as they came */
	rt_put_be32(output->header + 24, session->cmd_sn);
	rt_put_be32(output->header + 28, session->exp_stat_sn);
}

static void take_pdu(struct session *session, const uint8_t *header, uint64_t now)
{
	uint32_t tag = rt_get_be32(header + 16);
	uint8_t opcode = header[0] & 0x3f;
	bool has_status = opcode == 0x21 || (opcode == 0x25 && header[1] & 1);

	session->max_cmd_sn = rt_get_be32(header + 32);
	if (has_status) {
		session->exp_stat_sn = rt_get_be32(header + 24) + 1;
		finish_io(session, tag, header[3], now);
	} else if (opcode == 0x31) {
		uint32_t offset = rt_get_be32(header + 40);

		queue_data_out(session, tag, rt_get_be32(header + 20), offset, offset + rt_get_be32(header + 44));
	} else if (opcode == 0x20) {
		answer_ping(session, header);
	} else if (opcode != 0x25) {
		load_fail("the target sent a PDU of opcode %02xh", opcode);
	}
}

/* Takes whole headers out of the input; payload is dropped as it arrives. */
static void take_input(struct session *session, uint64_t now)
{
	uint8_t *at = session->input, *end = at + session->input_bytes;

	for (;;) {
		size_t skip = session->skip_bytes < (size_t)(end - at) ? session->skip_bytes : (size_t)(end - at);

		at += skip;
		session->skip_bytes -= skip;
		if ((size_t)(end - at) < HEADER_BYTES)
			break;
		session->skip_bytes =
		    header_bytes(session) - HEADER_BYTES + 4u * at[4] + load_padded(rt_get_be24(at + 5));
		if (session->digests && rt_get_be24(at + 5))
			session->skip_bytes += DIGEST_BYTES;
		take_pdu(session, at, now);
		at += HEADER_BYTES;
	}
	session->input_bytes = (size_t)(end - at);
	memmove(session->input, at, session->input_bytes);
}

void load_serve(struct session *session)
{
	ssize_t received =
	    recv(session->fd, session->input + session->input_bytes, INPUT_BYTES - session->input_bytes, MSG_DONTWAIT);

	if (received == 0 || (received < 0 && errno != EAGAIN))
		load_fail("the target has closed the connection");
	uint64_t now = load_now_ns();

	if (received > 0) {
		session->input_bytes += (size_t)received;
		take_input(session, now);
	}
	start_what_has_room(session, now);
	if (session->digests)
		while (session->output_sealed < session->output_count)
			seal(&session->outputs[session->output_sealed++]);
	flush_output(session);
}

struct session *load_open_sessions(int epoll_fd)
{
	struct session *sessions = load_allocate(load_options.sessions, sizeof(*sessions));

	pattern = load_allocate(1, load_options.io_bytes);
	for (uint32_t i = 0; i < load_options.io_bytes; i++)
		pattern[i] = (uint8_t)(i * 31 + 7);
	for (unsigned i = 0; i < load_options.sessions; i++) {
		struct session *session = &sessions[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};

		load_log_in(session, i);
		load_prepare_unit(session, &block_count, &block_bytes);
		session->input = load_allocate(1, INPUT_BYTES);
		session->slots = load_allocate(load_options.depth, sizeof(struct slot));
		session->free_slots = load_allocate(load_options.depth, sizeof(uint32_t));
		while (session->free_count < load_options.depth) {
			session->free_slots[session->free_count] = session->free_count;
			session->free_count++;
		}
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, session->fd, &event);
	}
	if (load_options.span_bytes && load_options.span_bytes / block_bytes < block_count)
		block_count = load_options.span_bytes / block_bytes;
	if (load_options.io_bytes % block_bytes || load_options.io_bytes / block_bytes > block_count)
		load_fail("%u bytes per I/O do not fit blocks of %u", load_options.io_bytes, block_bytes);
	return sessions;
}
