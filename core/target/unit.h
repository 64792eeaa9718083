/* SPDX-License-Identifier: Apache-2.0
 *
 * A logical unit of the model: its backing store, its SCSI side, and what its backend reports.  Control thread; what
 * blocks runs on the pool and calls back on the control loop.
 */
#ifndef TGTKIT_TARGET_UNIT_H
#define TGTKIT_TARGET_UNIT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "rt/loop.h"
#include "scsi/logical_unit.h"
#include "store/pool.h"
#include "store/store.h"
#include "target/identity.h"
#include "target/spec.h"

enum target_unit_verb { TARGET_UNIT_IDLE, TARGET_UNIT_OPEN, TARGET_UNIT_REFRESH, TARGET_UNIT_CLOSE };

struct target_unit {
	const struct unit_spec *spec;
	const struct daemon_spec *daemon;
	struct rt_loop *control;
	void *owner;
	unsigned index;				/* among the units of the owner */
	struct store *store;			/* NULL: not open */
	struct scsi_logical_unit *logical_unit; /* NULL: not served */
	char serial[TARGET_SERIAL_BYTES];
	/* The verb under way, one at a time, and its result. */
	enum target_unit_verb verb;
	struct store_job job;
	struct rt_post job_done;
	int status;
	char error[STORE_ERROR_BYTES];
	void (*finished)(struct target_unit *unit); /* of open, quiesce or close */
	bool refresh_wanted, close_wanted;
	struct scsi_unit_quiesce quiesce;
	bool is_quiet;
	/* What is looked for now and then. */
	struct rt_timer refresh_timer;
	uint64_t size_bytes;
	int refresh_status; /* of the last refresh */
	/* What the backend reported; set on any thread, looked at on the control thread. */
	struct rt_post event_post;
	atomic_bool event_posted, capacity_changed, lost, fenced;
};

void target_unit_init(struct target_unit *unit, const struct unit_spec *spec, const struct daemon_spec *daemon,
		      struct rt_loop *control, void *owner, unsigned index);

/* Opens the store on the pool; then `finished` with unit->status and unit->error. */
void target_unit_open(struct target_unit *unit, void (*finished)(struct target_unit *unit));
/* Makes the SCSI logical unit of an opened store; unit->serial is set.  0 or negative errno. */
int target_unit_serve(struct target_unit *unit);
/* Lets commands under way finish, refuses later ones and flushes; then `finished` with unit->status. */
void target_unit_quiesce(struct target_unit *unit, void (*finished)(struct target_unit *unit));
/* Ends the quiet logical unit, closes the store on the pool; then `finished`.  At once where nothing is open. */
void target_unit_close(struct target_unit *unit, void (*finished)(struct target_unit *unit));

/* Looks at the store's size on the pool, after whatever verb is under way. */
void target_unit_refresh(struct target_unit *unit);

/* Between unit.c and unit_watch.c. */
void target_unit_watch_init(struct target_unit *unit);
void target_unit_watch(struct target_unit *unit); /* it is served */
void target_unit_unwatch(struct target_unit *unit);
void target_unit_refreshed(struct target_unit *unit);
void target_unit_event(void *context, enum tgtkit_event event); /* any thread */

/* "target T, LUN N (file:/x, FILE:LINE)", for messages. */
const char *target_unit_place(const struct target_unit *unit, char *text, size_t size);

#endif
