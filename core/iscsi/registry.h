/* SPDX-License-Identifier: Apache-2.0
 *
 * All sessions of the daemon by their identity, across workers: which login takes the place of which session.  Used at
 * login and logout only; a mutex guards it.
 */
#ifndef TGTKIT_ISCSI_REGISTRY_H
#define TGTKIT_ISCSI_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

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

/* Ends every session of the target, each on its worker. */
void iscsi_registry_end_target(const char *target_name);

#endif
