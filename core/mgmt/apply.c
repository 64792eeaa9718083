/* SPDX-License-Identifier: Apache-2.0
 *
 * From the configuration in force to the one that was asked for.  In one step; or in two, where something has to be
 * closed before it can be opened as it is wanted; and back again if the second one fails.
 */
#include <errno.h>

#include "mgmt/operation.h"
#include "rt/log.h"

static void fail_by(struct mgmt_operation *operation, const struct target_change *change)
{
	if (change->persist_failed)
		mgmt_operation_fail(operation, 500, "state_not_kept", change->error);
	else if (change->status == -EBUSY)
		mgmt_operation_fail(operation, 409, "busy", change->error);
	else if (change->status == -ETIMEDOUT || change->status == -ENOMEM)
		mgmt_operation_fail(operation, 500, "failed", change->error);
	else
		mgmt_operation_fail(operation, 422, "refused", change->error);
}

static void brought_back(struct target_change *change)
{
	struct mgmt_operation *operation = RT_CONTAINER_OF(change, struct mgmt_operation, change);

	if (change->status)
		rt_log(RT_LOG_ERROR, "what was closed for a change that failed cannot be served again: %s",
		       change->error);
	fail_by(operation, &operation->failed);
}

/* As much of it as can be had: a store that has not closed in time stays away. */
static void bring_back(struct mgmt_operation *operation)
{
	operation->failed = operation->change;
	operation->change = (struct target_change){
	    .configuration = operation->old,
	    .tolerant = true,
	    .done = brought_back,
	};
	target_model_change(operation->mgmt->model, &operation->change);
}

static void changed(struct target_change *change)
{
	struct mgmt_operation *operation = RT_CONTAINER_OF(change, struct mgmt_operation, change);

	if (!change->status)
		mgmt_operation_applied(operation);
	else if (operation->between)
		bring_back(operation);
	else
		fail_by(operation, change);
}

/* A reload, which nobody asked for object by object, leaves out what cannot be had. */
static void change_to_wanted(struct mgmt_operation *operation)
{
	bool is_reload = operation->edit == NULL;

	operation->change = (struct target_change){
	    .configuration = operation->configuration,
	    .state_text = operation->kept_text,
	    .tolerant = is_reload,
	    .before = is_reload ? operation->old : NULL,
	    .done = changed,
	};
	target_model_change(operation->mgmt->model, &operation->change);
}

static void half_way(struct target_change *change)
{
	struct mgmt_operation *operation = RT_CONTAINER_OF(change, struct mgmt_operation, change);

	if (change->status)
		fail_by(operation, change);
	else
		change_to_wanted(operation);
}

void mgmt_operation_apply(struct mgmt_operation *operation)
{
	if (operation->may_reopen)
		operation->between = target_model_between(operation->mgmt->model, operation->configuration);
	if (!operation->between) {
		change_to_wanted(operation);
		return;
	}
	operation->change = (struct target_change){.configuration = operation->between, .done = half_way};
	target_model_change(operation->mgmt->model, &operation->change);
}
