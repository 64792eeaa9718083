/* SPDX-License-Identifier: Apache-2.0
 *
 * Reject, RFC 7143 section 11.17.
 */
#include <stdlib.h>
#include <string.h>

#include "iscsi/full_feature.h"
#include "iscsi/session.h"
#include "rt/log.h"

void iscsi_reject(struct iscsi_connection *connection, const uint8_t *bhs, enum iscsi_reject_reason reason)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct iscsi_output *output = iscsi_output_take(connection);

	rt_log_limited_about(&limit, RT_ABOUT(.address = connection->peer), RT_LOG_WARNING,
			     "%s: PDU with opcode %02Xh rejected, reason %02Xh", connection->peer,
			     iscsi_pdu_opcode(bhs), reason);
	if (output)
		output->flat = malloc(ISCSI_BHS_BYTES);
	if (!output || !output->flat) {
		if (output)
			iscsi_output_release(connection, output);
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	output->header[0] = ISCSI_REJECT;
	output->header[ISCSI_AT_FLAGS] = ISCSI_FINAL;
	output->header[ISCSI_AT_RESPONSE] = (uint8_t)reason;
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, ISCSI_RESERVED_TAG);
	memcpy(output->flat, bhs, ISCSI_BHS_BYTES);
	output->data_bytes = ISCSI_BHS_BYTES;
	iscsi_output_put_sequence_numbers(connection, output);
	iscsi_output_queue(connection, output);
}
