/* SPDX-License-Identifier: Apache-2.0
 *
 * What was given once and must never change: serials of backing stores and relative target port ids, kept in the state
 * folder (files `serials` and `ports`).  Without a state folder both are made anew in the same way at each start: the
 * serial from this machine and the store's path, the port ids in the order of the configuration.
 */
#ifndef TGTKIT_TARGET_LEDGER_H
#define TGTKIT_TARGET_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/directory.h"
#include "rt/loop.h"
#include "store/pool.h"
#include "target/identity.h"
#include "target/state_table.h"

struct target_ledger {
	struct target_state_folder folder;
	bool is_kept; /* in a folder */
	struct target_state_table serials, ports;
	uint32_t last_port_id;
};

/* Start-up (blocks): locks the folder and reads it.  "": no folder.  0 or negative errno with `error`. */
int target_ledger_open(const char *state_dir, struct target_ledger *ledger, char error[static TARGET_ERROR_BYTES]);
void target_ledger_close(struct target_ledger *ledger);
/* The smallest relative target port id (1 to 65535) to give from now on; what has been given stays. */
void target_ledger_start_port_ids(struct target_ledger *ledger, uint32_t first);

/* The store's serial, given now if it has none. */
void target_ledger_serial(struct target_ledger *ledger, const char *plugin, const char *canonical_path,
			  char serial[static TARGET_SERIAL_BYTES]);
/* 1 to 65535; -ENOSPC when all have been given. */
int target_ledger_port_id(struct target_ledger *ledger, const char *target, uint16_t tag, uint16_t *id);

/* Makes durable what has been given.  The texts are made by the caller's thread, written by the pool's; then `done` is
 * posted to `reply_to`. */
struct target_ledger_save {
	void (*done)(struct target_ledger_save *self);
	int status;
	char error[TARGET_ERROR_BYTES];
	/* private */
	struct store_job job;
	struct rt_post reply;
	struct rt_loop *reply_to;
	const struct target_state_folder *folder;
	struct target_state_table *tables[2]; /* their names do not change */
	char *texts[2];
	size_t lengths[2];
};
/* Not while an earlier one is under way. */
void target_ledger_save(struct target_ledger *ledger, struct target_ledger_save *save, struct rt_loop *reply_to);

#endif
