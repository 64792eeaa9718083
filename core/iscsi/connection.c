/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iscsi/address.h"
#include "iscsi/admission.h"
#include "iscsi/figures.h"
#include "iscsi/full_feature.h"
#include "iscsi/registry.h"
#include "iscsi/session.h"
#include "iscsi/task.h"
#include "rt/log.h"

#define NANOSECONDS	      1000000000ull
#define MICROSECONDS	      1000000ull
#define LAST_WORDS_AT_STOP_US (MICROSECONDS / 2)
#define LAST_WORDS_US	      (2 * MICROSECONDS)
#define LOGOUT_TIME_S	      3u

/* The peer may still be sending; nobody wants it any more. */
static void discard_input(struct iscsi_connection *connection)
{
	ssize_t length =
	    recv(connection->socket.fd, connection->worker->receive_buffer, ISCSI_RECEIVE_BUFFER_BYTES, MSG_DONTWAIT);

	if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
		iscsi_connection_close(connection, NULL);
}

static void socket_ready(struct rt_fd *self, uint32_t events)
{
	struct iscsi_connection *connection = RT_CONTAINER_OF(self, struct iscsi_connection, socket);

	if (events & RT_FD_WRITE)
		iscsi_transmit(connection);
	switch (connection->state) {
	case ISCSI_CONNECTION_LOGIN:
	case ISCSI_CONNECTION_FULL_FEATURE:
		if (events & (RT_FD_READ | RT_FD_ERROR))
			iscsi_receive(connection);
		break;
	case ISCSI_CONNECTION_LINGERS:
		discard_input(connection);
		break;
	case ISCSI_CONNECTION_WAITS_FOR_SESSION:
	case ISCSI_CONNECTION_LEAVES:
	case ISCSI_CONNECTION_LAST_WORDS:
		if (events & RT_FD_ERROR)
			iscsi_connection_close(connection, "connection reset by the initiator");
		break;
	case ISCSI_CONNECTION_CLOSED:
		break;
	}
}

static void login_timed_out(struct rt_timer *timer)
{
	struct iscsi_connection *connection = RT_CONTAINER_OF(timer, struct iscsi_connection, timer);

	iscsi_connection_close(connection, "the login has not finished within login_timeout_s");
}

static void last_words_timed_out(struct rt_timer *timer)
{
	iscsi_connection_close(RT_CONTAINER_OF(timer, struct iscsi_connection, timer), NULL);
}

