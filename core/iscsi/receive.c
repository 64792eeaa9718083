/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/receive.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "iscsi/connection.h"
#include "iscsi/digest.h"
#include "iscsi/full_feature.h"
#include "iscsi/task.h"
#include "rt/log.h"

/* Below this, copying out of the worker's buffer beats a longer I/O vector. */
#define DIRECT_READ_THRESHOLD_BYTES 8192u

static inline uint32_t smaller(size_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

static void release_sink(struct iscsi_receiver *receiver)
{
	if (receiver->task) {
		iscsi_task_drop(receiver->task);
		receiver->task = NULL;
	}
	free(receiver->flat);
	receiver->flat = NULL;
}

void iscsi_receiver_reset(struct iscsi_receiver *receiver)
{
	release_sink(receiver);
	receiver->phase = ISCSI_RECEIVE_HEADER;
	receiver->have = 0;
}

static bool is_reading(const struct iscsi_connection *connection)
{
	return connection->state == ISCSI_CONNECTION_LOGIN || connection->state == ISCSI_CONNECTION_FULL_FEATURE;
}

/* The lengths that the header announces; false: more data than was agreed. */
static bool measure(struct iscsi_connection *connection)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	uint32_t limit = ISCSI_LOGIN_DATA_SEGMENT_BYTES;

	if (connection->state == ISCSI_CONNECTION_FULL_FEATURE)
		limit = connection->session->parameters.target_max_recv_data_segment_length;
	receiver->data_bytes = iscsi_pdu_data_bytes(receiver->bhs);
	receiver->extra_bytes = iscsi_pdu_ahs_bytes(receiver->bhs) + (receiver->header_digest ? ISCSI_DIGEST_BYTES : 0);
	receiver->trailer_bytes = iscsi_padding(receiver->data_bytes);
	if (receiver->data_digest && receiver->data_bytes)
		receiver->trailer_bytes += ISCSI_DIGEST_BYTES;
	return receiver->data_bytes <= limit;
}

static void next_phase(struct iscsi_receiver *receiver, enum iscsi_receive_phase phase)
{
	receiver->phase = phase;
	receiver->have = 0;
}

/* The whole PDU is in; `data` is where a FLAT segment lies. */
static void pdu_complete(struct iscsi_connection *connection, const uint8_t *data)
{
	struct iscsi_receiver *receiver = &connection->receiver;

	next_phase(receiver, ISCSI_RECEIVE_HEADER);
	if (connection->state == ISCSI_CONNECTION_LOGIN)
		iscsi_login_phase_pdu(connection, receiver->bhs, data, receiver->data_bytes);
	else
		iscsi_full_feature_pdu(connection, receiver->bhs, data);
	release_sink(receiver);
}

static void header_complete(struct iscsi_connection *connection)
{
	struct iscsi_receiver *receiver = &connection->receiver;

	receiver->sink = ISCSI_SINK_DISCARD;
	receiver->sink_bytes = 0;
	receiver->data_digest_failed = false;
	if (connection->state == ISCSI_CONNECTION_LOGIN) {
		if (!iscsi_login_phase_accepts(connection, receiver->bhs))
			return;
		receiver->sink = ISCSI_SINK_FLAT;
	} else if (!iscsi_full_feature_header(connection, receiver->bhs)) {
		return;
	}
	if (receiver->data_bytes == 0) {
		pdu_complete(connection, NULL);
		return;
	}
	receiver->crc = ISCSI_CRC_SEED;
	next_phase(receiver, ISCSI_RECEIVE_DATA);
}

static void bhs_complete(struct iscsi_connection *connection)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct iscsi_receiver *receiver = &connection->receiver;

	if (!measure(connection)) {
		if (connection->state == ISCSI_CONNECTION_FULL_FEATURE)
			iscsi_reject(connection, receiver->bhs, ISCSI_REJECT_PROTOCOL_ERROR);
		rt_log_limited_about(&limit, RT_ABOUT(.address = connection->peer), RT_LOG_WARNING,
				     "%s: data segment of %u bytes is longer than declared; closing the connection",
				     connection->peer, receiver->data_bytes);
		iscsi_connection_finish(connection);
		return;
	}
	if (receiver->extra_bytes == 0) {
		header_complete(connection);
		return;
	}
	if (receiver->header_digest)
		receiver->crc = iscsi_crc32c(ISCSI_CRC_SEED, receiver->bhs, ISCSI_BHS_BYTES);
	next_phase(receiver, ISCSI_RECEIVE_EXTRA);
}

