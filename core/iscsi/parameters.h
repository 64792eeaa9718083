/* SPDX-License-Identifier: Apache-2.0
 *
 * The operational parameters of a session and its connection, as negotiated (RFC 7143 section 13).
 */
#ifndef TGTKIT_ISCSI_PARAMETERS_H
#define TGTKIT_ISCSI_PARAMETERS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct iscsi_parameters {
	bool header_digest, data_digest; /* CRC32C; in force from the full feature phase on */
	/* What we may send in one data segment (the initiator's declaration), and what it may (ours). */
	uint32_t initiator_max_recv_data_segment_length;
	uint32_t target_max_recv_data_segment_length;
	uint32_t max_burst_length, first_burst_length;
	uint32_t max_outstanding_r2t;
	uint32_t max_connections;
	uint32_t default_time2wait, default_time2retain;
	uint32_t error_recovery_level;
	bool initial_r2t, immediate_data;
	bool data_pdu_in_order, data_sequence_in_order;
	uint32_t protocol_level; /* 13.24: 1 unless negotiated to another; 2 is RFC 7144 */
	char task_reporting[16]; /* 13.23: RFC3720, ResponseFence or FastAbort */
};

static inline bool iscsi_parameters_have_fast_abort(const struct iscsi_parameters *parameters)
{
	return strcmp(parameters->task_reporting, "FastAbort") == 0;
}

/* What holds where nothing was negotiated, RFC 7143 section 13. */
void iscsi_parameters_set_defaults(struct iscsi_parameters *parameters);

#endif