static void set_socket_options(int fd)
{
	const struct iscsi_server_options *options = iscsi_server_options();
	int on = 1;
	int idle_s = options->nop_interval_s ? (int)options->nop_interval_s : 60;
	int probes = 3, interval_s = 5;
	unsigned user_timeout_ms = (unsigned)(options->nop_interval_s + options->nop_timeout_s) * 1000u;

	/* Best effort: without them dead peers are found later, by NOP-In alone. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

static void destroy(struct rt_deferred *deferred)
{
	struct iscsi_connection *connection = RT_CONTAINER_OF(deferred, struct iscsi_connection, destroy);

	iscsi_portal_figures_drop(connection->portal);
	free(connection);
}

void iscsi_connection_start(struct iscsi_worker *worker, int fd, uint16_t portal_group_tag,
			    const struct sockaddr_storage *peer, struct iscsi_portal_figures *portal)
{
	struct iscsi_connection *connection = calloc(1, sizeof *connection);
	socklen_t length = sizeof connection->local_address;

	if (!connection) {
		atomic_fetch_sub_explicit(&worker->connection_count, 1, memory_order_relaxed);
		iscsi_admission_leave(peer, true);
		iscsi_portal_figures_drop(portal);
		close(fd);
		return;
	}
	connection->worker = worker;
	connection->portal_group_tag = portal_group_tag;
	connection->portal = portal;
	connection->peer_address = *peer;
	connection->socket.fd = fd;
	connection->socket.ready = socket_ready;
	connection->timer.expired = login_timed_out;
	connection->destroy.run = destroy;
	iscsi_address_format(peer, connection->peer, sizeof connection->peer);
	iscsi_transmitter_init(&connection->transmitter);
	rt_list_append(&worker->connections, &connection->in_worker);
	set_socket_options(fd);
	connection->login_directory = iscsi_directory_hold(worker->directory);
	connection->login =
	    iscsi_login_create(&(struct iscsi_login_context){.directory = connection->login_directory,
							     .portal_group_tag = portal_group_tag,
							     .peer = connection->peer,
							     .peer_address = &connection->peer_address});
	if (!connection->login || getsockname(fd, (struct sockaddr *)&connection->local_address, &length) ||
	    rt_fd_add(worker->rt->loop, &connection->socket, RT_FD_READ)) {
		iscsi_connection_close(connection, "the connection could not be set up");
		return;
	}
	rt_timer_arm(worker->rt->loop, &connection->timer, iscsi_server_options()->login_timeout_s * MICROSECONDS);
}

static void drop_login(struct iscsi_connection *connection)
{
	if (connection->claim) {
		iscsi_registry_abandon(connection->claim);
		connection->claim = NULL;
	}
	iscsi_login_free(connection->login);
	connection->login = NULL;
	if (connection->login_directory)
		iscsi_directory_drop(connection->login_directory);
	connection->login_directory = NULL;
}

void iscsi_connection_close(struct iscsi_connection *connection, const char *reason)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(20);

	if (connection->state == ISCSI_CONNECTION_CLOSED)
		return;
	if (reason)
		rt_log_limited_about(&limit, RT_ABOUT(.address = connection->peer), RT_LOG_WARNING,
				     "connection of %s closed: %s", connection->peer, reason);
	connection->state = ISCSI_CONNECTION_CLOSED;
	if (connection->socket.loop)
		rt_fd_remove(&connection->socket);
	close(connection->socket.fd);
	rt_timer_cancel(&connection->timer);
	drop_login(connection);
	if (connection->session)
		iscsi_session_close(connection->session);
	if (connection->leaving_session)
		connection->leaving_session->leaver = NULL;
	if (connection->farewell)
		iscsi_output_release(connection, connection->farewell);
	iscsi_receiver_reset(&connection->receiver);
	iscsi_transmitter_clear(connection);
	iscsi_text_exchange_free(connection->text_exchange);
	rt_list_remove(&connection->in_worker);
	atomic_fetch_sub_explicit(&connection->worker->connection_count, 1, memory_order_relaxed);
	iscsi_worker_check_stopped(connection->worker);
	iscsi_admission_leave(&connection->peer_address, !connection->logged_in);
	rt_loop_defer(connection->worker->rt->loop, RT_PHASE_SEND, &connection->destroy);
}

void iscsi_connection_finish(struct iscsi_connection *connection)
{
	struct rt_loop *loop = connection->worker->rt->loop;

	if (connection->state == ISCSI_CONNECTION_CLOSED || connection->state == ISCSI_CONNECTION_LAST_WORDS ||
	    connection->state == ISCSI_CONNECTION_LINGERS)
		return;
	connection->state = ISCSI_CONNECTION_LAST_WORDS;
	if (connection->session)
		iscsi_session_close(connection->session);
	/* A peer that does not take them does not hold us up. */
	connection->timer.expired = last_words_timed_out;
	rt_timer_arm(loop, &connection->timer, connection->draining ? LAST_WORDS_AT_STOP_US : LAST_WORDS_US);
	if (!connection->transmitter.first)
		iscsi_connection_linger(connection);
	else if (!connection->transmitter.waits_for_room)
		(void)rt_fd_modify(&connection->socket, 0);
}

void iscsi_connection_leave(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;

	connection->state = ISCSI_CONNECTION_LEAVES;
	/* scsi_nexus_close has a time limit of its own. */
	rt_timer_cancel(&connection->timer);
	if (!connection->transmitter.waits_for_room)
		(void)rt_fd_modify(&connection->socket, 0);
	if (session->nexus) {
		connection->leaving_session = session;
		session->leaver = connection;
		iscsi_session_close(session);
	} else {
		iscsi_session_close(session);
		iscsi_logout_finish(connection, true);
	}
}

