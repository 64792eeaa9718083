/* SPDX-License-Identifier: Apache-2.0
 *
 * A logical unit of the model: its backing store, its SCSI side, and what its backend reports.  Control thread; what
 * blocks runs on the pool and calls back on the control loop.
 */
#ifndef TGTKIT_TARGET_UNIT_H
#define TGTKIT_TARGET_UNIT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "rt/log.h"
#include "rt/loop.h"
#include "scsi/logical_unit.h"
#include "store/pool.h"
#include "store/store.h"
#include "target/identity.h"
#include "target/reservation_keep.h"
#include "target/spec.h"

enum target_unit_verb {
	TARGET_UNIT_IDLE,
	TARGET_UNIT_OPEN,
	TARGET_UNIT_REFRESH,
	TARGET_UNIT_RESIZE,
	TARGET_UNIT_TAKE_OVER,
	TARGET_UNIT_CLOSE,
};

struct target_unit {
	struct target_configuration *configuration; /* that spec and daemon are in; a reference is held */
	const struct unit_spec *spec;
	const struct daemon_spec *daemon;
	unsigned plugin_index; /* store_plugin.index */
	char *name;	       /* as in the spec; for threads that must not look at that */
	char *canonical_path;  /* as it is now that the store is there; NULL: not served */
	struct rt_loop *control;
	void *owner;
	unsigned index; /* spreads what is done now and then */
	bool online;	/* what the administrator wants; the backend may be down all the same */
	bool opened_read_only;
	struct store *store;			/* NULL: not open */
	struct scsi_logical_unit *logical_unit; /* NULL: not served */
	char serial[TARGET_SERIAL_BYTES];
	struct target_reservation_keep reservations;
	/* The verb under way, one at a time, and its result. */
	enum target_unit_verb verb;
	struct store_job job;
	struct rt_post job_done;
	int status;
	char error[STORE_ERROR_BYTES];
	_Atomic uint64_t open_until_ns;		    /* CLOCK_MONOTONIC; the plugin may move it, on any thread */
	void (*finished)(struct target_unit *unit); /* of open, quiesce or close */
	bool refresh_wanted, close_wanted;
	/* As what the opening under way opens it; the unit may be described anew meanwhile. */
	struct target_configuration *opening; /* a reference is held */
	const struct unit_spec *opening_spec;
	/* Its store could not be opened: it is mapped without a logical unit, and tried again. */
	bool awaited;
	bool arrived;			    /* the store is open, and waits to be served and published */
	unsigned attempts;		    /* that failed since the unit was last described */
	char last_error[STORE_ERROR_BYTES]; /* of the last one; of an open unit, of its last refresh */
	struct rt_timer retry_timer;
	void (*came)(struct target_unit *unit);
	struct scsi_unit_quiesce quiesce;
	bool is_quiet, quiesce_wanted;
	/* A change of size. */
	void (*resized)(struct target_unit *unit);
	bool resize_wanted, resize_shrinks, resize_quiesces;
	uint64_t resize_bytes;
	/* The operator wants the store for this host. */
	void (*taken_over)(struct target_unit *unit);
	bool take_over_wanted;
	/* LUN maps that refer to the unit; whoever drops the last one posts. */
	atomic_uint maps;
	atomic_bool unmapped_posted;
	struct rt_post unmapped;
	bool retiring, retire_started;
	void (*retired)(struct target_unit *unit);
	struct rt_list in_retiring; /* of the owner */
	void *waiter;		    /* the owner's: what waits for the end */
	/* What is looked for now and then. */
	struct rt_timer refresh_timer;
	uint64_t size_bytes;
	int refresh_status; /* of the last refresh */
	/* What the backend reported; set on any thread, looked at on the control thread. */
	struct rt_post event_post;
	atomic_bool event_posted, capacity_changed, lost, fenced, standby;
};

/* For a unit of the configuration, of which a reference is taken.  NULL: no memory. */
struct target_unit *target_unit_create(struct target_configuration *configuration, const struct unit_spec *spec,
				       struct rt_loop *control, void *owner, unsigned index);
/* Not open (any more). */
void target_unit_free(struct target_unit *unit);
/* The same unit in a newer configuration. */
void target_unit_adopt(struct target_unit *unit, struct target_configuration *configuration,
		       const struct unit_spec *spec);

/* Opens the store on the pool; then `finished` with unit->status and unit->error. */
void target_unit_open(struct target_unit *unit, void (*finished)(struct target_unit *unit));
/* How long the opening under way may still take: open_timeout_s, or as long as the plugin has asked for.  0: it is
 * late; UINT64_MAX: none is under way. */
