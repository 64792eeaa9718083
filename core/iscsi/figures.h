/* SPDX-License-Identifier: Apache-2.0
 *
 * What sessions and portals have done.  A session's figures are counted by its worker with plain loads and stores; a
 * portal's are the sum of its sessions, those that have ended included, and cost nothing while commands run.
 */
#ifndef TGTKIT_ISCSI_FIGURES_H
#define TGTKIT_ISCSI_FIGURES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "rt/list.h"
#include "scsi/figures.h"

/* A listening address.  It stays as long as it listens or a connection that came through it is there. */
struct iscsi_portal_figures {
	struct rt_list node;
	unsigned references;
	uint16_t tag;
	char address[64]; /* "192.0.2.1:3260" */
	uint64_t connections, sessions;
	/* Of sessions that have ended. */
	struct scsi_figures ended;
	uint64_t r2ts, received_bytes, sent_bytes;
};

struct iscsi_session_figures {
	atomic_uint references;
	struct scsi_lane_figures commands;
	_Atomic uint64_t r2ts, received_bytes, sent_bytes; /* bytes of the connection: headers count, too */
	struct iscsi_portal_figures *portal;		   /* NULL: none */
};

/* Any thread, all of them.  NULL: no memory, or NULL was given: nothing is counted then. */
struct iscsi_portal_figures *iscsi_portal_figures_create(const struct sockaddr_storage *address, uint16_t tag);
struct iscsi_portal_figures *iscsi_portal_figures_hold(struct iscsi_portal_figures *portal);
void iscsi_portal_figures_drop(struct iscsi_portal_figures *portal);
/* A connection has come through it. */
void iscsi_portal_figures_connected(struct iscsi_portal_figures *portal);

struct iscsi_session_figures *iscsi_session_figures_create(struct iscsi_portal_figures *portal);
struct iscsi_session_figures *iscsi_session_figures_hold(struct iscsi_session_figures *figures);
void iscsi_session_figures_drop(void *figures);
/* The session has ended: its portal keeps its figures. */
void iscsi_session_figures_fold(const struct iscsi_session_figures *figures);

struct iscsi_portal_view {
	uint16_t tag;
	char address[64];
	uint64_t connections, sessions; /* since it listens */
	unsigned open_sessions;
	struct scsi_figures figures;
	uint64_t r2ts, received_bytes, sent_bytes;
};

/* The portals, with what their ended sessions have done; from malloc.  -ENOMEM. */
int iscsi_portal_figures_list(struct iscsi_portal_view **portals, size_t *count);
/* Adds a session that goes on to its portal. */
void iscsi_portal_view_add(struct iscsi_portal_view *portals, size_t count,
			   const struct iscsi_session_figures *figures);

#endif
