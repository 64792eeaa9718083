/* SPDX-License-Identifier: Apache-2.0
 *
 * The output of a connection: PDUs queued in the course of a turn, sent with one sendmsg at its end.
 */
#ifndef TGTKIT_ISCSI_TRANSMIT_H
#define TGTKIT_ISCSI_TRANSMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iscsi/pdu.h"
#include "rt/loop.h"
#include "rt/memory.h"

struct iscsi_connection;
struct iscsi_task;

/* One PDU on its way out. */
struct iscsi_output {
	struct iscsi_output *next;
	uint8_t header[ISCSI_BHS_BYTES + ISCSI_DIGEST_BYTES];
	uint8_t trailer[3 + ISCSI_DIGEST_BYTES]; /* padding and data digest */
	uint8_t header_bytes, trailer_bytes;
	/* The data: a part of a segment list (of the task), or flat memory that is freed when sent. */
	const struct tgtkit_segment *segments;
	uint32_t segment_count;
	size_t segments_offset;
	uint8_t *flat;
	uint32_t data_bytes;
	struct iscsi_task *task; /* released when this PDU is sent; NULL: none */
};

struct iscsi_transmitter {
	struct iscsi_output *first, **end;
	size_t sent_of_first;		 /* bytes of the first PDU that are out already */
	uint32_t queued;		 /* PDUs */
	uint32_t queued_unasked;	 /* of them: not part of a task, so that no window bounds them */
	bool header_digest, data_digest; /* in force */
	bool waits_for_room;		 /* the socket is full */
	uint64_t last_progress_ns;
	struct rt_deferred send;
};

void iscsi_transmitter_init(struct iscsi_transmitter *transmitter);

/* A PDU with a zeroed header (length and digests are filled in when it is queued), or NULL: no memory. */
struct iscsi_output *iscsi_output_take(struct iscsi_connection *connection);
/* Gives up one that has not been queued. */
void iscsi_output_release(struct iscsi_connection *connection, struct iscsi_output *output);
/* Queues it; it goes out at the end of the turn. */
void iscsi_output_queue(struct iscsi_connection *connection, struct iscsi_output *output);
/* The usual fields of a response: StatSN (which advances), ExpCmdSN and MaxCmdSN of the session. */
void iscsi_output_put_sequence_numbers(struct iscsi_connection *connection, struct iscsi_output *output);
/* The same without taking a StatSN: R2T, NOP-In as a ping, Data-In without status. */
void iscsi_output_put_window(struct iscsi_connection *connection, struct iscsi_output *output);

/* The socket has room again. */
void iscsi_transmit(struct iscsi_connection *connection);
/* Drops what is queued. */
void iscsi_transmitter_clear(struct iscsi_connection *connection);

#endif
