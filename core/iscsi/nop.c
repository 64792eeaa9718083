/* SPDX-License-Identifier: Apache-2.0
 *
 * NOP-Out and NOP-In, RFC 7143 sections 11.18 and 11.19.
 */
#include <stdlib.h>
#include <string.h>

#include "iscsi/full_feature.h"
#include "iscsi/late_data.h"
#include "iscsi/session.h"

static struct iscsi_output *nop_in(struct iscsi_connection *connection)
{
	struct iscsi_output *output = iscsi_output_take(connection);

	if (!output) {
		iscsi_connection_close(connection, "out of memory");
		return NULL;
	}
	output->header[0] = ISCSI_NOP_IN;
	output->header[ISCSI_AT_FLAGS] = ISCSI_FINAL;
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, ISCSI_RESERVED_TAG);
	rt_put_be32(output->header + ISCSI_AT_TARGET_TRANSFER_TAG, ISCSI_RESERVED_TAG);
	return output;
}

/* Of a Task Termination message, by LUN; see iscsi_late_data_stopped. */
static void take_acknowledgement(struct iscsi_session *session, const uint8_t *bhs)
{
	uint32_t exp_stat_sn = rt_get_be32(bhs + ISCSI_AT_EXP_STAT_SN);

	if (session->late_data_count && rt_get_be32(bhs + ISCSI_AT_TARGET_TRANSFER_TAG) == ISCSI_RESERVED_TAG &&
	    rt_serial_before(session->termination_stat_sn, exp_stat_sn))
		iscsi_late_data_stopped(session, bhs + ISCSI_AT_LUN);
}

void iscsi_nop_out(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data, uint32_t length)
{
	uint32_t limit = connection->session->parameters.initiator_max_recv_data_segment_length;
	struct iscsi_output *output;

	if (rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG) == ISCSI_RESERVED_TAG) {
		/* The answer to our ping, or a mere ExpStatSN. */
		take_acknowledgement(connection->session, bhs);
		return;
	}
	output = nop_in(connection);
	if (!output)
		return;
	if (length > limit)
		length = limit;
	if (length) {
		output->flat = malloc(length);
		if (output->flat) {
			memcpy(output->flat, data, length);
			output->data_bytes = length;
		}
	}
	memcpy(output->header + ISCSI_AT_LUN, bhs + ISCSI_AT_LUN, 8);
	memcpy(output->header + ISCSI_AT_INITIATOR_TASK_TAG, bhs + ISCSI_AT_INITIATOR_TASK_TAG, 4);
	iscsi_output_put_sequence_numbers(connection, output);
	iscsi_output_queue(connection, output);
}

void iscsi_nop_in_ping(struct iscsi_connection *connection, bool wants_answer)
{
	struct iscsi_output *output = nop_in(connection);

	if (!output)
		return;
	/* The tag only has to differ from the reserved one; pings need not be told apart. */
	if (wants_answer)
		rt_put_be32(output->header + ISCSI_AT_TARGET_TRANSFER_TAG, 0);
	iscsi_output_put_window(connection, output);
	iscsi_output_queue(connection, output);
}
