/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "iscsi/admission.h"
#include "iscsi/connection.h"
#include "iscsi/full_feature.h"
#include "iscsi/listener.h"
#include "iscsi/session.h"
#include "iscsi/task.h"
#include "iscsi/worker.h"
#include "rt/log.h"

static struct {
	struct rt_loop *control;
	struct iscsi_server_options options;
	struct iscsi_worker *workers;
	unsigned worker_count;
	atomic_uint still_stopping;
	uint64_t stop_timeout_us;
	struct rt_post *stopped;
} server;

const struct iscsi_server_options *iscsi_server_options(void)
{
	return &server.options;
}

struct iscsi_worker *iscsi_worker_get(unsigned index)
{
	return &server.workers[index];
}

unsigned iscsi_worker_count(void)
{
	return server.worker_count;
}

uint32_t iscsi_server_connection_count(void)
{
	return iscsi_admission_count();
}

static int worker_init(struct iscsi_worker *worker, unsigned index)
{
	worker->rt = rt_worker_get(index);
	rt_list_init(&worker->connections);
	rt_slab_init(&worker->tasks, sizeof(struct iscsi_task));
	rt_slab_init(&worker->outputs, sizeof(struct iscsi_output));
	worker->receive_buffer = aligned_alloc(4096, ISCSI_RECEIVE_BUFFER_BYTES);
	return worker->receive_buffer ? 0 : -ENOMEM;
}

/* What listeners, stores, event loops and plugins need beside the connections. */
#define OTHER_DESCRIPTORS 1024u

/* Shells and service managers start programs with 1,024 for the sake of select(2), which nothing here uses. */
static void raise_descriptor_limit(uint32_t max_connections)
{
	rlim_t wanted = (rlim_t)max_connections + OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < wanted)
		rt_log(
		    RT_LOG_WARNING,
		    "%llu open files are too few for max_connections (%u): raise the limit (LimitNOFILE, ulimit -Hn)",
		    (unsigned long long)limit.rlim_cur, max_connections);
}

int iscsi_server_start(struct rt_loop *control, const struct iscsi_server_options *options)
{
	server.control = control;
	server.options = *options;
	raise_descriptor_limit(options->max_connections);
	server.worker_count = rt_workers_count();
	server.workers = calloc(server.worker_count, sizeof *server.workers);
	if (!server.workers)
		return -ENOMEM;
	for (unsigned i = 0; i < server.worker_count; i++) {
		int status = worker_init(&server.workers[i], i);

		if (status)
			return status;
	}
	iscsi_listeners_init(control);
	return 0;
}

/* ---- Publication of a snapshot ---------------------------------------------------------------------------------- */

struct publication {
	atomic_uint outstanding;
	struct rt_post *applied;
	struct iscsi_directory *directory;
	struct message {
		struct rt_post post;
		struct publication *publication;
		struct iscsi_worker *worker;
	} messages[];
};

/* The session's target as it is now; NULL: it is gone, or gone from the session's portal group. */
static const struct iscsi_target *target_of(const struct iscsi_connection *connection)
{
	const struct iscsi_session *session = connection->session;
	const struct iscsi_target *target =
	    iscsi_directory_find_target(connection->worker->directory, session->target_name);

	return target && iscsi_target_find_port(target, session->portal_group_tag) ? target : NULL;
}

static void drop_session(struct iscsi_connection *connection)
{
	iscsi_async_drop_all(connection);
	iscsi_connection_finish(connection);
}

/* An access rule has changed: no LUN is left to the initiator from now on, and it has time to log out. */
static void revoke(struct iscsi_connection *connection)
{
	struct scsi_lun_map *nothing = scsi_lun_map_create(NULL, 0, NULL);

	if (!nothing) {
		drop_session(connection);
		return;
	}
	rt_log_about(ISCSI_ABOUT_SESSION(connection->session), RT_LOG_INFO,
		     "session of %s at %s with %s: no access rule admits it any more",
		     connection->session->initiator_name, connection->peer, connection->session->target_name);
	iscsi_connection_request_logout(connection);
	scsi_nexus_set_lun_map(connection->session->nexus, nothing);
	scsi_lun_map_drop(nothing);
}

