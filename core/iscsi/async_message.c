/* SPDX-License-Identifier: Apache-2.0
 *
 * Asynchronous Message, RFC 7143 section 11.9.
 */
#include <stdlib.h>

#include "iscsi/full_feature.h"
#include "iscsi/session.h"
#include "scsi/lun_map.h"
#include "scsi/sense.h"

enum async_event {
	SCSI_EVENT = 0,
	LOGOUT_REQUEST = 1,
	DROP_CONNECTION = 2,
	DROP_ALL = 3,
	TASK_TERMINATION = 5,
};

/* NULL: no memory; the initiator will find out without it. */
static struct iscsi_output *message(struct iscsi_connection *connection, enum async_event event)
{
	struct iscsi_output *output = iscsi_output_take(connection);

	if (!output)
		return NULL;
	output->header[0] = ISCSI_ASYNC_MESSAGE;
	output->header[ISCSI_AT_FLAGS] = ISCSI_FINAL;
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, ISCSI_RESERVED_TAG);
	output->header[ISCSI_AT_ASYNC_EVENT] = (uint8_t)event;
	return output;
}

static void finish(struct iscsi_connection *connection, struct iscsi_output *output)
{
	iscsi_output_put_sequence_numbers(connection, output);
	iscsi_output_queue(connection, output);
}

/* When the initiator may come back, and that nothing is kept for it. */
static void put_times(const struct iscsi_connection *connection, struct iscsi_output *output)
{
	const struct iscsi_parameters *parameters = &connection->session->parameters;

	rt_put_be16(output->header + ISCSI_AT_ASYNC_PARAMETER2, (uint16_t)parameters->default_time2wait);
	rt_put_be16(output->header + ISCSI_AT_ASYNC_PARAMETER3, (uint16_t)parameters->default_time2retain);
}

/* 11.9.1: sense data as in a response; it belongs to LUN 0.  The unit attentions stay: this only says it sooner. */
void iscsi_async_luns_changed(struct iscsi_connection *connection)
{
	static const struct scsi_sense sense = {.key = SCSI_KEY_UNIT_ATTENTION,
						.asc = SCSI_ASC_REPORTED_LUNS_DATA_HAS_CHANGED};
	struct iscsi_output *output = message(connection, SCSI_EVENT);

	if (!output)
		return;
	output->flat = malloc(2 + SCSI_SENSE_ENCODED_BYTES);
	if (!output->flat) {
		iscsi_output_release(connection, output);
		return;
	}
	rt_put_be16(output->flat, scsi_sense_encode(&sense, false, output->flat + 2));
	output->data_bytes = 2u + rt_get_be16(output->flat);
	finish(connection, output);
}

void iscsi_async_logout_request(struct iscsi_connection *connection, uint16_t time_s)
{
	struct iscsi_output *output = message(connection, LOGOUT_REQUEST);

	if (!output)
		return;
	rt_put_be16(output->header + ISCSI_AT_ASYNC_PARAMETER3, time_s);
	finish(connection, output);
}

void iscsi_async_drop_connection(struct iscsi_connection *connection)
{
	struct iscsi_output *output = message(connection, DROP_CONNECTION);

	if (!output)
		return;
	rt_put_be16(output->header + ISCSI_AT_ASYNC_PARAMETER1, connection->cid);
	put_times(connection, output);
	finish(connection, output);
}

void iscsi_async_drop_all(struct iscsi_connection *connection)
{
	struct iscsi_output *output = message(connection, DROP_ALL);

	if (!output)
		return;
	put_times(connection, output);
	finish(connection, output);
}

void iscsi_async_task_termination(struct iscsi_connection *connection, uint16_t lun)
{
	struct iscsi_output *output = message(connection, TASK_TERMINATION);

	if (!output)
		return;
	scsi_lun_encode(lun, output->header + ISCSI_AT_LUN);
	finish(connection, output);
}
