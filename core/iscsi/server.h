/* SPDX-License-Identifier: Apache-2.0
 *
 * The iSCSI target server: listening portals, connections spread over the workers, orderly ends.  Everything is called
 * on the control thread (the thread that runs the control loop) unless it says otherwise.
 */
#ifndef TGTKIT_ISCSI_SERVER_H
#define TGTKIT_ISCSI_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "iscsi/directory.h"
#include "rt/loop.h"

struct iscsi_server_options {
	uint32_t login_timeout_s;
	uint32_t nop_interval_s; /* 0: no NOP-In */
	uint32_t nop_timeout_s;
	uint32_t task_management_timeout_s;
	uint32_t max_connections;
	uint32_t max_connections_per_address; /* 0: no limit */
	uint32_t max_pending_logins;
};

/* The workers run already.  0 or negative errno. */
int iscsi_server_start(struct rt_loop *control, const struct iscsi_server_options *options);

/* Publishes a snapshot (takes over the caller's reference): logins from now on see it.  A full feature session whose
 * target is still there gets its new LUN map; one whose target or port is gone is dropped.  When every worker has taken
 * it over, `applied` (may be NULL) is posted to the control loop. */
void iscsi_server_publish(struct iscsi_directory *directory, struct rt_post *applied);

/* Listens on one portal of a group.  Port 0 picks one; `bound` (may be NULL) receives the real address.  0 or negative
 * errno. */
struct iscsi_listener;
int iscsi_listener_open(const struct sockaddr_storage *address, uint16_t portal_group_tag,
			struct iscsi_listener **listener, struct sockaddr_storage *bound);
void iscsi_listener_close(struct iscsi_listener *listener);

/* Orderly end: stops accepting and reading new commands, lets what is under way finish and be answered (at most
 * timeout_us), then closes every connection.  `stopped` is posted to the control loop. */
void iscsi_server_stop(uint64_t timeout_us, struct rt_post *stopped);

uint32_t iscsi_server_connection_count(void); /* any thread */

#endif
