/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of a unit: begun on the pool (name resolution blocks), brought to readiness in the loop, and begun
 * again with back-off when it breaks.  On the unit's worker.
 */
#ifndef TGTKIT_PLUGINS_REMOTE_CONNECTION_H
#define TGTKIT_PLUGINS_REMOTE_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include <tgtkit/plugin.h>

#include "server.h"

struct remote_unit;
struct remote_io;

enum remote_connection_state {
	CONNECTION_DOWN,     /* the timer begins it again */
	CONNECTION_STARTING, /* on the pool */
	CONNECTION_CONNECTING,
	CONNECTION_READY,
	/* Given up while the server may still be working for it: shut down for writing, until the server has closed it
	 * too.  Nothing is sent to the server before, as an old write could land after a newer one. */
	CONNECTION_DRAINING,
};

struct remote_start {
	struct tgtkit_work work;
	bool running, over; /* with the unit's lock */
	struct nbd_handle *nbd;
	char reason[REMOTE_REASON_BYTES];
};

struct remote_connection {
	struct remote_unit *unit;
	unsigned number; /* from 1, for people */
	enum remote_connection_state state;
	struct nbd_handle *nbd;
	/* A duplicate of libnbd's socket, which libnbd closes whenever it likes. */
	int fd;
	ino_t inode; /* of the socket */
	struct tgtkit_watch *watch;
	uint32_t watched;
	struct tgtkit_timer *timer; /* DOWN: begin again; CONNECTING: enough */
	unsigned attempts;
	uint64_t ready_since_ns, last_reply_ns;
	bool has_been_ready, failure_logged;
	bool must_leave; /* the server is about to end */
	/* At least so much has arrived that libnbd has not read; 0: not known. */
	uint64_t unread_bytes;
	/* Of the reply that libnbd is reading, no less than it has; 0: not known. */
	uint64_t reply_bytes;
	uint64_t established; /* the unit's newest write when it became ready */
	unsigned in_flight;
	STAILQ_HEAD(, remote_io) answered;
	struct remote_start start;
	char reason[REMOTE_REASON_BYTES]; /* why it failed */
};

/* queue_open: `nbd` in the connection is ready, or NULL.  0 or a negative errno. */
int remote_connection_open(struct remote_connection *connection);
void remote_connection_close(struct remote_connection *connection);

/* The start on the pool is over. */
void remote_connection_started(struct remote_connection *connection);
/* Takes replies, and notices that it has broken.  True: something happened. */
bool remote_connection_settle(struct remote_connection *connection);
/* Watches for what libnbd waits for now. */
void remote_connection_update_watch(struct remote_connection *connection);
/* READY only: closes it though the server may be at work for it; what is in flight waits again. */
void remote_connection_abandon(struct remote_connection *connection, const char *reason);

#endif
