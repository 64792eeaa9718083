/* SPDX-License-Identifier: Apache-2.0
 *
 * An opened unit: its requests, and the connections that carry them.  All of it belongs to the unit's home worker from
 * queue_open to queue_close, but for what stands under `lock`.
 *
 * A request is `outstanding` from submit to complete.  It either waits, or is in flight on one connection.  It waits
 * while no connection is ready, and a request that changes data waits also for every older one that changes the same
 * bytes: so whatever is in flight can be sent again after its connection has broken, without landing on newer data.
 *
 * Writes that have completed are numbered.  A flush can only vouch for those that were acknowledged while the
 * connection that it goes through existed already, as then the same server has answered both; a connection is said to
 * cover the unit if no unflushed write is older than it.  When no connection does, the journal is replayed, or if it
 * cannot be, the next flush fails.
 */
#ifndef TGTKIT_PLUGINS_REMOTE_UNIT_H
#define TGTKIT_PLUGINS_REMOTE_UNIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <tgtkit/plugin.h>

#include "connection.h"
#include "journal.h"
#include "server.h"
#include "settings.h"

#define REMOTE_REPLAY_DEPTH 16

struct remote_unit;

/* A request; in the scratch area of the host's, or a member of the unit for the plugin's own. */
struct remote_io {
	TAILQ_ENTRY(remote_io) age;      /* in `outstanding` */
	TAILQ_ENTRY(remote_io) place;    /* in `waiting`, or in `changing` */
	STAILQ_ENTRY(remote_io) reply;   /* in its connection's `answered` */
	struct remote_unit *unit;
	struct tgtkit_request *request;  /* NULL: the plugin's own */
	uint32_t operation, flags;
	uint64_t offset, length;
	void *data;
	uint64_t number, due_ns;
	struct remote_connection *connection; /* that it is in flight on; else it waits */
	uint64_t done_bytes, sent_bytes; /* ZERO goes in pieces */
	uint64_t seen_bytes;             /* READ: of the reply */
	uint64_t covers;                 /* FLUSH: the newest write that had completed when it was sent */
	int error;                       /* of the reply */
	bool slow;                       /* ZERO: the server has no fast way */
	bool is_initialized;             /* READ: what the server leaves out is zeros */
	bool is_scattered;               /* READ: the reply's pieces do not follow one another */
	bool busy;                       /* the plugin's own: outstanding */
	bool nonsense;                   /* EXTENTS: the reply cannot be */
};

TAILQ_HEAD(remote_io_list, remote_io);

enum remote_counter {
	REMOTE_RECONNECTS,
	REMOTE_RESENT,
	REMOTE_TIMED_OUT,
	REMOTE_REPLAYED_BYTES,
	REMOTE_READY_CONNECTIONS,
	REMOTE_COUNTERS,
};

enum remote_replay { REPLAY_IDLE, REPLAY_WANTED, REPLAY_RUNNING };

struct remote_unit {
	const struct tgtkit_host *host;
	struct tgtkit_unit *unit;
	struct remote_settings settings;
	struct remote_export export; /* as it was at open */
	bool tracks_writes;          /* there is something to flush */
	bool initializes_reads;      /* the server sends replies in pieces that do not follow one another */
	atomic_uint_least64_t counters[REMOTE_COUNTERS];

	struct tgtkit_worker *worker;
	struct remote_connection connections[REMOTE_CONNECTION_LIMIT];
	unsigned connection_count;
	unsigned ready, draining; /* connections */
	int started_fd;           /* eventfd: a connection was begun on the pool */
	struct tgtkit_watch *started_watch;
	pthread_mutex_t lock; /* for the `started` of connections */
	pthread_cond_t start_is_over;

	struct remote_io_list outstanding; /* by age */
	struct remote_io_list waiting;     /* by age */
	struct remote_io_list changing;    /* in flight, and changes data */
	uint64_t next_number;
	unsigned in_flight;

	uint64_t written, flushed; /* numbers of the newest write that completed, and that a flush has covered */
	bool has_flushed;
	struct remote_journal journal;
	struct remote_io own_flush;
	int own_flush_status; /* that failed: for the next flush of the host */

	enum remote_replay replay;
	struct remote_connection *replay_connection;
	const struct remote_record *replay_record;
	uint64_t replay_offset;
	struct remote_io replay_ios[REMOTE_REPLAY_DEPTH];
	unsigned replay_in_flight;

	struct tgtkit_timer *watchdog;
	bool watchdog_armed;
	uint64_t down_since_ns; /* no request can be sent */
	bool lost;              /* and the host was told */
};

/* ---- io.c: requests ---- */
void remote_io_begin(struct remote_io *io, uint64_t now_ns); /* all but age and number is filled in */
/* Sends it now; nothing is in the way.  It may end at once. */
void remote_io_send(struct remote_io *io);
void remote_io_send_on(struct remote_io *io, struct remote_connection *connection);
/* In flight no more, for the reason that its `error` says. */
void remote_io_answered(struct remote_io *io);
/* Its connection is gone: waits to be sent again. */
void remote_io_requeue(struct remote_io *io);
void remote_io_end(struct remote_io *io, int status);
/* Sends what waits and need not any more. */
void remote_io_pump(struct remote_unit *unit);

int remote_submit(void *queue_context, struct tgtkit_request *request);
void remote_cancel(void *queue_context, struct tgtkit_request *request);

/* ---- command.c: what libnbd is asked for a request.  False: it refused, with io->error. ---- */
bool remote_command_send(struct remote_io *io, struct nbd_handle *nbd);
/* READ, answered without an error: it has to be sent again, into memory that is initialized. */
bool remote_command_must_repeat(const struct remote_io *io);

/* ---- replay.c: durability ---- */
/* A flush has nothing to do, and it is known that it has not. */
bool remote_all_is_flushed(const struct remote_unit *unit);
/* One that a flush may go through; NULL: there is none. */
struct remote_connection *remote_covering_connection(struct remote_unit *unit);
void remote_note_change(struct remote_unit *unit, const struct remote_io *io);
void remote_note_flush(struct remote_unit *unit, const struct remote_io *io, int status);
/* No connection covers, and nothing can be replayed: what a flush has to answer. */
int remote_flush_lost(struct remote_unit *unit);
void remote_replay_run(struct remote_unit *unit);
/* Which connections are ready has changed. */
void remote_replay_consider(struct remote_unit *unit);
/* One of the plugin's own requests has ended. */
void remote_own_io_ended(struct remote_io *io, int status);

/* ---- unit.c: what drives it ---- */
/* After anything has happened: takes replies, sends what can be sent, waits for the rest. */
void remote_run(struct remote_unit *unit);
void remote_commit(void *context);
/* Whether nothing of the host's may be sent now. */
bool remote_is_held(const struct remote_unit *unit);
/* A connection is ready, or draining, or not so any more. */
void remote_connections_changed(struct remote_unit *unit);
/* The server is known to be of no use. */
void remote_lose(struct remote_unit *unit, const char *reason);
int remote_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context);
void remote_queue_close(void *queue_context);

static inline void remote_count(struct remote_unit *unit, enum remote_counter counter, uint64_t amount)
{
	atomic_fetch_add_explicit(&unit->counters[counter], amount, memory_order_relaxed);
}

#endif
