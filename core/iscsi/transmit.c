/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/transmit.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "iscsi/connection.h"
#include "iscsi/digest.h"
#include "iscsi/full_feature.h"
#include "iscsi/session.h"
#include "iscsi/task.h"

/* Most bytes that one sendmsg is given: more only lengthens the vector for a socket that is full anyway. */
#define SEND_BYTES ((size_t)2 << 20)

static void send_at_end_of_turn(struct rt_deferred *deferred)
{
	iscsi_transmit(RT_CONTAINER_OF(deferred, struct iscsi_connection, transmitter.send));
}

void iscsi_transmitter_init(struct iscsi_transmitter *transmitter)
{
	memset(transmitter, 0, sizeof *transmitter);
	transmitter->end = &transmitter->first;
	transmitter->send.run = send_at_end_of_turn;
}

struct iscsi_output *iscsi_output_take(struct iscsi_connection *connection)
{
	struct iscsi_output *output = rt_slab_take(&connection->worker->outputs);

	if (output)
		memset(output, 0, sizeof *output);
	return output;
}

/* PDUs outside tasks that may wait for a peer that takes no answers, before it is asked for no more questions. */
#define MOST_UNASKED_OUTPUTS 256u

void iscsi_output_release(struct iscsi_connection *connection, struct iscsi_output *output)
{
	free(output->flat);
	if (output->task)
		iscsi_task_drop(output->task);
	rt_slab_give(&connection->worker->outputs, output);
}

void iscsi_output_put_window(struct iscsi_connection *connection, struct iscsi_output *output)
{
	struct iscsi_session *session = connection->session;

	rt_put_be32(output->header + ISCSI_AT_STAT_SN, connection->stat_sn);
	rt_put_be32(output->header + ISCSI_AT_EXP_CMD_SN, session->exp_cmd_sn);
	rt_put_be32(output->header + ISCSI_AT_MAX_CMD_SN, iscsi_window_advance(session));
}

void iscsi_output_put_sequence_numbers(struct iscsi_connection *connection, struct iscsi_output *output)
{
	iscsi_output_put_window(connection, output);
	connection->stat_sn++;
}

/* CRC32C over the data of a PDU and its padding. */
static uint32_t data_crc(const struct iscsi_output *output)
{
	uint32_t crc = ISCSI_CRC_SEED;
	size_t offset = output->segments_offset, left = output->data_bytes;

	if (output->flat)
		crc = iscsi_crc32c(crc, output->flat, left);
	for (uint32_t i = 0; !output->flat && left > 0; i++) {
		const struct tgtkit_segment *segment = &output->segments[i];
		size_t piece;

		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		piece = segment->length - offset < left ? segment->length - offset : left;
		crc = iscsi_crc32c(crc, (const uint8_t *)segment->address + offset, piece);
		left -= piece;
		offset = 0;
	}
	return iscsi_crc32c(crc, output->trailer, iscsi_padding(output->data_bytes));
}

static void seal(struct iscsi_connection *connection, struct iscsi_output *output)
{
	rt_put_be24(output->header + ISCSI_AT_DATA_SEGMENT_LENGTH, output->data_bytes);
	output->header_bytes = ISCSI_BHS_BYTES;
	if (connection->transmitter.header_digest) {
		iscsi_digest_put(output->header + ISCSI_BHS_BYTES,
				 iscsi_crc32c(ISCSI_CRC_SEED, output->header, ISCSI_BHS_BYTES));
		output->header_bytes += ISCSI_DIGEST_BYTES;
	}
	output->trailer_bytes = (uint8_t)iscsi_padding(output->data_bytes);
	if (connection->transmitter.data_digest && output->data_bytes) {
		iscsi_digest_put(output->trailer + output->trailer_bytes, data_crc(output));
		output->trailer_bytes += ISCSI_DIGEST_BYTES;
	}
}

void iscsi_output_queue(struct iscsi_connection *connection, struct iscsi_output *output)
{
	struct iscsi_transmitter *transmitter = &connection->transmitter;

	if (connection->state == ISCSI_CONNECTION_CLOSED) {
		iscsi_output_release(connection, output);
		return;
	}
	seal(connection, output);
	output->next = NULL;
	*transmitter->end = output;
	transmitter->end = &output->next;
	if (!output->task)
		transmitter->queued_unasked++;
	if (transmitter->queued++ == 0)
		transmitter->last_progress_ns = rt_loop_now_ns(connection->worker->rt->loop);
	if (!transmitter->waits_for_room)
		rt_loop_defer(connection->worker->rt->loop, RT_PHASE_SEND, &transmitter->send);
}

struct vector {
	struct iovec *entries;
	size_t count;
	size_t bytes;
	size_t skip; /* bytes at the front that are out already */
};

static void vector_add(struct vector *vector, const void *base, size_t length)
{
	if (vector->skip >= length) {
		vector->skip -= length;
		return;
	}
	vector->entries[vector->count].iov_base = (uint8_t *)(uintptr_t)base + vector->skip;
	vector->entries[vector->count++].iov_len = length - vector->skip;
	vector->bytes += length - vector->skip;
	vector->skip = 0;
}

