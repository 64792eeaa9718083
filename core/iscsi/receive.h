/* SPDX-License-Identifier: Apache-2.0
 *
 * From a byte stream to PDUs.  Bytes go into the worker's buffer and are parsed where they lie; a connection keeps at
 * most a partial header.  A data segment goes to the sink that was chosen when the header was complete; the rest of a
 * large one is read from the socket straight into it.
 */
#ifndef TGTKIT_ISCSI_RECEIVE_H
#define TGTKIT_ISCSI_RECEIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/pdu.h"
#include "rt/memory.h"

struct iscsi_connection;
struct iscsi_task;

enum iscsi_sink_kind {
	ISCSI_SINK_DISCARD, /* received and dropped */
	ISCSI_SINK_FLAT,    /* memory of the receiver's own, for small data */
	ISCSI_SINK_TASK,    /* the data-out buffer of a task */
	ISCSI_SINK_HELD,    /* the interim memory of a task whose turn has not come */
};

enum iscsi_receive_phase { ISCSI_RECEIVE_HEADER, ISCSI_RECEIVE_EXTRA, ISCSI_RECEIVE_DATA, ISCSI_RECEIVE_TRAILER };

struct iscsi_receiver {
	enum iscsi_receive_phase phase;
	enum iscsi_sink_kind sink;
	uint8_t bhs[ISCSI_BHS_BYTES];
	uint8_t digest[ISCSI_DIGEST_BYTES];
	uint32_t have;	      /* bytes of this phase so far */
	uint32_t extra_bytes; /* AHS and header digest */
	uint32_t data_bytes, trailer_bytes;
	uint32_t crc;
	bool header_digest, data_digest; /* in force */
	bool data_digest_failed;
	struct iscsi_task *task; /* ISCSI_SINK_TASK and HELD: a reference is held */
	uint32_t task_offset;	 /* where this segment begins in the task's buffer */
	uint32_t sink_bytes;	 /* of this segment that the task wants; what follows is dropped */
	uint8_t *flat; /* ISCSI_SINK_FLAT: data_bytes, or NULL when the data lies whole in the worker's buffer */
};

/* The socket is readable: reads once, handles every PDU that is complete. */
void iscsi_receive(struct iscsi_connection *connection);
void iscsi_receiver_reset(struct iscsi_receiver *receiver); /* gives up a PDU in the middle */

#endif
