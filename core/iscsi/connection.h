/* SPDX-License-Identifier: Apache-2.0
 *
 * One TCP connection.  Lives on one worker from its first byte to its last.
 */
#ifndef TGTKIT_ISCSI_CONNECTION_H
#define TGTKIT_ISCSI_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "iscsi/login.h"
#include "iscsi/pdu.h"
#include "iscsi/receive.h"
#include "iscsi/transmit.h"
#include "iscsi/worker.h"

struct iscsi_portal_figures;
struct iscsi_session;
struct iscsi_registry_claim;
struct iscsi_registry_entry;
struct iscsi_text_exchange;

enum iscsi_connection_state {
	ISCSI_CONNECTION_LOGIN,
	ISCSI_CONNECTION_WAITS_FOR_SESSION, /* the old session of the same name is being ended */
	ISCSI_CONNECTION_FULL_FEATURE,
	ISCSI_CONNECTION_LEAVES,     /* nothing more is read; the session is ending, then the farewell goes out */
	ISCSI_CONNECTION_LAST_WORDS, /* nothing more is read; the session is gone; what is queued goes out */
	ISCSI_CONNECTION_LINGERS, /* all is sent: waits for the peer to close, lest a reset overtake the last words */
	ISCSI_CONNECTION_CLOSED,  /* off the loop; freed with the last output that refers to it */
};

struct iscsi_connection {
	enum iscsi_connection_state state;
	struct iscsi_worker *worker;
	struct rt_list in_worker;
	struct rt_fd socket;
	struct rt_timer timer; /* login timeout, then NOP-In */
	uint64_t last_received_ns;
	uint64_t ping_sent_ns; /* of a NOP-In whose answer is awaited; 0: none */
	bool stat_sn_known;
	bool logged_in;	       /* has been, also when the session is gone */
	bool draining;	       /* no new commands: the server is stopping */
	bool waits_for_logout; /* the initiator was asked to: no new commands */
	uint16_t portal_group_tag;
	struct iscsi_portal_figures *portal; /* a reference is held; NULL: none */
	uint16_t cid;
	uint32_t stat_sn;      /* of the next response */
	uint32_t login_cmd_sn; /* of the last login request: the first command's too */
	struct sockaddr_storage peer_address, local_address;
	char peer[64]; /* "192.0.2.7:51234" */
	struct iscsi_receiver receiver;
	struct iscsi_transmitter transmitter;
	struct iscsi_login *login;
	struct iscsi_directory *login_directory;
	struct iscsi_registry_claim *claim; /* while WAITS_FOR_SESSION */
	struct iscsi_session *session;
	/* While LEAVES: the response to the logout, and the session that has to end before. */
	struct iscsi_output *farewell;
	struct iscsi_session *leaving_session;
	struct iscsi_text_exchange *text_exchange;
	struct rt_deferred destroy;
};

/* On the worker: takes over an accepted socket, which worker->connection_count counts already, and a reference to the
 * portal (or NULL). */
void iscsi_connection_start(struct iscsi_worker *worker, int fd, uint16_t portal_group_tag,
			    const struct sockaddr_storage *peer, struct iscsi_portal_figures *portal);

/* Ends the connection now, and its session with it.  `reason` goes to the log; NULL: nothing to say.  Safe inside any
 * callback of the connection; its memory stays until the end of the turn. */
void iscsi_connection_close(struct iscsi_connection *connection, const char *reason);
/* Ends the session, sends what is queued, then closes. */
void iscsi_connection_finish(struct iscsi_connection *connection);
/* Ends the session, then calls iscsi_logout_finish with connection->farewell set. */
void iscsi_connection_leave(struct iscsi_connection *connection);
/* The initiator may not stay: asks it to log out and takes no new commands; if it does not in time, the connection is
 * dropped. */
void iscsi_connection_request_logout(struct iscsi_connection *connection);
/* All of the last words are out. */
void iscsi_connection_linger(struct iscsi_connection *connection);
/* A step back from work: closes if draining and idle. */
void iscsi_connection_check_drained(struct iscsi_connection *connection);
/* The server is stopping. */
void iscsi_connection_drain(struct iscsi_connection *connection);
/* Login is done: from now on NOP-In watches over it. */
void iscsi_connection_start_watch(struct iscsi_connection *connection);

/* core/iscsi/login_phase.c: the login phase of a connection. */
bool iscsi_login_phase_accepts(struct iscsi_connection *connection, const uint8_t *bhs);
void iscsi_login_phase_pdu(struct iscsi_connection *connection, const uint8_t *bhs, const uint8_t *data,
			   uint32_t length);
/* From the registry, on the worker: the old session has ended (status 0), or did not in time (a login status). */
void iscsi_login_phase_resume(struct iscsi_connection *connection, enum iscsi_login_status status,
			      struct iscsi_registry_entry *entry);

#endif
