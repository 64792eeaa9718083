/* SPDX-License-Identifier: Apache-2.0
 *
 * The running daemon's objects: logical units, targets, portal groups, LUN maps; the only place that changes them.
 * Everything is called, and calls back, on the control thread.
 */
#ifndef TGTKIT_TARGET_MODEL_H
#define TGTKIT_TARGET_MODEL_H

#include "rt/list.h"
#include "rt/loop.h"
#include "scsi/logical_unit.h"
#include "target/ledger.h"
#include "target/spec.h"

struct target_model;
struct target_unit;

/* Start-up, before the loop runs (blocks): takes the state folder.  The configuration has been checked without a
 * problem; a reference is taken.  0 or negative errno with `error`. */
int target_model_create(struct rt_loop *control, struct target_configuration *configuration,
			struct target_model **model, char error[static TARGET_ERROR_BYTES]);
/* Before it was started, or after it has stopped. */
void target_model_free(struct target_model *model);

/* Opens the stores (all at a time, each within open_timeout_s), makes the logical units, publishes, listens.  With
 * retry_open_s, a store that cannot be opened does not fail the start: its LUNs are not ready until it is there.  The
 * workers run.  `started` gets 0 or a negative errno, after what went wrong has been logged for each object; then, and
 * at any time after `started`, the model is to be stopped. */
void target_model_start(struct target_model *model, void (*started)(void *context, int status), void *context);
/* Makes a start under way end with -ECANCELED at its next step. */
void target_model_cancel_start(struct target_model *model);

enum target_stop_result {
	TARGET_STOPPED,
	TARGET_STOPPED_WITH_LOSS, /* a flush failed; which unit's, and what that means, has been logged */
	/* A store has not answered within its time (logged): threads are stuck in it, so the process must end without
	 * freeing anything. */
	TARGET_STUCK,
	TARGET_STUCK_OPENING, /* likewise, but nothing is lost: none but stores that were being opened */
};
/* Stops accepting, lets commands finish, flushes and closes every store, within shutdown_timeout_s. */
void target_model_stop(struct target_model *model, void (*stopped)(void *context, enum target_stop_result result),
		       void *context);

/* ---- While it serves ------------------------------------------------------------------------------------------ */

/* The configuration in force.  Valid until the next change is done; or hold it. */
struct target_configuration *target_model_configuration(const struct target_model *model);
/* NULL: none is kept. */
const struct target_state_folder *target_model_state_folder(const struct target_model *model);
/* The unit of a LUN of the configuration in force; NULL: not made yet (the model has not started). */
struct target_unit *target_model_unit(const struct target_model *model, const struct lun_spec *lun);

/* What a tolerant change has left out: a LUN, or (target NULL) a portal. */
struct target_change_failure {
	const char *target, *portal;
	uint16_t lun, portal_group_tag;
	bool as_before; /* the LUN is served, but as it was before */
	bool awaited;	/* the LUN is there, but not ready until its store can be opened, which is tried again */
	const char *reason;
};

/* The asymmetric access state of a portal group of the configuration in force: as configured, or as set since. */
enum scsi_port_group_state target_model_group_state(const struct target_model *model,
						    const struct portal_group_spec *group);
/* Sets it until the next start, or until the group's configured state is changed; every nexus that reaches a unit
 * through a group of another state is told.  -ENOENT: no such group; -ENOMEM. */
int target_model_set_group_state(struct target_model *model, uint16_t tag, enum scsi_port_group_state state);

/* A change from the configuration in force to another one: what is the same in both is not touched; what is new is
 * prepared (stores opened, portals bound), the change is made durable, published, and what is gone is flushed and
 * closed.  A failure before publication undoes everything in reverse. */
struct target_change {
	/* Set by the caller. */
	struct target_configuration *configuration; /* checked without a problem; a reference is taken */
	const char *state_text;			    /* what to keep as state.conf; NULL: that file stays as it is */
	/* A unit or portal that cannot be had does not fail the change, which goes on without it. */
	bool tolerant;
	/* Tolerant: a unit that cannot be opened as wanted is opened as it is described here.  NULL: it is left out. */
	const struct target_configuration *before;
	void (*done)(struct target_change *change);
	/* The result: 0 or negative errno with `error`.  */
	int status;
	char error[TARGET_ERROR_BYTES];
	bool persist_failed; /* the state folder is to blame */
	bool still_closing;  /* a store that is gone from the configuration has not closed in time; it goes on */
	/* Of a tolerant change; they live as long as the configuration. */
	struct target_change_failure *failures;
	size_t failure_count;
	/* private */
	struct target_model *model;
	struct target_unit *
	    *units;	    /* of the configuration, in its order; those that the model has, too, and new ones */
	bool *is_as_before; /* likewise: described anew as it was before */
	size_t outstanding;
	struct rt_timer timer;
	struct target_ledger_save ledger_save;
	struct store_job job;
	struct rt_post job_done, applied;
	struct iscsi_directory *directory;
	struct rt_list portals; /* new ones */
};
/* One at a time, after the model has started and before it is stopped.  One of the model's own, which serves what could
 * not be opened before, may come first. */
void target_model_change(struct target_model *model, struct target_change *change);

/* The way from the configuration in force to a wanted one, if that is no single step: the one in force without what has
 * to be closed first, as units whose attributes differ and portals that go to another group.  A change leads there, and
 * another one on.  A new reference, or NULL: one step will do. */
struct target_configuration *target_model_between(const struct target_model *model,
						  const struct target_configuration *wanted);

#endif