static void refresh_session(struct iscsi_connection *connection)
{
	struct iscsi_session *session = connection->session;
	const struct iscsi_target *target;
	struct scsi_lun_map *map;

	if (!session || session->discovery)
		return;
	target = target_of(connection);
	if (!target) {
		drop_session(connection);
		return;
	}
	if (connection->waits_for_logout)
		return;
	map = iscsi_target_admit(target, session->initiator_name, &connection->peer_address);
	if (!map)
		revoke(connection);
	else if (scsi_nexus_set_lun_map(session->nexus, map) && target->parameters.async_event_reporting)
		iscsi_async_luns_changed(connection);
}

static void publication_finished(struct publication *publication)
{
	if (atomic_fetch_sub(&publication->outstanding, 1) != 1)
		return;
	if (publication->applied)
		rt_loop_post(server.control, publication->applied);
	iscsi_directory_drop(publication->directory);
	free(publication);
}

static void apply(struct rt_post *post)
{
	struct message *message = RT_CONTAINER_OF(post, struct message, post);
	struct iscsi_worker *worker = message->worker;
	struct iscsi_directory *old = worker->directory;

	worker->directory = iscsi_directory_hold(message->publication->directory);
	RT_LIST_FOR_EACH (node, &worker->connections) {
		refresh_session(RT_CONTAINER_OF(node, struct iscsi_connection, in_worker));
	}
	if (old)
		iscsi_directory_drop(old);
	publication_finished(message->publication);
}

void iscsi_server_publish(struct iscsi_directory *directory, struct rt_post *applied)
{
	struct publication *publication =
	    malloc(sizeof *publication + server.worker_count * sizeof publication->messages[0]);

	/* A daemon that cannot say what it serves is of no use to anybody. */
	if (!publication)
		abort();
	atomic_init(&publication->outstanding, server.worker_count);
	publication->applied = applied;
	publication->directory = directory;
	for (unsigned i = 0; i < server.worker_count; i++) {
		struct message *message = &publication->messages[i];

		*message = (struct message){{.run = apply}, publication, &server.workers[i]};
		rt_loop_post(message->worker->rt->loop, &message->post);
	}
}

/* ---- Orderly end --------------------------------------------------------------------------------------------------
 */

static void close_all(struct iscsi_worker *worker)
{
	while (!rt_list_is_empty(&worker->connections))
		iscsi_connection_close(
		    RT_CONTAINER_OF(worker->connections.next, struct iscsi_connection, in_worker),
		    "the server is stopping and the connection's commands have not finished in time");
}

static void stop_timed_out(struct rt_timer *timer)
{
	close_all(RT_CONTAINER_OF(timer, struct iscsi_worker, stop_timer));
}

void iscsi_worker_check_stopped(struct iscsi_worker *worker)
{
	if (!worker->stopping || worker->stop_reported || !rt_list_is_empty(&worker->connections))
		return;
	worker->stop_reported = true;
	rt_timer_cancel(&worker->stop_timer);
	if (worker->directory)
		iscsi_directory_drop(worker->directory);
	worker->directory = NULL;
	if (atomic_fetch_sub(&server.still_stopping, 1) == 1)
		rt_loop_post(server.control, server.stopped);
}

static void stop_worker(struct rt_post *post)
{
	struct iscsi_worker *worker = RT_CONTAINER_OF(post, struct iscsi_worker, stop);

	worker->stopping = true;
	worker->stop_timer.expired = stop_timed_out;
	rt_timer_arm(worker->rt->loop, &worker->stop_timer, server.stop_timeout_us);
	RT_LIST_FOR_EACH (node, &worker->connections) {
		iscsi_connection_drain(RT_CONTAINER_OF(node, struct iscsi_connection, in_worker));
	}
	iscsi_worker_check_stopped(worker);
}

void iscsi_server_stop(uint64_t timeout_us, struct rt_post *stopped)
{
	iscsi_listeners_close_all();
	server.stop_timeout_us = timeout_us;
	server.stopped = stopped;
	atomic_store(&server.still_stopping, server.worker_count);
	for (unsigned i = 0; i < server.worker_count; i++) {
		server.workers[i].stop.run = stop_worker;
		rt_loop_post(server.workers[i].rt->loop, &server.workers[i].stop);
	}
}
