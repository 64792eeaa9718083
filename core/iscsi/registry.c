/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/registry.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/connection.h"
#include "iscsi/full_feature.h"
#include "iscsi/session.h"
#include "rt/log.h"

#define BUCKETS	      4096u
#define MOST_SESSIONS 65535u /* a TSIH is 16 bits, and not 0 */

struct iscsi_registry_entry {
	struct rt_list in_bucket;
	struct rt_list waiting; /* of struct iscsi_registry_claim */
	char *initiator_name, *target_name;
	uint16_t portal_group_tag, tsih, cid;
	uint8_t isid[6];
	uint32_t max_sessions;
	bool single_initiator;
	bool attached, end_wanted, end_posted, end_announced, stuck;
	unsigned references; /* the owner's, and the message's */
	struct rt_post end;
	struct iscsi_worker *worker;
	struct iscsi_session *session; /* touched on its worker only */
	/* From attach on. */
	char peer[64];
	uint64_t started_ns;
	struct iscsi_parameters parameters;
	struct iscsi_session_figures *figures; /* a reference is held; NULL: none */
};

/* A login that waits for the end of the session in its place. */
struct iscsi_registry_claim {
	struct rt_list node;
	struct iscsi_connection *connection; /* touched on its worker only; NULL: it is gone */
	struct iscsi_worker *worker;
	struct iscsi_registry_entry *entry; /* that it will own */
	enum iscsi_login_status status;
	bool answered;
	struct rt_post resume;
};

static struct {
	pthread_mutex_t lock;
	bool ready;
	struct rt_list buckets[BUCKETS];
	uint8_t tsih_in_use[(MOST_SESSIONS + 8) / 8];
	uint16_t last_tsih;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- Under the lock -----------------------------------------------------------------------------------------------
 */

static void make_ready(void)
{
	if (registry.ready)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		rt_list_init(&registry.buckets[i]);
	registry.ready = true;
}

static uint32_t hash_text(uint32_t hash, const char *text)
{
	while (*text)
		hash = (hash ^ (uint8_t)*text++) * 16777619u;
	return hash;
}

static struct rt_list *bucket_of(const char *initiator_name, const char *target_name, const uint8_t *isid)
{
	uint32_t hash = hash_text(hash_text(2166136261u, initiator_name), target_name);

	for (unsigned i = 0; i < 6; i++)
		hash = (hash ^ isid[i]) * 16777619u;
	return &registry.buckets[hash % BUCKETS];
}

static void entry_drop(struct iscsi_registry_entry *entry)
{
	if (--entry->references)
		return;
	free(entry->initiator_name);
	free(entry->target_name);
	iscsi_session_figures_drop(entry->figures);
	free(entry);
}

static struct iscsi_registry_entry *entry_new(const struct iscsi_session_identity *identity,
					      struct iscsi_worker *worker)
{
	struct iscsi_registry_entry *entry = calloc(1, sizeof *entry);

	if (!entry)
		return NULL;
	entry->references = 1;
	rt_list_init(&entry->in_bucket);
	rt_list_init(&entry->waiting);
	entry->initiator_name = strdup(identity->initiator_name);
	entry->target_name = strdup(identity->target_name);
	entry->portal_group_tag = identity->portal_group_tag;
	entry->cid = identity->cid;
	memcpy(entry->isid, identity->isid, sizeof entry->isid);
	entry->max_sessions = identity->max_sessions;
	entry->single_initiator = identity->single_initiator;
	entry->worker = worker;
	if (!entry->initiator_name || !entry->target_name) {
		entry_drop(entry);
		return NULL;
	}
	return entry;
}

static struct iscsi_registry_entry *find(const struct iscsi_session_identity *identity)
{
	struct rt_list *bucket = bucket_of(identity->initiator_name, identity->target_name, identity->isid);

	RT_LIST_FOR_EACH (node, bucket) {
		struct iscsi_registry_entry *entry = RT_CONTAINER_OF(node, struct iscsi_registry_entry, in_bucket);

		if (strcmp(entry->initiator_name, identity->initiator_name) == 0 &&
		    strcmp(entry->target_name, identity->target_name) == 0 &&
		    memcmp(entry->isid, identity->isid, sizeof entry->isid) == 0 &&
		    entry->portal_group_tag == identity->portal_group_tag)
			return entry;
	}
	return NULL;
}

static bool take_tsih(struct iscsi_registry_entry *entry)
{
	for (unsigned tries = 0; tries < MOST_SESSIONS; tries++) {
		uint16_t tsih = ++registry.last_tsih;

		if (tsih == 0 || (registry.tsih_in_use[tsih / 8] & 1u << tsih % 8))
			continue;
		registry.tsih_in_use[tsih / 8] |= (uint8_t)(1u << tsih % 8);
		entry->tsih = tsih;
		return true;
	}
	return false;
}

static bool insert(struct iscsi_registry_entry *entry)
{
	if (!take_tsih(entry))
		return false;
	rt_list_append(bucket_of(entry->initiator_name, entry->target_name, entry->isid), &entry->in_bucket);
	return true;
}

/* Walks all sessions: only targets that limit them pay for it. */
static enum iscsi_login_status check_limits(const struct iscsi_session_identity *identity)
{
	uint32_t sessions = 0;

