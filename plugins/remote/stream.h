/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and replies on the socket of a connection that is not encrypted.  libnbd makes the connection and takes
 * leave of the server; in between it would make a system call for each request and five for each reply, where this
 * makes one for all that are there.  On the unit's worker.
 */
#ifndef TGTKIT_PLUGINS_REMOTE_STREAM_H
#define TGTKIT_PLUGINS_REMOTE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "wire.h"

/* Requests that are with the server at a time; others wait behind them. */
#define REMOTE_STREAM_SLOTS 256

struct remote_connection;
struct remote_io;

/* What comes next from the server. */
enum remote_stream_next {
	NEXT_REPLY,
	NEXT_DATA,    /* of a read: `left` bytes, to `into` */
	NEXT_EXTENTS, /* `left` bytes of descriptors */
	NEXT_TEXT,    /* `left` bytes that are of no interest */
};

struct remote_stream {
	bool active; /* else libnbd does it all */
	bool broken; /* nothing more can come of it; everything on it has been answered with ENOTCONN */
	bool structured;
	bool is_full; /* the socket takes no more for now */
	STAILQ_HEAD(, remote_io) unsent;
	struct remote_io *slots[REMOTE_STREAM_SLOTS];
	uint16_t free_slots[REMOTE_STREAM_SLOTS];
	unsigned free_slot_count;
	uint64_t sequence; /* of requests, in their cookies */

	unsigned char *input; /* what has been received and not been looked at */
	size_t input_start, input_end;
	enum remote_stream_next next;
	struct remote_io *io; /* that `next` belongs to */
	bool is_last;	      /* chunk of the reply to it */
	uint64_t left;
	unsigned char *into;
	uint64_t extent_offset;
};

/* Of a request on a stream. */
struct remote_transfer {
	STAILQ_ENTRY(remote_io) link; /* in `unsent` */
	struct remote_command command;
	uint64_t cookie;
	uint64_t sent_bytes;
	bool has_slot, is_sent;
	uint64_t received_bytes; /* of a read */
	bool is_scattered;	 /* they have not come in order */
};

/* From now on the connection's socket is the stream's.  False: no memory. */
bool remote_stream_begin(struct remote_connection *connection);
/* Forgets everything, also what is under way. */
void remote_stream_end(struct remote_connection *connection);
void remote_stream_free(struct remote_stream *stream);

/* Sends it with the next remote_stream_send. */
void remote_stream_add(struct remote_io *io);
/* Sends what can be sent.  False: it has broken. */
bool remote_stream_send(struct remote_connection *connection);
/* Takes what has come: answered requests go to the connection's `answered`. */
void remote_stream_receive(struct remote_connection *connection);

#endif
