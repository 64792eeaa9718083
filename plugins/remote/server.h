/* SPDX-License-Identifier: Apache-2.0
 *
 * A libnbd handle on its way to an export, and what the server says of that export.
 */
#ifndef TGTKIT_PLUGINS_REMOTE_SERVER_H
#define TGTKIT_PLUGINS_REMOTE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libnbd.h>
#include <tgtkit/plugin.h>

#include "settings.h"

#define REMOTE_REASON_BYTES 256
/* Of one zero that may take the server as long as a write. */
#define REMOTE_SLOW_ZERO_BYTES (32u << 20)

/* What was agreed on with the server.  Sizes of blocks are 0 where it did not say. */
struct remote_export {
	uint64_t size_bytes;
	uint32_t minimum_block_bytes, preferred_block_bytes, maximum_transfer_bytes;
	bool read_only, rotational, multi_conn;
	bool can_flush, can_fua, can_trim, can_zero, can_fast_zero, can_extents;
};

/* Any thread but a worker: resolves names.  Begins to connect; NULL with `reason` when even that failed. */
struct nbd_handle *remote_server_start(const struct remote_settings *settings, char reason[REMOTE_REASON_BYTES]);

/* The same, and waits until the handle is ready.  Blocks, for `timeout_ns` besides name resolution.  0 or a negative
 * errno with `error`. */
int remote_server_connect(const struct remote_settings *settings, uint64_t timeout_ns, struct nbd_handle **nbd,
			  struct tgtkit_error *error);

/* Takes leave of the server, and closes the handle.  Blocks, for a second at most. */
void remote_server_end(struct nbd_handle *nbd);

/* Tells libnbd of TGTKIT_FD_... events of its socket.  False when the handle has failed, with `reason`. */
bool remote_server_notify(struct nbd_handle *nbd, uint32_t events, char reason[REMOTE_REASON_BYTES]);
/* The TGTKIT_FD_... that libnbd waits for. */
uint32_t remote_server_wants(struct nbd_handle *nbd);
bool remote_server_is_gone(struct nbd_handle *nbd);
/* What the last call to libnbd in this thread failed with. */
void remote_server_reason(char reason[REMOTE_REASON_BYTES]);

/* Of a handle that is ready.  False: the server's figures make no sense, with `reason`. */
bool remote_export_read(struct nbd_handle *nbd, struct remote_export *export, char reason[REMOTE_REASON_BYTES]);
/* Whether a unit that was opened with `before` can go on with `now`; if not, `reason` says what differs. */
bool remote_export_fits(const struct remote_export *before, const struct remote_export *now,
			char reason[REMOTE_REASON_BYTES]);
void remote_export_measure(const struct remote_export *export, const struct tgtkit_open_args *args,
			   struct tgtkit_capabilities *capabilities);

#endif
