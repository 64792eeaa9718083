/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "unit.h"

#define CONNECT_LIMIT_NS     (8 * NS_PER_S)
#define FIRST_DELAY_US	     20000u
#define LAST_DELAY_US	     2000000u
#define STABLE_AFTER_NS	     NS_PER_S /* a connection that lived this long is begun again at once */
#define KEEPALIVE_PROBES     3
#define REPLIES_PER_TURN     64 /* of one connection, before others have their turn */
#define SEND_BUFFER_BYTES    (1 << 20)

static void begin(struct remote_connection *connection);

/* ---- The socket ---------------------------------------------------------------------------------------------------- */

static void detach(struct remote_connection *connection)
{
	if (connection->watch != NULL)
		connection->unit->host->watch_remove(connection->watch);
	if (connection->fd >= 0)
		close(connection->fd);
	connection->watch = NULL;
	connection->fd = -1;
}

/* So that a peer that has vanished without a word is noticed, also while nothing is sent.  Fails for Unix sockets, which
 * need none of it. */
static void set_keepalive(int fd, uint64_t timeout_ns)
{
	const int on = 1, probes = KEEPALIVE_PROBES;
	const int timeout_ms = (int)(timeout_ns / NS_PER_MS);
	const int interval_s = timeout_ms / 1000 / (KEEPALIVE_PROBES + 1) + 1;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

/* libnbd hands over a request at a time, and a Unix socket takes no more of it at once than its send buffer holds, by
 * default less than 256 KiB: the rest would cost both sides another turn.  TCP finds its size by itself. */
static void set_send_buffer(int fd)
{
	const int bytes = SEND_BUFFER_BYTES;
	int domain = 0;
	socklen_t length = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_UNIX)
		return;
	/* Beyond net.core.wmem_max only with CAP_NET_ADMIN. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static void socket_ready(void *context, int fd, uint32_t events);

/* Watches libnbd's socket of the moment. */
static int attach(struct remote_connection *connection)
{
	const struct tgtkit_host *host = connection->unit->host;
	const int fd = nbd_aio_get_fd(connection->nbd);
	struct stat seen;
	int status;

	detach(connection);
	if (fd < 0 || fstat(fd, &seen) != 0)
		return -EBADF;
	connection->inode = seen.st_ino;
	connection->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (connection->fd < 0)
		return -errno;
	set_keepalive(connection->fd, connection->unit->settings.timeout_ns);
	set_send_buffer(connection->fd);
	connection->watched = remote_server_wants(connection->nbd);
	status = host->watch_add(connection->unit->worker, connection->fd, connection->watched, socket_ready,
				 connection, &connection->watch);
	if (status != 0)
		connection->watch = NULL;
	return status;
}

/* libnbd goes from one address to the next, and the new socket is likely to get the old number. */
static bool is_attached(const struct remote_connection *connection)
{
	struct stat seen;

	return connection->watch != NULL && fstat(nbd_aio_get_fd(connection->nbd), &seen) == 0 &&
	       seen.st_ino == connection->inode;
}

void remote_connection_update_watch(struct remote_connection *connection)
{
	uint32_t wanted;

	if (connection->state != CONNECTION_READY && connection->state != CONNECTION_CONNECTING)
		return;
	wanted = remote_server_wants(connection->nbd);
	if (wanted == connection->watched)
		return;
	connection->watched = wanted;
	connection->unit->host->watch_modify(connection->watch, wanted);
}

/* ---- Down, and up again -------------------------------------------------------------------------------------------- */

static void leave_ready(struct remote_connection *connection)
{
	if (connection->state != CONNECTION_READY)
		return;
	connection->unit->ready--;
	/* One that was good for something: again soon, but no faster than a server that dies of a request can take. */
	if (connection->last_reply_ns > connection->ready_since_ns)
		connection->attempts = 1;
	if (remote_now_ns() - connection->ready_since_ns >= STABLE_AFTER_NS)
		connection->attempts = 0;
	connection->state = CONNECTION_DOWN;
	remote_connections_changed(connection->unit);
}

/* Doubles, and is spread by a quarter, so that the clients of a server do not all come back at once. */
static uint64_t retry_delay_us(const struct remote_connection *connection)
{
	const unsigned doublings = connection->attempts - 1 < 7 ? connection->attempts - 1 : 7;
	uint64_t delay = (uint64_t)FIRST_DELAY_US << doublings;

	if (delay > LAST_DELAY_US)
		delay = LAST_DELAY_US;
	return delay - delay / 4 + (remote_now_ns() / NS_PER_US * 2654435761u + connection->number) % (delay / 2);
}

static void retry(struct remote_connection *connection)
{
	connection->state = CONNECTION_DOWN;
	if (connection->attempts++ == 0)
		begin(connection);
	else
		connection->unit->host->timer_arm(connection->timer, retry_delay_us(connection));
}

/* Once per outage as a warning; the attempts that follow are for those who look closer. */
static void log_failure(struct remote_connection *connection)
{
	const struct remote_unit *unit = connection->unit;

	unit->host->log(unit->unit, connection->failure_logged ? TGTKIT_LOG_DEBUG : TGTKIT_LOG_WARNING,
			"connection %u to the server is down, trying again: %s", connection->number,
			connection->reason);
	connection->failure_logged = true;
}

static void close_handle(struct remote_connection *connection)
{
	nbd_close(connection->nbd);
	connection->nbd = NULL;
}

/* It has not come to readiness, or has broken. */
static void fail(struct remote_connection *connection)
{
	connection->unit->host->timer_disarm(connection->timer);
	detach(connection);
	close_handle(connection);
	log_failure(connection);
	leave_ready(connection);
	retry(connection);
}

static void become_ready(struct remote_connection *connection)
{
	struct remote_unit *unit = connection->unit;

	unit->host->timer_disarm(connection->timer);
	connection->state = CONNECTION_READY;
	connection->must_leave = false;
	connection->reason[0] = '\0';
	connection->established = unit->written;
	connection->ready_since_ns = connection->last_reply_ns = remote_now_ns();
	if (connection->has_been_ready)
		remote_count(unit, REMOTE_RECONNECTS, 1);
	if (connection->failure_logged)
		unit->host->log(unit->unit, TGTKIT_LOG_INFO, "connection %u to the server is back", connection->number);
	connection->has_been_ready = true;
	connection->failure_logged = false;
	unit->ready++;
	remote_connections_changed(unit);
}

/* The handshake is over.  Whoever answers now may be another server with another disk. */
static void admit(struct remote_connection *connection)
{
	struct remote_unit *unit = connection->unit;
	struct remote_export now;

	if (remote_export_read(connection->nbd, &now, connection->reason) &&
	    remote_export_fits(&unit->export, &now, connection->reason)) {
		become_ready(connection);
		return;
	}
	if (unit->ready == 0)
		remote_lose(unit, connection->reason);
	fail(connection);
}

static void advance(struct remote_connection *connection)
{
	if (nbd_aio_is_ready(connection->nbd)) {
		if (is_attached(connection) || attach(connection) == 0)
			admit(connection);
		else
			fail(connection);
		return;
	}
	if (!is_attached(connection) && attach(connection) != 0) {
		snprintf(connection->reason, sizeof(connection->reason), "its socket cannot be watched");
		fail(connection);
	}
}

/* ---- Beginning, on the pool ---------------------------------------------------------------------------------------- */

static void start_on_pool(struct tgtkit_work *work)
{
	struct remote_connection *connection = (struct remote_connection *)((char *)work -
									   offsetof(struct remote_connection, start.work));
	struct remote_unit *unit = connection->unit;
	struct remote_start *start = &connection->start;
	const uint64_t one = 1;

	start->nbd = remote_server_start(&unit->settings, start->reason);
	pthread_mutex_lock(&unit->lock);
	start->running = false;
	start->over = true;
	/* Cannot fail: far below its limit. */
	if (write(unit->started_fd, &one, sizeof(one)) < 0)
		unit->host->log(unit->unit, TGTKIT_LOG_ERROR, "eventfd: %s", strerror(errno));
	pthread_cond_broadcast(&unit->start_is_over);
	pthread_mutex_unlock(&unit->lock);
}

static void begin(struct remote_connection *connection)
{
	struct remote_unit *unit = connection->unit;

	connection->state = CONNECTION_STARTING;
	connection->start.work.run = start_on_pool;
	pthread_mutex_lock(&unit->lock);
	connection->start.running = true;
	connection->start.over = false;
	pthread_mutex_unlock(&unit->lock);
	unit->host->offload(unit->unit, &connection->start.work);
}

void remote_connection_started(struct remote_connection *connection)
{
	struct remote_unit *unit = connection->unit;
	bool is_over;

	pthread_mutex_lock(&unit->lock);
	is_over = connection->start.over;
	connection->start.over = false;
	pthread_mutex_unlock(&unit->lock);
	if (!is_over || connection->state != CONNECTION_STARTING)
		return;
	connection->nbd = connection->start.nbd;
	connection->start.nbd = NULL;
	connection->state = CONNECTION_CONNECTING;
	if (connection->nbd == NULL) {
		memcpy(connection->reason, connection->start.reason, sizeof(connection->reason));
		fail(connection);
		return;
	}
	unit->host->timer_arm(connection->timer, CONNECT_LIMIT_NS / NS_PER_US);
	advance(connection);
}

static void timer_expired(void *context)
{
	struct remote_connection *connection = context;

	if (connection->state == CONNECTION_DOWN) {
		begin(connection);
		return;
	}
	snprintf(connection->reason, sizeof(connection->reason), "the server does not answer");
	fail(connection);
}

/* ---- Giving up on a server that may still be at work --------------------------------------------------------------- */

void remote_connection_abandon(struct remote_connection *connection, const char *reason)
{
	struct remote_unit *unit = connection->unit;

	snprintf(connection->reason, sizeof(connection->reason), "%s", reason);
	log_failure(connection);
	/* After this libnbd touches no buffer any more. */
	close_handle(connection);
	leave_ready(connection);
	for (struct remote_io *io = TAILQ_FIRST(&unit->outstanding), *next; io != NULL; io = next) {
		next = TAILQ_NEXT(io, age);
		if (io->connection == connection)
			remote_io_requeue(io);
	}
	STAILQ_INIT(&connection->answered);
	connection->state = CONNECTION_DRAINING;
	unit->draining++;
	shutdown(connection->fd, SHUT_WR);
	connection->watched = TGTKIT_FD_READ;
	unit->host->watch_modify(connection->watch, TGTKIT_FD_READ);
	remote_connections_changed(unit);
}

static void drain(struct remote_connection *connection)
{
	static _Thread_local char rubbish[16384];
	ssize_t got;

	do
		got = recv(connection->fd, rubbish, sizeof(rubbish), MSG_DONTWAIT);
	while (got > 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	detach(connection);
	connection->unit->draining--;
	remote_connections_changed(connection->unit);
	retry(connection);
}

/* ---- Events -------------------------------------------------------------------------------------------------------- */

/* What is not answered yet may be, by now.  The kernel is asked once for as many replies as have arrived; not with TLS,
 * which has sizes of its own. */
static bool has_more(struct remote_connection *connection)
{
	const uint64_t taken = connection->unit->settings.tls ? 0 : connection->reply_bytes;
	int arrived = 0;

	if (nbd_aio_in_flight(connection->nbd) == 0)
		return false;
	if (taken > 0 && taken < connection->unread_bytes) {
		connection->unread_bytes -= taken;
		return true;
	}
	/* The end of the connection is for the loop to see. */
	connection->unread_bytes = ioctl(connection->fd, FIONREAD, &arrived) == 0 && arrived > 0 ? (uint64_t)arrived : 0;
	return connection->unread_bytes > 0;
}

/* libnbd takes one reply at a time, and must not be told of one that is not there. */
static void take_replies(struct remote_connection *connection, uint32_t events)
{
	connection->unread_bytes = 0;
	for (unsigned i = 0; i < REPLIES_PER_TURN; i++) {
		connection->reply_bytes = 0;
		/* If it has broken, settling finds out. */
		if (!remote_server_notify(connection->nbd, events, connection->reason))
			return;
		if (!has_more(connection))
			return;
		events = TGTKIT_FD_READ;
	}
}

static void socket_ready(void *context, int fd, uint32_t events)
{
	struct remote_connection *connection = context;

	(void)fd;
	connection->reason[0] = '\0';
	if (connection->state == CONNECTION_DRAINING)
		drain(connection);
	else if (connection->state == CONNECTION_READY)
		take_replies(connection, events);
	else if (remote_server_notify(connection->nbd, events, connection->reason))
		advance(connection);
	else
		fail(connection);
	remote_run(connection->unit);
}

static bool take_answered(struct remote_connection *connection)
{
	struct remote_io *io = STAILQ_FIRST(&connection->answered);
	const bool has_taken = io != NULL;

	/* If it is gone, libnbd has made up what came. */
	if (has_taken && !remote_server_is_gone(connection->nbd))
		connection->last_reply_ns = remote_now_ns();
	while ((io = STAILQ_FIRST(&connection->answered)) != NULL) {
		STAILQ_REMOVE_HEAD(&connection->answered, reply);
		remote_io_answered(io);
	}
	return has_taken;
}

bool remote_connection_settle(struct remote_connection *connection)
{
	bool has_settled;

	if (connection->state != CONNECTION_READY)
		return false;
	has_settled = take_answered(connection);
	if (remote_server_is_gone(connection->nbd)) {
		if (connection->reason[0] == '\0')
			snprintf(connection->reason, sizeof(connection->reason), "it broke while sending");
		fail(connection);
		return true;
	}
	if (connection->must_leave) {
		remote_connection_abandon(connection, "the server is shutting down");
		return true;
	}
	return has_settled;
}

/* ---- With the queue ------------------------------------------------------------------------------------------------ */

int remote_connection_open(struct remote_connection *connection)
{
	struct remote_unit *unit = connection->unit;
	int status = unit->host->timer_create(unit->worker, timer_expired, connection, &connection->timer);

	if (status != 0)
		return status;
	if (connection->nbd != NULL && !remote_server_is_gone(connection->nbd) && attach(connection) == 0) {
		become_ready(connection);
		return 0;
	}
	close_handle(connection);
	connection->attempts = 1;
	begin(connection);
	return 0;
}

void remote_connection_close(struct remote_connection *connection)
{
	detach(connection);
	if (connection->timer != NULL)
		connection->unit->host->timer_destroy(connection->timer);
	connection->timer = NULL;
	connection->state = CONNECTION_DOWN;
}