static uint32_t take_header(struct iscsi_connection *connection, const uint8_t *bytes, size_t available)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	uint32_t length = smaller(available, ISCSI_BHS_BYTES - receiver->have);

	memcpy(receiver->bhs + receiver->have, bytes, length);
	receiver->have += length;
	if (receiver->have == ISCSI_BHS_BYTES)
		bhs_complete(connection);
	return length;
}

/* Additional header segments are covered by the digest and otherwise unused: no command that we serve needs one. */
static uint32_t take_extra(struct iscsi_connection *connection, const uint8_t *bytes, size_t available)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	uint32_t length = smaller(available, receiver->extra_bytes - receiver->have);
	uint32_t covered = receiver->extra_bytes - (receiver->header_digest ? ISCSI_DIGEST_BYTES : 0);

	if (receiver->have < covered) {
		length = smaller(length, covered - receiver->have);
		if (receiver->header_digest)
			receiver->crc = iscsi_crc32c(receiver->crc, bytes, length);
	} else {
		memcpy(receiver->digest + (receiver->have - covered), bytes, length);
	}
	receiver->have += length;
	if (receiver->have < receiver->extra_bytes)
		return length;
	if (receiver->header_digest && iscsi_digest_get(receiver->digest) != ~receiver->crc) {
		/* RFC 7143 7.8: the length fields cannot be trusted; error recovery level 0 ends the session. */
		iscsi_connection_close(connection, "header digest error");
		return length;
	}
	header_complete(connection);
	return length;
}

static void data_taken(struct iscsi_connection *connection)
{
	struct iscsi_receiver *receiver = &connection->receiver;

	if (receiver->have < receiver->data_bytes)
		return;
	if (receiver->trailer_bytes)
		next_phase(receiver, ISCSI_RECEIVE_TRAILER);
	else
		pdu_complete(connection, receiver->flat);
}

/* A small data segment that lies whole in the worker's buffer, with its trailer, is handled where it is. */
static uint32_t take_flat_in_place(struct iscsi_connection *connection, const uint8_t *bytes)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	uint32_t total = receiver->data_bytes + receiver->trailer_bytes;

	if (receiver->data_digest) {
		uint32_t covered = total - ISCSI_DIGEST_BYTES;
		uint32_t crc = iscsi_crc32c(ISCSI_CRC_SEED, bytes, covered);

		receiver->data_digest_failed = iscsi_digest_get(bytes + covered) != ~crc;
	}
	pdu_complete(connection, bytes);
	return total;
}

static void copy_to_task(const struct iscsi_receiver *receiver, const uint8_t *bytes, uint32_t length)
{
	const struct rt_buffer *buffer;

	if (receiver->sink == ISCSI_SINK_HELD) {
		memcpy(receiver->task->held_data + receiver->task_offset + receiver->have, bytes, length);
	} else if (receiver->sink == ISCSI_SINK_TASK) {
		buffer = &receiver->task->command.data_out;
		rt_segments_write(buffer->segments, buffer->segment_count, receiver->task_offset + receiver->have,
				  bytes, length);
	}
}

static uint32_t take_data(struct iscsi_connection *connection, const uint8_t *bytes, size_t available)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	uint32_t length = smaller(available, receiver->data_bytes - receiver->have);

	if (receiver->sink == ISCSI_SINK_FLAT) {
		if (receiver->have == 0 && available >= (size_t)receiver->data_bytes + receiver->trailer_bytes)
			return take_flat_in_place(connection, bytes);
		if (!receiver->flat)
			receiver->flat = malloc(receiver->data_bytes);
		if (!receiver->flat) {
			iscsi_connection_close(connection, "out of memory");
			return length;
		}
		memcpy(receiver->flat + receiver->have, bytes, length);
	} else if (receiver->have < receiver->sink_bytes) {
		copy_to_task(receiver, bytes, smaller(length, receiver->sink_bytes - receiver->have));
	}
	if (receiver->data_digest)
		receiver->crc = iscsi_crc32c(receiver->crc, bytes, length);
	receiver->have += length;
	data_taken(connection);
	return length;
}