static void vector_add_segments(struct vector *vector, const struct iscsi_output *output)
{
	size_t offset = output->segments_offset, left = output->data_bytes;

	for (uint32_t i = 0; left > 0; i++) {
		const struct tgtkit_segment *segment = &output->segments[i];
		size_t piece;

		assert(i < output->segment_count);
		if (offset >= segment->length) {
			offset -= segment->length;
			continue;
		}
		piece = segment->length - offset < left ? segment->length - offset : left;
		vector_add(vector, (const uint8_t *)segment->address + offset, piece);
		left -= piece;
		offset = 0;
	}
}

static void build_vector(struct iscsi_connection *connection, struct vector *vector)
{
	for (struct iscsi_output *output = connection->transmitter.first; output; output = output->next) {
		/* header, data, trailer */
		if (vector->count + output->segment_count + 3 > ISCSI_SEND_VECTOR_ENTRIES || vector->bytes > SEND_BYTES)
			break;
		vector_add(vector, output->header, output->header_bytes);
		if (output->flat)
			vector_add(vector, output->flat, output->data_bytes);
		else
			vector_add_segments(vector, output);
		if (output->trailer_bytes)
			vector_add(vector, output->trailer, output->trailer_bytes);
	}
}

static size_t output_bytes(const struct iscsi_output *output)
{
	return (size_t)output->header_bytes + output->data_bytes + output->trailer_bytes;
}

static struct iscsi_output *take_first(struct iscsi_transmitter *transmitter)
{
	struct iscsi_output *output = transmitter->first;

	transmitter->first = output->next;
	if (!transmitter->first)
		transmitter->end = &transmitter->first;
	transmitter->queued--;
	if (!output->task)
		transmitter->queued_unasked--;
	return output;
}

static void sent(struct iscsi_connection *connection, size_t bytes)
{
	struct iscsi_transmitter *transmitter = &connection->transmitter;

	transmitter->last_progress_ns = rt_loop_now_ns(connection->worker->rt->loop);
	if (connection->session && connection->session->figures)
		scsi_figures_add(&connection->session->figures->sent_bytes, bytes);
	bytes += transmitter->sent_of_first;
	while (transmitter->first && bytes >= output_bytes(transmitter->first)) {
		struct iscsi_output *output = take_first(transmitter);

		bytes -= output_bytes(output);
		iscsi_output_release(connection, output);
	}
	transmitter->sent_of_first = bytes;
}

static bool is_reading(const struct iscsi_connection *connection)
{
	return connection->state == ISCSI_CONNECTION_LOGIN || connection->state == ISCSI_CONNECTION_FULL_FEATURE;
}

/* The queue is empty. */
static void all_sent(struct iscsi_connection *connection)
{
	struct iscsi_transmitter *transmitter = &connection->transmitter;

	if (transmitter->waits_for_room) {
		transmitter->waits_for_room = false;
		(void)rt_fd_modify(&connection->socket, is_reading(connection) ? RT_FD_READ : 0);
	}
	if (connection->state == ISCSI_CONNECTION_LAST_WORDS) {
		iscsi_connection_linger(connection);
		return;
	}
	if (connection->session && iscsi_window_is_owed(connection->session))
		iscsi_nop_in_ping(connection, false);
	iscsi_connection_check_drained(connection);
}

static void wait_for_room(struct iscsi_connection *connection)
{
	bool reads = is_reading(connection) && connection->transmitter.queued_unasked <= MOST_UNASKED_OUTPUTS;

	connection->transmitter.waits_for_room = true;
	(void)rt_fd_modify(&connection->socket, RT_FD_WRITE | (reads ? RT_FD_READ : 0));
}

void iscsi_transmit(struct iscsi_connection *connection)
{
	struct iscsi_transmitter *transmitter = &connection->transmitter;

	while (connection->state != ISCSI_CONNECTION_CLOSED && transmitter->first) {
		struct vector vector = {.entries = connection->worker->send_vector, .skip = transmitter->sent_of_first};
		struct msghdr message = {.msg_iov = vector.entries};
		ssize_t length;

		build_vector(connection, &vector);
		message.msg_iovlen = vector.count;
		length = sendmsg(connection->socket.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (length < 0 && errno != EAGAIN && errno != EINTR) {
			iscsi_connection_close(connection, strerror(errno));
			return;
		}
		if (length > 0)
			sent(connection, (size_t)length);
		if (length < 0 || (size_t)length < vector.bytes) {
			wait_for_room(connection);
			return;
		}
	}
	if (connection->state != ISCSI_CONNECTION_CLOSED)
		all_sent(connection);
}

void iscsi_transmitter_clear(struct iscsi_connection *connection)
{
	while (connection->transmitter.first)
		iscsi_output_release(connection, take_first(&connection->transmitter));
}
