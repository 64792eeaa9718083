/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening portals: accept on the control thread, a worker for each connection.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iscsi/address.h"
#include "iscsi/admission.h"
#include "iscsi/connection.h"
#include "iscsi/figures.h"
#include "iscsi/listener.h"
#include "iscsi/worker.h"
#include "rt/log.h"

#define BACKLOG		 1024
#define ACCEPTS_PER_TURN 64
#define SHORTAGE_US	 100000u /* until there may be descriptors or memory again */
#define FULL_HOUSE_US	 5000u	 /* until some logins may have ended */

struct iscsi_listener {
	struct rt_list node;
	struct rt_fd socket;
	struct rt_timer pause;
	uint16_t portal_group_tag;
	struct iscsi_portal_figures *figures;
};

struct handover {
	struct rt_post post;
	struct iscsi_worker *worker;
	int fd;
	uint16_t portal_group_tag;
	struct sockaddr_storage peer;
	struct iscsi_portal_figures *portal;
};

static struct rt_loop *control;
static struct rt_list listeners = {&listeners, &listeners};

void iscsi_listeners_init(struct rt_loop *control_loop)
{
	control = control_loop;
}

static void take_over(struct rt_post *post)
{
	struct handover *handover = RT_CONTAINER_OF(post, struct handover, post);

	iscsi_connection_start(handover->worker, handover->fd, handover->portal_group_tag, &handover->peer,
			       handover->portal);
	free(handover);
}

static struct iscsi_worker *least_busy(void)
{
	struct iscsi_worker *best = iscsi_worker_get(0);

	for (unsigned i = 1; i < iscsi_worker_count(); i++) {
		struct iscsi_worker *worker = iscsi_worker_get(i);

		if (atomic_load_explicit(&worker->connection_count, memory_order_relaxed) <
		    atomic_load_explicit(&best->connection_count, memory_order_relaxed))
			best = worker;
	}
	return best;
}

static void admit(struct iscsi_listener *listener, int fd, const struct sockaddr_storage *peer)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	const char *refusal = iscsi_admission_enter(peer);
	struct handover *handover;
	char text[64];

	if (refusal) {
		iscsi_address_format(peer, text, sizeof text);
		rt_log_limited_about(&limit, RT_ABOUT(.address = text), RT_LOG_WARNING,
				     "connection from %s refused: %s is reached", text, refusal);
		close(fd);
		return;
	}
	handover = malloc(sizeof *handover);
	if (!handover) {
		iscsi_admission_leave(peer, true);
		close(fd);
		return;
	}
	*handover = (struct handover){.post.run = take_over,
				      .worker = least_busy(),
				      .fd = fd,
				      .portal_group_tag = listener->portal_group_tag,
				      .peer = *peer,
				      .portal = iscsi_portal_figures_hold(listener->figures)};
	iscsi_portal_figures_connected(listener->figures);
	/* Here, lest a whole batch of newcomers goes to one worker. */
	atomic_fetch_add_explicit(&handover->worker->connection_count, 1, memory_order_relaxed);
	rt_loop_post(handover->worker->rt->loop, &handover->post);
}

static void resume(struct rt_timer *timer)
{
	struct iscsi_listener *listener = RT_CONTAINER_OF(timer, struct iscsi_listener, pause);

	(void)rt_fd_modify(&listener->socket, RT_FD_READ);
}

static void pause_accepting(struct iscsi_listener *listener, uint64_t pause_us)
{
	(void)rt_fd_modify(&listener->socket, 0);
	rt_timer_arm(control, &listener->pause, pause_us);
}

/* Without descriptors or memory, accept would fail again at once: better to wait for some. */
static void wait_for_resources(struct iscsi_listener *listener, int error)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(1);

	rt_log_limited(&limit, RT_LOG_ERROR, "accept: %s", strerror(error));
	pause_accepting(listener, SHORTAGE_US);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void ready(struct rt_fd *socket, uint32_t events)
{
	struct iscsi_listener *listener = RT_CONTAINER_OF(socket, struct iscsi_listener, socket);

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage peer = {0};
		socklen_t length = sizeof peer;
		int fd;

		if (iscsi_admission_should_wait(rt_loop_now_ns(control))) {
			pause_accepting(listener, FULL_HOUSE_US);
			return;
		}
		fd = accept4(socket->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(listener, fd, &peer);
			continue;
		}
		if (is_shortage(errno))
			wait_for_resources(listener, errno);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static int open_socket(const struct sockaddr_storage *address)
{
	socklen_t length = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, status;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    /* [::] and 0.0.0.0 are two portals: each is listened on for itself. */
	    (address->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on)) ||
	    bind(fd, (const struct sockaddr *)address, length) || listen(fd, BACKLOG)) {
		status = -errno;
		close(fd);
		return status;
	}
	return fd;
}

int iscsi_listener_open(const struct sockaddr_storage *address, uint16_t portal_group_tag,
			struct iscsi_listener **opened, struct sockaddr_storage *bound)
{
	struct iscsi_listener *listener = calloc(1, sizeof *listener);
	socklen_t length = sizeof *bound;
	int status;

	if (!listener)
		return -ENOMEM;
	listener->portal_group_tag = portal_group_tag;
	listener->pause.expired = resume;
	listener->socket.ready = ready;
	listener->socket.fd = status = open_socket(address);
	if (status >= 0 && bound && getsockname(status, (struct sockaddr *)bound, &length))
		status = -errno;
	if (status >= 0)
		status = rt_fd_add(control, &listener->socket, RT_FD_READ);
	if (status < 0) {
		if (listener->socket.fd >= 0)
			close(listener->socket.fd);
		free(listener);
		return status;
	}
	listener->figures = iscsi_portal_figures_create(bound ? bound : address, portal_group_tag);
	rt_list_append(&listeners, &listener->node);
	*opened = listener;
	return 0;
}

void iscsi_listener_close(struct iscsi_listener *listener)
{
	rt_list_remove(&listener->node);
	rt_timer_cancel(&listener->pause);
	rt_fd_remove(&listener->socket);
	close(listener->socket.fd);
	iscsi_portal_figures_drop(listener->figures);
	free(listener);
}

void iscsi_listeners_close_all(void)
{
	while (!rt_list_is_empty(&listeners))
		iscsi_listener_close(RT_CONTAINER_OF(listeners.next, struct iscsi_listener, node));
}
