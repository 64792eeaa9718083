/* SPDX-License-Identifier: Apache-2.0
 *
 * Text Request and Response in the full feature phase, RFC 7143 sections 11.10 and 11.11: requests and responses may
 * take several PDUs each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/full_feature.h"
#include "iscsi/session.h"
#include "iscsi/text.h"

/* A request is a few keys; more than this is nobody's honest question. */
#define MOST_REQUEST_BYTES 65536u
/* What one data segment of ours carries even when the initiator would take more. */
#define MOST_RESPONSE_SEGMENT_BYTES 65536u

struct iscsi_text_exchange {
	uint32_t initiator_task_tag, target_transfer_tag;
	char *request;
	uint32_t request_bytes;
	bool answered; /* the response below is being sent */
	struct iscsi_text response;
	size_t sent_bytes;
};

void iscsi_text_exchange_free(struct iscsi_text_exchange *exchange)
{
	if (!exchange)
		return;
	free(exchange->request);
	iscsi_text_free(&exchange->response);
	free(exchange);
}

static void end_exchange(struct iscsi_connection *connection)
{
	iscsi_text_exchange_free(connection->text_exchange);
	connection->text_exchange = NULL;
}

static struct iscsi_text_exchange *begin_exchange(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;
	struct iscsi_text_exchange *exchange = calloc(1, sizeof *exchange);

	end_exchange(connection);
	if (!exchange)
		return NULL;
	exchange->initiator_task_tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG);
	if (session->next_target_transfer_tag == ISCSI_RESERVED_TAG)
		session->next_target_transfer_tag = 0;
	exchange->target_transfer_tag = session->next_target_transfer_tag++;
	connection->text_exchange = exchange;
	return exchange;
}

/* A segment of the response; empty while the request is not complete. */
static void send_segment(struct iscsi_connection *connection, bool may_end)
{
	struct iscsi_text_exchange *exchange = connection->text_exchange;
	uint32_t most = connection->session->parameters.initiator_max_recv_data_segment_length;
	size_t length = exchange->response.length - exchange->sent_bytes;
	struct iscsi_output *output = iscsi_output_take(connection);
	bool last;

	if (most > MOST_RESPONSE_SEGMENT_BYTES)
		most = MOST_RESPONSE_SEGMENT_BYTES;
	last = length <= most;
	length = last ? length : most;
	if (output && length)
		output->flat = malloc(length);
	if (!output || (length && !output->flat)) {
		if (output)
			iscsi_output_release(connection, output);
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	if (length)
		memcpy(output->flat, exchange->response.bytes + exchange->sent_bytes, length);
	output->data_bytes = (uint32_t)length;
	exchange->sent_bytes += length;
	output->header[0] = ISCSI_TEXT_RESPONSE;
	output->header[ISCSI_AT_FLAGS] = last ? (may_end ? ISCSI_FINAL : 0) : ISCSI_CONTINUE;
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, exchange->initiator_task_tag);
	rt_put_be32(output->header + ISCSI_AT_TARGET_TRANSFER_TAG,
		    last && may_end ? ISCSI_RESERVED_TAG : exchange->target_transfer_tag);
	iscsi_output_put_sequence_numbers(connection, output);
	iscsi_output_queue(connection, output);
	if (last && may_end)
		end_exchange(connection);
}

static bool append(struct iscsi_text_exchange *exchange, const uint8_t *data, uint32_t length)
{
	char *grown;

	if (!length)
		return true;
	if (length > MOST_REQUEST_BYTES - exchange->request_bytes)
		return false;
	grown = realloc(exchange->request, exchange->request_bytes + length);
	if (!grown)
		return false;
	memcpy(grown + exchange->request_bytes, data, length);
	exchange->request = grown;
	exchange->request_bytes += length;
	return true;
}

static int answer(struct iscsi_connection *connection)
{
	struct iscsi_text_exchange *exchange = connection->text_exchange;
	struct iscsi_session *session = connection->session;
	struct iscsi_directory *directory = connection->worker->directory;
	struct iscsi_text_context context = {
	    .directory = directory,
	    .initiator_name = session->initiator_name,
	    .initiator_address = &connection->peer_address,
	    .target = session->discovery ? NULL : iscsi_directory_find_target(directory, session->target_name),
	    .local_address = &connection->local_address,
	    .parameters = &session->parameters,
	};
	int status;

	/* The session of a target that is gone is about to be dropped. */
	if (!session->discovery && !context.target)
		return -EPROTO;
	status = iscsi_text_answer(&context, exchange->request ? exchange->request : "", exchange->request_bytes,
				   &exchange->response);

	free(exchange->request);
	exchange->request = NULL;
	exchange->request_bytes = 0;
	exchange->answered = true;
	return status;
}

/* The exchange that this request continues or begins; NULL: rejected. */
static struct iscsi_text_exchange *exchange_of(struct iscsi_connection *connection, const uint8_t *bhs)
{
	uint32_t tag = rt_get_be32(bhs + ISCSI_AT_TARGET_TRANSFER_TAG);
	struct iscsi_text_exchange *exchange = connection->text_exchange;

	if (tag == ISCSI_RESERVED_TAG)
		return begin_exchange(connection, bhs);
	if (exchange && exchange->target_transfer_tag == tag &&
	    exchange->initiator_task_tag == rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG))
		return exchange;
	return NULL;
}

void iscsi_text_request(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length)
{
	uint8_t flags = bhs[ISCSI_AT_FLAGS];
	bool final = (flags & ISCSI_FINAL) != 0, continues = (flags & ISCSI_CONTINUE) != 0;
	struct iscsi_text_exchange *exchange = exchange_of(connection, bhs);
	bool more_to_send = exchange && exchange->answered && exchange->sent_bytes < exchange->response.length;

	if (!exchange) {
		iscsi_reject(connection, bhs, ISCSI_REJECT_INVALID_PDU_FIELD);
		return;
	}
	if ((final && continues) || (more_to_send && length) || !append(exchange, data, length)) {
		end_exchange(connection);
		iscsi_reject(connection, bhs, ISCSI_REJECT_PROTOCOL_ERROR);
		return;
	}
	if (!more_to_send && !continues && answer(connection)) {
		end_exchange(connection);
		iscsi_reject(connection, bhs, ISCSI_REJECT_PROTOCOL_ERROR);
		return;
	}
	send_segment(connection, (final || more_to_send) && !continues);
}