	if (!identity->max_sessions && !identity->single_initiator)
		return ISCSI_LOGIN_SUCCESS;
	for (unsigned i = 0; i < BUCKETS; i++) {
		RT_LIST_FOR_EACH (node, &registry.buckets[i]) {
			const struct iscsi_registry_entry *entry =
			    RT_CONTAINER_OF(node, struct iscsi_registry_entry, in_bucket);

			if (strcmp(entry->target_name, identity->target_name) != 0)
				continue;
			sessions++;
			if (identity->single_initiator && strcmp(entry->initiator_name, identity->initiator_name) != 0)
				return ISCSI_LOGIN_FORBIDDEN;
		}
	}
	if (identity->max_sessions && sessions >= identity->max_sessions)
		return ISCSI_LOGIN_TOO_MANY_CONNECTIONS;
	return ISCSI_LOGIN_SUCCESS;
}

/* ---- Ending the old session ------------------------------------------------------------------------------------- */

static void end_connection(struct iscsi_connection *connection, bool announced)
{
	if (announced) {
		rt_log_about(ISCSI_ABOUT_SESSION(connection->session), RT_LOG_INFO,
			     "session of %s with %s: dropped by the administrator", connection->session->initiator_name,
			     connection->session->target_name);
		iscsi_async_drop_connection(connection);
		iscsi_connection_finish(connection);
	} else {
		iscsi_connection_close(connection, "the session is ended by a new login or a reset");
	}
}

static void end_session(struct rt_post *post)
{
	struct iscsi_registry_entry *entry = RT_CONTAINER_OF(post, struct iscsi_registry_entry, end);

	if (entry->session && entry->session->connection)
		end_connection(entry->session->connection, entry->end_announced);
	pthread_mutex_lock(&registry.lock);
	entry_drop(entry);
	pthread_mutex_unlock(&registry.lock);
}

/* A session that is not there yet is ended as soon as it is. */
static void want_end(struct iscsi_registry_entry *entry)
{
	entry->end_wanted = true;
	if (entry->end_posted || !entry->attached)
		return;
	entry->end_posted = true;
	entry->references++;
	entry->end.run = end_session;
	rt_loop_post(entry->worker->rt->loop, &entry->end);
}

/* ---- Waiting for its end ---------------------------------------------------------------------------------------- */

static void resume(struct rt_post *post)
{
	struct iscsi_registry_claim *claim = RT_CONTAINER_OF(post, struct iscsi_registry_claim, resume);
	struct iscsi_connection *connection = claim->connection;
	struct iscsi_registry_entry *entry = claim->entry;
	enum iscsi_login_status status = claim->status;

	free(claim);
	if (connection)
		iscsi_login_phase_resume(connection, status, entry);
	else if (status == ISCSI_LOGIN_SUCCESS)
		iscsi_registry_remove(entry);
}

static void answer_claim(struct iscsi_registry_claim *claim, enum iscsi_login_status status)
{
	claim->status = status;
	claim->answered = true;
	if (status != ISCSI_LOGIN_SUCCESS) {
		entry_drop(claim->entry);
		claim->entry = NULL;
	}
	claim->resume.run = resume;
	rt_loop_post(claim->worker->rt->loop, &claim->resume);
}

static enum iscsi_login_status wait_for_end(struct iscsi_connection *connection, struct iscsi_registry_entry *old,
					    struct iscsi_registry_entry *entry)
{
	struct iscsi_registry_claim *claim = calloc(1, sizeof *claim);

	if (!claim)
		return ISCSI_LOGIN_OUT_OF_RESOURCES;
	claim->connection = connection;
	claim->worker = connection->worker;
	claim->entry = entry;
	rt_list_append(&old->waiting, &claim->node);
	connection->claim = claim;
	want_end(old);
	return ISCSI_LOGIN_SUCCESS;
}

/* ---- Calls ----------------------------------------------------------------------------------------------------------
 */

static enum iscsi_login_status claim_locked(struct iscsi_connection *connection,
					    const struct iscsi_session_identity *identity,
					    struct iscsi_registry_entry *entry, bool *waits)
{
	bool discovery = identity->target_name[0] == '\0';
	struct iscsi_registry_entry *old = discovery ? NULL : find(identity);
	enum iscsi_login_status status;