static void logout_timed_out(struct rt_timer *timer)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(10);
	struct iscsi_connection *connection = RT_CONTAINER_OF(timer, struct iscsi_connection, timer);

	rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(connection->session), RT_LOG_INFO,
			     "%s: %s has not logged out although it was asked to; dropping the connection",
			     connection->peer, connection->session->initiator_name);
	iscsi_async_drop_connection(connection);
	iscsi_connection_finish(connection);
}

void iscsi_connection_request_logout(struct iscsi_connection *connection)
{
	if (connection->waits_for_logout || connection->state != ISCSI_CONNECTION_FULL_FEATURE)
		return;
	connection->waits_for_logout = true;
	iscsi_async_logout_request(connection, LOGOUT_TIME_S);
	connection->timer.expired = logout_timed_out;
	rt_timer_arm(connection->worker->rt->loop, &connection->timer, LOGOUT_TIME_S * MICROSECONDS);
}

void iscsi_connection_linger(struct iscsi_connection *connection)
{
	connection->state = ISCSI_CONNECTION_LINGERS;
	if (shutdown(connection->socket.fd, SHUT_WR) || rt_fd_modify(&connection->socket, RT_FD_READ))
		iscsi_connection_close(connection, NULL);
}

void iscsi_connection_check_drained(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;

	if (!connection->draining || connection->transmitter.first)
		return;
	if (connection->state != ISCSI_CONNECTION_FULL_FEATURE || !rt_list_is_empty(&session->tasks) ||
	    session->functions_under_way)
		return;
	iscsi_async_drop_all(connection);
	iscsi_connection_finish(connection);
}

void iscsi_connection_drain(struct iscsi_connection *connection)
{
	connection->draining = true;
	if (connection->state == ISCSI_CONNECTION_FULL_FEATURE)
		iscsi_connection_check_drained(connection);
	else if (connection->state != ISCSI_CONNECTION_LEAVES)
		iscsi_connection_close(connection, NULL);
}

/* Whether the peer has taken and sent nothing since then. */
static bool is_silent_since(const struct iscsi_connection *connection, uint64_t since_ns)
{
	const struct iscsi_transmitter *transmitter = &connection->transmitter;

	if (transmitter->first && transmitter->last_progress_ns <= since_ns)
		return true;
	return connection->last_received_ns <= since_ns;
}

static void ping(struct iscsi_connection *connection, uint64_t now_ns)
{
	connection->ping_sent_ns = now_ns;
	iscsi_nop_in_ping(connection, true);
	rt_timer_arm(connection->worker->rt->loop, &connection->timer,
		     iscsi_server_options()->nop_timeout_s * MICROSECONDS);
}

static void watch(struct rt_timer *timer)
{
	struct iscsi_connection *connection = RT_CONTAINER_OF(timer, struct iscsi_connection, timer);
	const struct iscsi_server_options *options = iscsi_server_options();
	uint64_t now_ns = rt_loop_now_ns(connection->worker->rt->loop);

	iscsi_data_out_fail_stalled(connection->session,
				    now_ns - (options->nop_interval_s + options->nop_timeout_s) * NANOSECONDS);
	if (!connection->ping_sent_ns && is_silent_since(connection, now_ns - options->nop_interval_s * NANOSECONDS)) {
		ping(connection, now_ns);
		return;
	}
	if (connection->ping_sent_ns && is_silent_since(connection, connection->ping_sent_ns)) {
		iscsi_connection_close(connection, "the initiator has not answered a NOP-In within nop_timeout_s");
		return;
	}
	connection->ping_sent_ns = 0;
	rt_timer_arm(connection->worker->rt->loop, timer, options->nop_interval_s * MICROSECONDS);
}

void iscsi_connection_start_watch(struct iscsi_connection *connection)
{
	const struct iscsi_server_options *options = iscsi_server_options();

	rt_timer_cancel(&connection->timer);
	drop_login(connection);
	connection->timer.expired = watch;
	if (options->nop_interval_s)
		rt_timer_arm(connection->worker->rt->loop, &connection->timer, options->nop_interval_s * MICROSECONDS);
}
