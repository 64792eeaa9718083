/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/figures.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/address.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rt_list portals = {&portals, &portals};

static uint64_t get(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

/* ---- Portals ---------------------------------------------------------------------------------------------------- */

/* One that has closed and is opened again goes on counting where connections have kept it. */
static struct iscsi_portal_figures *find(const char *address, uint16_t tag)
{
	RT_LIST_FOR_EACH (node, &portals) {
		struct iscsi_portal_figures *portal = RT_CONTAINER_OF(node, struct iscsi_portal_figures, node);

		if (portal->tag == tag && !strcmp(portal->address, address))
			return portal;
	}
	return NULL;
}

struct iscsi_portal_figures *iscsi_portal_figures_create(const struct sockaddr_storage *address, uint16_t tag)
{
	struct iscsi_portal_figures *portal;
	char text[sizeof(portal->address)];

	iscsi_address_format(address, text, sizeof(text));
	pthread_mutex_lock(&lock);
	portal = find(text, tag);
	if (!portal && (portal = calloc(1, sizeof(*portal)))) {
		portal->tag = tag;
		memcpy(portal->address, text, sizeof(text));
		rt_list_append(&portals, &portal->node);
	}
	if (portal)
		portal->references++;
	pthread_mutex_unlock(&lock);
	return portal;
}

struct iscsi_portal_figures *iscsi_portal_figures_hold(struct iscsi_portal_figures *portal)
{
	if (!portal)
		return NULL;
	pthread_mutex_lock(&lock);
	portal->references++;
	pthread_mutex_unlock(&lock);
	return portal;
}

void iscsi_portal_figures_drop(struct iscsi_portal_figures *portal)
{
	bool is_last;

	if (!portal)
		return;
	pthread_mutex_lock(&lock);
	is_last = --portal->references == 0;
	if (is_last)
		rt_list_remove(&portal->node);
	pthread_mutex_unlock(&lock);
	if (is_last)
		free(portal);
}

void iscsi_portal_figures_connected(struct iscsi_portal_figures *portal)
{
	if (!portal)
		return;
	pthread_mutex_lock(&lock);
	portal->connections++;
	pthread_mutex_unlock(&lock);
}

/* ---- Sessions --------------------------------------------------------------------------------------------------- */

struct iscsi_session_figures *iscsi_session_figures_create(struct iscsi_portal_figures *portal)
{
	struct iscsi_session_figures *figures = calloc(1, sizeof(*figures));

	if (!figures)
		return NULL;
	atomic_init(&figures->references, 1);
	figures->portal = iscsi_portal_figures_hold(portal);
	if (!portal)
		return figures;
	pthread_mutex_lock(&lock);
	portal->sessions++;
	pthread_mutex_unlock(&lock);
	return figures;
}

struct iscsi_session_figures *iscsi_session_figures_hold(struct iscsi_session_figures *figures)
{
	if (figures)
		atomic_fetch_add(&figures->references, 1);
	return figures;
}

void iscsi_session_figures_drop(void *context)
{
	struct iscsi_session_figures *figures = context;

	if (!figures || atomic_fetch_sub(&figures->references, 1) != 1)
		return;
	iscsi_portal_figures_drop(figures->portal);
	free(figures);
}

void iscsi_session_figures_fold(const struct iscsi_session_figures *figures)
{
	struct iscsi_portal_figures *portal = figures ? figures->portal : NULL;

	if (!portal)
		return;
	pthread_mutex_lock(&lock);
	scsi_figures_collect(&figures->commands, &portal->ended);
	portal->r2ts += get(&figures->r2ts);
	portal->received_bytes += get(&figures->received_bytes);
	portal->sent_bytes += get(&figures->sent_bytes);
	pthread_mutex_unlock(&lock);
}

/* ---- For whoever looks on --------------------------------------------------------------------------------------- */

static void take_view(const struct iscsi_portal_figures *portal, struct iscsi_portal_view *view)
{
	*view = (struct iscsi_portal_view){
	    .tag = portal->tag,
	    .connections = portal->connections,
	    .sessions = portal->sessions,
	    .figures = portal->ended,
	    .r2ts = portal->r2ts,
	    .received_bytes = portal->received_bytes,
	    .sent_bytes = portal->sent_bytes,
	};
	/* What was under way when a session ended is not any more. */
	view->figures.started -= scsi_figures_queue_depth(&view->figures);
	memcpy(view->address, portal->address, sizeof(view->address));
}

int iscsi_portal_figures_list(struct iscsi_portal_view **views, size_t *count)
{
	size_t room = 0;

	*count = 0;
	pthread_mutex_lock(&lock);
	RT_LIST_FOR_EACH (node, &portals) {
		room++;
	}
	*views = calloc(room + 1, sizeof(**views));
	RT_LIST_FOR_EACH (node, &portals) {
		if (*views)
			take_view(RT_CONTAINER_OF(node, struct iscsi_portal_figures, node), &(*views)[(*count)++]);
	}
	pthread_mutex_unlock(&lock);
	return *views ? 0 : -ENOMEM;
}

void iscsi_portal_view_add(struct iscsi_portal_view *views, size_t count, const struct iscsi_session_figures *figures)
{
	for (size_t i = 0; i < count; i++) {
		struct iscsi_portal_view *view = &views[i];

		if (view->tag != figures->portal->tag || strcmp(view->address, figures->portal->address))
			continue;
		view->open_sessions++;
		scsi_figures_collect(&figures->commands, &view->figures);
		view->r2ts += get(&figures->r2ts);
		view->received_bytes += get(&figures->received_bytes);
		view->sent_bytes += get(&figures->sent_bytes);
		return;
	}
}
