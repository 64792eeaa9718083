/* SPDX-License-Identifier: Apache-2.0
 *
 * The running daemon's objects: logical units, targets, portal groups, LUN maps; the only place that changes them.
 * Everything is called, and calls back, on the control thread.
 */
#ifndef TGTKIT_TARGET_MODEL_H
#define TGTKIT_TARGET_MODEL_H

#include "rt/loop.h"
#include "target/ledger.h"
#include "target/spec.h"

struct target_model;

/* Start-up, before the loop runs (blocks): takes the state folder.  The configuration has been checked without a
 * problem and outlives the model.  0 or negative errno with `error`. */
int target_model_create(struct rt_loop *control, struct target_configuration *configuration,
			struct target_model **model, char error[static TARGET_ERROR_BYTES]);
/* Before it was started, or after it has stopped. */
void target_model_free(struct target_model *model);

/* Opens the stores (all at a time, each within open_timeout_s), makes the logical units, publishes, listens.  The
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
};
/* Stops accepting, lets commands finish, flushes and closes every store, within shutdown_timeout_s. */
void target_model_stop(struct target_model *model, void (*stopped)(void *context, enum target_stop_result result),
		       void *context);

#endif
