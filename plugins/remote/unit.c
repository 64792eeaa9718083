/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "unit.h"

/* A request that is overdue while the server answers others: the server is not dead, and what it was asked may take
 * long.  This many timeouts are too long all the same. */
#define PATIENCE 4

/* ---- State --------------------------------------------------------------------------------------------------------- */

static bool is_usable(const struct remote_unit *unit)
{
	return unit->ready > 0 && unit->draining == 0;
}

bool remote_is_held(const struct remote_unit *unit)
{
	return !is_usable(unit) || unit->replay != REPLAY_IDLE;
}

void remote_lose(struct remote_unit *unit, const char *reason)
{
	if (unit->lost)
		return;
	unit->lost = true;
	unit->host->log(unit->unit, TGTKIT_LOG_ERROR, "the server is lost, requests fail until it is back: %s",
			reason);
	/* From now on another host may be at work on the export: what was written before must not come back. */
	if (unit->written > unit->flushed)
		remote_journal_give_up(&unit->journal, unit->written);
	unit->host->event(unit->unit, TGTKIT_EVENT_LOST);
}

void remote_connections_changed(struct remote_unit *unit)
{
	atomic_store_explicit(&unit->counters[REMOTE_READY_CONNECTIONS], unit->ready, memory_order_relaxed);
	if (!is_usable(unit)) {
		if (unit->down_since_ns == 0)
			unit->down_since_ns = remote_now_ns();
	} else {
		unit->down_since_ns = 0;
		if (unit->lost) {
			unit->lost = false;
			unit->host->event(unit->unit, TGTKIT_EVENT_BACK);
		}
	}
	remote_replay_consider(unit);
}

/* ---- Timeouts ------------------------------------------------------------------------------------------------------ */

static bool is_stuck(const struct remote_io *io, uint64_t now_ns)
{
	const uint64_t timeout_ns = io->unit->settings.timeout_ns;

	return now_ns - io->connection->last_reply_ns >= timeout_ns ||
	       now_ns - io->due_ns >= (PATIENCE - 1) * timeout_ns;
}

static void time_out(struct remote_io *io)
{
	struct remote_unit *unit = io->unit;

	TAILQ_REMOVE(&unit->waiting, io, place);
	remote_count(unit, REMOTE_TIMED_OUT, 1);
	remote_io_end(io, io->operation == TGTKIT_FLUSH && remote_all_is_flushed(unit) ? 0 : -ETIMEDOUT);
}

static void give_up_on(struct remote_connection *connection)
{
	struct remote_unit *unit = connection->unit;
	char reason[REMOTE_REASON_BYTES];

	snprintf(reason, sizeof(reason), "the server has not answered a request within timeout_s (%u s)",
		 (unsigned)(unit->settings.timeout_ns / NS_PER_S));
	remote_connection_abandon(connection, reason);
	remote_lose(unit, reason);
}

/* True: look again, as the requests of a connection wait now. */
static bool expire_some(struct remote_unit *unit, uint64_t now_ns)
{
	struct remote_io *io = TAILQ_FIRST(&unit->outstanding), *next;

	for (; io != NULL && io->due_ns <= now_ns; io = next) {
		next = TAILQ_NEXT(io, age);
		if (io->connection == NULL) {
			time_out(io);
		} else if (is_stuck(io, now_ns)) {
			give_up_on(io->connection);
			return true;
		}
	}
	return false;
}

static void watchdog_expired(void *context)
{
	struct remote_unit *unit = context;
	const uint64_t now = remote_now_ns();
	char reason[REMOTE_REASON_BYTES];

	unit->watchdog_armed = false;
	if (!is_usable(unit) && now - unit->down_since_ns >= unit->settings.timeout_ns) {
		snprintf(reason, sizeof(reason), "no usable connection for timeout_s (%u s)",
			 (unsigned)(unit->settings.timeout_ns / NS_PER_S));
		remote_lose(unit, reason);
	}
	while (expire_some(unit, now))
		;
	remote_run(unit);
}

/* For what is due first.  Armed only once, as nothing that comes later is due earlier. */
static void arm_watchdog(struct remote_unit *unit)
{
	const struct remote_io *oldest = TAILQ_FIRST(&unit->outstanding);
	uint64_t due = UINT64_MAX, now;

	if (unit->watchdog_armed)
		return;
	if (oldest != NULL)
		due = oldest->due_ns;
	if (!is_usable(unit) && !unit->lost && unit->down_since_ns + unit->settings.timeout_ns < due)
		due = unit->down_since_ns + unit->settings.timeout_ns;
	if (due == UINT64_MAX)
		return;
	now = remote_now_ns();
	unit->watchdog_armed = true;
	/* Rounded up; and what is overdue already is looked at now and then. */
	unit->host->timer_arm(unit->watchdog, due > now ? (due - now) / NS_PER_US + 1
							 : unit->settings.timeout_ns / NS_PER_US / 8);
}

/* ---- Driving ------------------------------------------------------------------------------------------------------- */

void remote_run(struct remote_unit *unit)
{
	bool has_settled;

	do {
		has_settled = false;
		for (unsigned i = 0; i < unit->connection_count; i++)
			has_settled |= remote_connection_settle(&unit->connections[i]);
		remote_replay_run(unit);
		remote_io_pump(unit);
	} while (has_settled);
	for (unsigned i = 0; i < unit->connection_count; i++)
		remote_connection_update_watch(&unit->connections[i]);
	arm_watchdog(unit);
}

void remote_commit(void *context)
{
	remote_run(context);
}

static void starts_over(void *context, int fd, uint32_t events)
{
	struct remote_unit *unit = context;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0)
		return;
	for (unsigned i = 0; i < unit->connection_count; i++)
		remote_connection_started(&unit->connections[i]);
	remote_run(unit);
}

/* ---- The queue ----------------------------------------------------------------------------------------------------- */

static int open_parts(struct remote_unit *unit)
{
	int status = unit->host->timer_create(unit->worker, watchdog_expired, unit, &unit->watchdog);

	if (status == 0)
		status = unit->host->watch_add(unit->worker, unit->started_fd, TGTKIT_FD_READ, starts_over, unit,
					       &unit->started_watch);
	for (unsigned i = 0; i < unit->connection_count && status == 0; i++)
		status = remote_connection_open(&unit->connections[i]);
	return status;
}

int remote_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	struct remote_unit *unit = handle;
	int status;

	unit->worker = args->worker;
	unit->down_since_ns = remote_now_ns();
	status = open_parts(unit);
	if (status != 0) {
		remote_queue_close(unit);
		return status;
	}
	remote_run(unit);
	*queue_context = unit;
	return 0;
}

void remote_queue_close(void *queue_context)
{
	struct remote_unit *unit = queue_context;

	for (unsigned i = 0; i < unit->connection_count; i++)
		remote_connection_close(&unit->connections[i]);
	if (unit->started_watch != NULL)
		unit->host->watch_remove(unit->started_watch);
	if (unit->watchdog != NULL)
		unit->host->timer_destroy(unit->watchdog);
	unit->started_watch = NULL;
	unit->watchdog = NULL;
}