static uint32_t take_trailer(struct iscsi_connection *connection, const uint8_t *bytes, size_t available)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	uint32_t padding = iscsi_padding(receiver->data_bytes);
	uint32_t length = smaller(available, receiver->trailer_bytes - receiver->have);

	if (receiver->have < padding) {
		length = smaller(length, padding - receiver->have);
		if (receiver->data_digest)
			receiver->crc = iscsi_crc32c(receiver->crc, bytes, length);
	} else {
		memcpy(receiver->digest + (receiver->have - padding), bytes, length);
	}
	receiver->have += length;
	if (receiver->have < receiver->trailer_bytes)
		return length;
	if (receiver->data_digest)
		receiver->data_digest_failed = iscsi_digest_get(receiver->digest) != ~receiver->crc;
	pdu_complete(connection, receiver->flat);
	return length;
}

static void parse(struct iscsi_connection *connection, const uint8_t *bytes, size_t available)
{
	while (available > 0 && is_reading(connection)) {
		uint32_t taken = 0;

		switch (connection->receiver.phase) {
		case ISCSI_RECEIVE_HEADER:
			taken = take_header(connection, bytes, available);
			break;
		case ISCSI_RECEIVE_EXTRA:
			taken = take_extra(connection, bytes, available);
			break;
		case ISCSI_RECEIVE_DATA:
			taken = take_data(connection, bytes, available);
			break;
		case ISCSI_RECEIVE_TRAILER:
			taken = take_trailer(connection, bytes, available);
			break;
		}
		bytes += taken;
		available -= taken;
	}
	if (available > 0 && connection->state == ISCSI_CONNECTION_WAITS_FOR_SESSION)
		iscsi_connection_close(connection, "data sent before the login response");
}

/* The part of a segment list from `offset` on, as I/O vector. */
static int vector_of(const struct rt_buffer *buffer, size_t offset, size_t length, struct iovec *vector, int room)
{
	int count = 0;

	for (uint32_t i = 0; i < buffer->segment_count && length > 0 && count < room; i++) {
		const struct tgtkit_segment *segment = &buffer->segments[i];
		size_t piece;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		piece = segment->length - offset < length ? segment->length - offset : length;
		vector[count].iov_base = (uint8_t *)segment->address + offset;
		vector[count++].iov_len = piece;
		length -= piece;
		offset = 0;
	}
	return count;
}

/* What came straight into the task's buffer. */
static void direct_taken(struct iscsi_connection *connection, const struct iovec *vector, size_t length)
{
	struct iscsi_receiver *receiver = &connection->receiver;

	receiver->have += (uint32_t)length;
	for (; receiver->data_digest && length > 0; vector++) {
		size_t piece = vector->iov_len < length ? vector->iov_len : length;

		receiver->crc = iscsi_crc32c(receiver->crc, vector->iov_base, piece);
		length -= piece;
	}
	data_taken(connection);
}

void iscsi_receive(struct iscsi_connection *connection)
{
	struct iscsi_receiver *receiver = &connection->receiver;
	uint8_t *buffer = connection->worker->receive_buffer;
	struct iovec vector[RT_BUFFER_MAXIMUM_SEGMENTS + 1];
	size_t direct = 0;
	int count = 0;
	ssize_t length;

	if (receiver->phase == ISCSI_RECEIVE_DATA && receiver->sink == ISCSI_SINK_TASK &&
	    receiver->sink_bytes == receiver->data_bytes &&
	    receiver->data_bytes - receiver->have >= DIRECT_READ_THRESHOLD_BYTES) {
		direct = receiver->data_bytes - receiver->have;
		count = vector_of(&receiver->task->command.data_out, receiver->task_offset + receiver->have, direct,
				  vector, RT_BUFFER_MAXIMUM_SEGMENTS);
	}
	vector[count].iov_base = buffer;
	vector[count].iov_len = ISCSI_RECEIVE_BUFFER_BYTES;
	if (count == 0) {
		length = recv(connection->socket.fd, buffer, ISCSI_RECEIVE_BUFFER_BYTES, MSG_DONTWAIT);
	} else {
		struct msghdr message = {.msg_iov = vector, .msg_iovlen = (size_t)count + 1};

		length = recvmsg(connection->socket.fd, &message, MSG_DONTWAIT);
	}
	if (length < 0) {
		if (errno != EAGAIN && errno != EINTR)
			iscsi_connection_close(connection, strerror(errno));
		return;
	}
	if (length == 0) {
		iscsi_connection_close(connection, NULL);
		return;
	}
	connection->last_received_ns = rt_loop_now_ns(connection->worker->rt->loop);
	if (connection->session && connection->session->figures)
		scsi_figures_add(&connection->session->figures->received_bytes, (uint64_t)length);
	if ((size_t)length < direct)
		direct = (size_t)length;
	if (direct)
		direct_taken(connection, vector, direct);
	parse(connection, buffer, (size_t)length - direct);
}