uint64_t target_unit_open_left_us(const struct target_unit *unit);
/* The store could not be opened (unit->status, unit->error), or has not been within its time and is on its way still.
 * It is tried again after retry_open_s, then after twice as long and so on up to a minute, until it is open and `came`
 * runs, or the unit is closed.  What the unit is described as may change meanwhile. */
void target_unit_await(struct target_unit *unit, void (*came)(struct target_unit *unit));
/* An awaited unit that came cannot be served for that reason: closes the store and goes on waiting. */
void target_unit_await_again(struct target_unit *unit, const char *reason);
/* Likewise, but not for a fault of its own: `came` runs again after a while. */
void target_unit_come_again(struct target_unit *unit);
/* An awaited unit is tried at once. */
void target_unit_retry_now(struct target_unit *unit);
/* What was awaited is served. */
void target_unit_has_come(struct target_unit *unit);
/* The store could not be opened yet, so that there is none to look at. */
static inline bool target_unit_is_waiting(const struct target_unit *unit)
{
	return unit->awaited && !unit->logical_unit;
}
/* Makes the SCSI logical unit of an opened store, with the reservations that `folder` (NULL: none) keeps of it;
 * unit->serial is set.  0 or negative errno with `error`. */
int target_unit_serve(struct target_unit *unit, const struct target_state_folder *folder,
		      char error[static TARGET_ERROR_BYTES]);
/* Lets commands under way finish, refuses later ones and flushes; then `finished` with unit->status. */
void target_unit_quiesce(struct target_unit *unit, void (*finished)(struct target_unit *unit));
/* Ends the quiet logical unit, closes the store on the pool; then `finished`.  At once where nothing is open. */
void target_unit_close(struct target_unit *unit, void (*finished)(struct target_unit *unit));

/* The unit is in no published directory any more: when the last nexus has let go of it, flushes and closes it, which
 * says what is lost; then `retired`, which may free it. */
void target_unit_retire(struct target_unit *unit, void (*retired)(struct target_unit *unit));

/* Changes the store's size on the pool, after whatever verb is under way, and tells the initiators; then `resized` with
 * unit->status and unit->error.  One at a time: -EBUSY.  A smaller size is refused unless `shrink` and offline. */
int target_unit_resize(struct target_unit *unit, uint64_t size_bytes, bool shrink,
		       void (*resized)(struct target_unit *unit));
void target_unit_set_online(struct target_unit *unit, bool online);
/* Takes the store on the pool, after whatever verb is under way, from the host that has it; then `taken_over` with
 * unit->status and unit->error.  One at a time: -EBUSY. */
int target_unit_take_over(struct target_unit *unit, void (*taken_over)(struct target_unit *unit));

/* A LUN map of units, each of which stays until the map is gone: scsi_lun_map_create with that promise.  `units` in
 * any order.  NULL: no memory. */
struct scsi_lun_map;
struct scsi_lun_mapping;
struct scsi_lun_map *target_unit_map_create(const struct scsi_lun_mapping *mappings, struct target_unit *const *units,
					    size_t count);

/* A part of such a map, which it holds.  NULL: no memory. */
struct scsi_lun_map *target_unit_map_mask(struct scsi_lun_map *whole, const struct scsi_lun_mapping *mappings,
					  size_t count);

/* Looks at the store's size on the pool, after whatever verb is under way. */
void target_unit_refresh(struct target_unit *unit);

/* Between unit.c, unit_watch.c, unit_retire.c and unit_await.c. */
void target_unit_await_init(struct target_unit *unit);
void target_unit_described_anew(struct target_unit *unit); /* a waiting one, otherwise than before */
bool target_unit_is_opened_otherwise(const struct target_unit *unit);
void target_unit_watch_init(struct target_unit *unit);
void target_unit_watch(struct target_unit *unit); /* it is served */
void target_unit_unwatch(struct target_unit *unit);
void target_unit_retire_init(struct target_unit *unit);
void target_unit_take_size(struct target_unit *unit); /* tells the initiators if it has changed */
void target_unit_refreshed(struct target_unit *unit);
void target_unit_event(void *context, enum tgtkit_event event); /* any thread */

/* For the log. */
#define TARGET_ABOUT_UNIT(one)                                                                                         \
	RT_ABOUT(.target = (one)->spec->target->name, .unit = (one)->spec->name, .has_lun = true,                      \
		 .lun = (one)->spec->lun->lun)
/* "target T, LUN N (file:/x, FILE:LINE)", for messages. */
const char *target_unit_place(const struct target_unit *unit, char *text, size_t size);

#endif