	if (identity->tsih && (!old || old->tsih != identity->tsih))
		return ISCSI_LOGIN_SESSION_DOES_NOT_EXIST;
	if (identity->tsih && old->cid != identity->cid)
		return ISCSI_LOGIN_TOO_MANY_CONNECTIONS; /* MaxConnections is 1 */
	if (old && old->stuck)
		return ISCSI_LOGIN_SERVICE_UNAVAILABLE;
	if (old) {
		*waits = true;
		return wait_for_end(connection, old, entry);
	}
	status = check_limits(identity);
	if (status == ISCSI_LOGIN_SUCCESS && !insert(entry))
		status = ISCSI_LOGIN_OUT_OF_RESOURCES;
	return status;
}

enum iscsi_login_status iscsi_registry_claim(struct iscsi_connection *connection,
					     const struct iscsi_session_identity *identity,
					     struct iscsi_registry_entry **entry)
{
	struct iscsi_registry_entry *made = entry_new(identity, connection->worker);
	enum iscsi_login_status status;
	bool waits = false;

	*entry = NULL;
	if (!made)
		return ISCSI_LOGIN_OUT_OF_RESOURCES;
	pthread_mutex_lock(&registry.lock);
	make_ready();
	status = claim_locked(connection, identity, made, &waits);
	if (status != ISCSI_LOGIN_SUCCESS)
		entry_drop(made);
	else if (!waits)
		*entry = made;
	pthread_mutex_unlock(&registry.lock);
	return status;
}

void iscsi_registry_abandon(struct iscsi_registry_claim *claim)
{
	pthread_mutex_lock(&registry.lock);
	if (claim->answered) {
		claim->connection = NULL;
	} else {
		rt_list_remove(&claim->node);
		entry_drop(claim->entry);
		free(claim);
	}
	pthread_mutex_unlock(&registry.lock);
}

uint16_t iscsi_registry_tsih(const struct iscsi_registry_entry *entry)
{
	return entry->tsih;
}

void iscsi_registry_attach(struct iscsi_registry_entry *entry, struct iscsi_session *session)
{
	entry->session = session;
	pthread_mutex_lock(&registry.lock);
	entry->attached = true;
	snprintf(entry->peer, sizeof entry->peer, "%s", session->connection->peer);
	entry->started_ns = rt_clock_ns();
	entry->parameters = session->parameters;
	entry->figures = iscsi_session_figures_hold(session->figures);
	if (entry->end_wanted)
		want_end(entry);
	pthread_mutex_unlock(&registry.lock);
}

void iscsi_registry_stuck(struct iscsi_registry_entry *entry)
{
	struct rt_list *node;

	pthread_mutex_lock(&registry.lock);
	entry->stuck = true;
	while ((node = rt_list_take_first(&entry->waiting)))
		answer_claim(RT_CONTAINER_OF(node, struct iscsi_registry_claim, node), ISCSI_LOGIN_SERVICE_UNAVAILABLE);
	pthread_mutex_unlock(&registry.lock);
}

/* The first that waits gets the place; the others wait for it in turn. */
static void pass_on(struct iscsi_registry_entry *entry)
{
	struct rt_list *node = rt_list_take_first(&entry->waiting);
	struct iscsi_registry_claim *next;

	if (!node)
		return;
	next = RT_CONTAINER_OF(node, struct iscsi_registry_claim, node);
	if (!insert(next->entry)) {
		answer_claim(next, ISCSI_LOGIN_OUT_OF_RESOURCES);
		pass_on(entry);
		return;
	}
	rt_list_splice(&next->entry->waiting, &entry->waiting);
	if (!rt_list_is_empty(&next->entry->waiting))
		next->entry->end_wanted = true;
	answer_claim(next, ISCSI_LOGIN_SUCCESS);
}

void iscsi_registry_remove(struct iscsi_registry_entry *entry)
{
	pthread_mutex_lock(&registry.lock);
	entry->session = NULL;
	iscsi_session_figures_fold(entry->figures);
	rt_list_remove(&entry->in_bucket);
	registry.tsih_in_use[entry->tsih / 8] &= (uint8_t) ~(1u << entry->tsih % 8);
	pass_on(entry);
	entry_drop(entry);
	pthread_mutex_unlock(&registry.lock);
}

void iscsi_registry_end_target(const char *target_name)
{
	pthread_mutex_lock(&registry.lock);
	make_ready();
	for (unsigned i = 0; i < BUCKETS; i++) {
		RT_LIST_FOR_EACH (node, &registry.buckets[i]) {
			struct iscsi_registry_entry *entry =
			    RT_CONTAINER_OF(node, struct iscsi_registry_entry, in_bucket);

			if (strcmp(entry->target_name, target_name) == 0)
				want_end(entry);
		}
	}
	pthread_mutex_unlock(&registry.lock);
}

/* ---- For whoever looks on ------------------------------------------------------------------------------------------
 */

static void take_view(const struct iscsi_registry_entry *entry, struct iscsi_session_view *view)
{
	*view = (struct iscsi_session_view){
	    .tsih = entry->tsih,
	    .portal_group_tag = entry->portal_group_tag,
	    .cid = entry->cid,
	    .worker = entry->worker->rt->index,
	    .started_ns = entry->started_ns,
	    .parameters = entry->parameters,
	};
	memcpy(view->isid, entry->isid, sizeof view->isid);
	snprintf(view->initiator_name, sizeof view->initiator_name, "%s", entry->initiator_name);
	snprintf(view->target_name, sizeof view->target_name, "%s", entry->target_name);
	snprintf(view->peer, sizeof view->peer, "%s", entry->peer);
	if (!entry->figures)
		return;
	scsi_figures_collect(&entry->figures->commands, &view->figures);
	view->r2ts = atomic_load_explicit(&entry->figures->r2ts, memory_order_relaxed);
	view->received_bytes = atomic_load_explicit(&entry->figures->received_bytes, memory_order_relaxed);
	view->sent_bytes = atomic_load_explicit(&entry->figures->sent_bytes, memory_order_relaxed);
	if (entry->figures->portal)
		memcpy(view->portal, entry->figures->portal->address, sizeof view->portal);
}

/* Calls for every attached session, under the lock. */
static size_t walk(struct iscsi_session_view *views)
{
	size_t count = 0;

	make_ready();
	for (unsigned i = 0; i < BUCKETS; i++) {
		RT_LIST_FOR_EACH (node, &registry.buckets[i]) {
			const struct iscsi_registry_entry *entry =
			    RT_CONTAINER_OF(node, struct iscsi_registry_entry, in_bucket);

			if (!entry->attached)
				continue;
			if (views)
				take_view(entry, &views[count]);
			count++;
		}
	}
	return count;
}

static int compare_views(const void *a, const void *b)
{
	const struct iscsi_session_view *first = a, *second = b;

	return (int)first->tsih - (int)second->tsih;
}

int iscsi_registry_list(struct iscsi_session_view **sessions, size_t *count)
{
	pthread_mutex_lock(&registry.lock);
	*count = walk(NULL);
	*sessions = calloc(*count + 1, sizeof **sessions);
	if (*sessions)
		walk(*sessions);
	pthread_mutex_unlock(&registry.lock);
	if (!*sessions)
		return -ENOMEM;
	qsort(*sessions, *count, sizeof **sessions, compare_views);
	return 0;
}

int iscsi_registry_list_portals(struct iscsi_portal_view **portals, size_t *count)
{
	int status;

	/* Under the lock, so that no session ends, and is counted twice or not at all, meanwhile. */
	pthread_mutex_lock(&registry.lock);
	make_ready();
	status = iscsi_portal_figures_list(portals, count);
	for (unsigned i = 0; i < BUCKETS && !status; i++) {
		RT_LIST_FOR_EACH (node, &registry.buckets[i]) {
			const struct iscsi_registry_entry *entry =
			    RT_CONTAINER_OF(node, struct iscsi_registry_entry, in_bucket);

			if (entry->figures && entry->figures->portal)
				iscsi_portal_view_add(*portals, *count, entry->figures);
		}
	}
	pthread_mutex_unlock(&registry.lock);
	return status;
}

bool iscsi_registry_has_target(const char *target_name)
{
	bool found = false;

	pthread_mutex_lock(&registry.lock);
	make_ready();
	for (unsigned i = 0; i < BUCKETS && !found; i++) {
		RT_LIST_FOR_EACH (node, &registry.buckets[i]) {
			found |= strcmp(RT_CONTAINER_OF(node, struct iscsi_registry_entry, in_bucket)->target_name,
					target_name) == 0;
		}
	}
	pthread_mutex_unlock(&registry.lock);
	return found;
}

bool iscsi_registry_drop(uint16_t tsih)
{
	bool found = false;

	pthread_mutex_lock(&registry.lock);
	make_ready();
	for (unsigned i = 0; i < BUCKETS && !found; i++) {
		RT_LIST_FOR_EACH (node, &registry.buckets[i]) {
			struct iscsi_registry_entry *entry =
			    RT_CONTAINER_OF(node, struct iscsi_registry_entry, in_bucket);

			if (entry->tsih != tsih || !entry->attached)
				continue;
			found = true;
			entry->end_announced |= !entry->end_posted;
			want_end(entry);
		}
	}
	pthread_mutex_unlock(&registry.lock);
	return found;
}
