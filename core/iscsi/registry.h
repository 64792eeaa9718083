/* SPDX-License-Identifier: Apache-2.0
 *
 * All sessions of the daemon by their identity, across workers: which login takes the place of which session.  Used at
 * login and logout only; a mutex guards it.
 */
#ifndef TGTKIT_ISCSI_REGISTRY_H
#define TGTKIT_ISCSI_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/directory.h"
#include "iscsi/figures.h"
#include "iscsi/parameters.h"
#include "iscsi/pdu.h"

struct iscsi_connection;
struct iscsi_session;
struct iscsi_worker;
struct iscsi_registry_entry;
struct iscsi_registry_claim;

struct iscsi_session_identity {
	const char *initiator_name;
	const char *target_name; /* "" for discovery */
	uint16_t portal_group_tag;
	uint8_t isid[6];
	uint16_t tsih; /* as the initiator sent it; 0: a new session */
	uint16_t cid;
	/* Limits of the target. */
	uint32_t max_sessions;
	bool single_initiator;
};

/* On the worker of the connection: claims the identity for a session.
 * ISCSI_LOGIN_SUCCESS with *entry: it is the connection's own now.
 * ISCSI_LOGIN_SUCCESS with *entry NULL: an old session is being ended first; connection->claim is set, and
 * iscsi_login_phase_resume follows.  Any other status: refused. */
enum iscsi_login_status iscsi_registry_claim(struct iscsi_connection *connection,
					     const struct iscsi_session_identity *identity,
					     struct iscsi_registry_entry **entry);
/* The connection died while it waited. */
void iscsi_registry_abandon(struct iscsi_registry_claim *claim);

uint16_t iscsi_registry_tsih(const struct iscsi_registry_entry *entry);
/* The entry's session exists from now on, on this worker; another login may ask it to end. */
void iscsi_registry_attach(struct iscsi_registry_entry *entry, struct iscsi_session *session);
/* The session has not ended in time: those that wait for it are refused, it stays until iscsi_registry_remove. */
void iscsi_registry_stuck(struct iscsi_registry_entry *entry);
/* The session has ended, or was never made: the next claim gets the place. */
void iscsi_registry_remove(struct iscsi_registry_entry *entry);

/* A session as others may look at it: what was fixed when it began. */
struct iscsi_session_view {
	uint16_t tsih; /* no other session of the daemon has it */
	uint16_t portal_group_tag, cid;
	uint8_t isid[6];
	char initiator_name[ISCSI_NAME_BYTES], target_name[ISCSI_NAME_BYTES]; /* target "": discovery */
	char peer[64];
	unsigned worker;
	uint64_t started_ns; /* rt_clock_ns */
	struct iscsi_parameters parameters;
	char portal[64]; /* that its connection came through */
	/* Until now. */
	struct scsi_figures figures;
	uint64_t r2ts, received_bytes, sent_bytes;
};

/* Any thread: the sessions that are in the full feature phase now, ascending by TSIH; to be freed.  -ENOMEM. */
int iscsi_registry_list(struct iscsi_session_view **sessions, size_t *count);
/* Any thread: what came through each portal, ended sessions and those that go on; to be freed.  -ENOMEM. */
int iscsi_registry_list_portals(struct iscsi_portal_view **portals, size_t *count);
/* Any thread.  Whether a session with the target is there or about to be. */
bool iscsi_registry_has_target(const char *target_name);
/* Any thread: tells the initiator by an asynchronous message and ends the session.  false: there is none. */
bool iscsi_registry_drop(uint16_t tsih);

/* Ends every session of the target, each on its worker. */
void iscsi_registry_end_target(const char *target_name);

#endif
