/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of the running model, one step after another on the control loop:
 * open (change_open.c) and bind -> name -> persist -> publish -> close what is gone.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "target/address.h"
#include "target/change_private.h"
#include "target/snapshot.h"

/* What is gone from the configuration has this long to close before the change is reported all the same. */
#define RETIRE_WAIT_US (3 * RT_US_PER_S)

bool target_change_is_kept(const struct target_change *change, const struct target_unit *unit)
{
	for (size_t i = 0; i < change->model->unit_count; i++)
		if (change->model->units[i] == unit)
			return true;
	return false;
}

static void finish(struct target_change *change)
{
	struct target_model *model = change->model;

	rt_timer_cancel(&change->timer);
	RT_LIST_FOR_EACH (node, &change->model->retiring) {
		RT_CONTAINER_OF(node, struct target_unit, in_retiring)->waiter = NULL;
	}
	change->model->change = NULL;
	free(change->units);
	free(change->is_as_before);
	change->units = NULL;
	change->is_as_before = NULL;
	target_configuration_drop(change->configuration);
	change->done(change);
	target_model_go_on(model);
}

/* ---- Units that go ---------------------------------------------------------------------------------------------- */

static void unit_retired(struct target_unit *unit)
{
	struct target_model *model = unit->owner;

	struct target_change *change = unit->waiter;

	rt_log_about(RT_ABOUT(.unit = unit->name), RT_LOG_INFO, "%s: closed", unit->name);
	target_unit_free(unit);
	if (change && --change->outstanding == 0)
		finish(change);
	target_model_stop_unit_retired(model);
}

void target_model_retire(struct target_model *model, struct target_unit *unit)
{
	rt_list_append(&model->retiring, &unit->in_retiring);
	target_unit_retire(unit, unit_retired);
}

static void late_open_ended(struct target_unit *unit)
{
	target_unit_retire(unit, unit_retired);
}

void target_change_retire_when_opened(struct target_change *change, struct target_unit *unit)
{
	rt_list_append(&change->model->retiring, &unit->in_retiring);
	unit->finished = late_open_ended;
}

static void waited_long_enough(struct rt_timer *timer)
{
	struct target_change *change = RT_CONTAINER_OF(timer, struct target_change, timer);

	change->still_closing = true;
	finish(change);
}

/* ---- Undo, in reverse ------------------------------------------------------------------------------------------- */

static void close_new_portals(struct target_change *change)
{
	RT_LIST_FOR_EACH (node, &change->portals) {
		target_model_portal_close(RT_CONTAINER_OF(node, struct model_portal, node));
	}
}

static void undo(struct target_change *change)
{
	if (change->directory)
		iscsi_directory_drop(change->directory);
	change->directory = NULL;
	close_new_portals(change);
	for (size_t i = 0; i < change->configuration->unit_count; i++)
		if (change->units[i] && !target_change_is_kept(change, change->units[i]))
			target_model_retire(change->model, change->units[i]);
	finish(change);
}

void target_change_fail(struct target_change *change, int status)
{
	change->status = status;
	rt_log(RT_LOG_WARNING, "a change is taken back: %s", change->error);
	undo(change);
}

/* ---- Publish ---------------------------------------------------------------------------------------------------- */

static bool is_in(const struct target_change *change, const struct target_unit *unit)
{
	for (size_t i = 0; i < change->configuration->unit_count; i++)
		if (change->units[i] == unit)
			return true;
	return false;
}

static bool has_portal(const struct target_configuration *configuration, const struct model_portal *portal)
{
	for (size_t i = 0; i < configuration->group_count; i++)
		for (size_t k = 0; k < configuration->groups[i].portal_count; k++)
			if (configuration->groups[i].tag == portal->tag &&
			    target_address_equal(&configuration->groups[i].portals[k].address, &portal->bound))
				return true;
	return false;
}

static void close_old_portals(struct target_model *model)
{
	RT_LIST_FOR_EACH (node, &model->portals) {
		struct model_portal *portal = RT_CONTAINER_OF(node, struct model_portal, node);

		if (!has_portal(model->configuration, portal))
			target_model_portal_close(portal);
	}
}

/* The new configuration is the one in force. */
static void switch_over(struct target_change *change)
{
	struct target_model *model = change->model;
	struct target_configuration *old = model->configuration;
	struct target_unit **old_units = model->units;
	size_t old_count = model->unit_count;

	for (size_t i = 0; i < change->configuration->unit_count; i++)
		target_unit_adopt(change->units[i], change->configuration, &change->configuration->units[i]);
	for (size_t i = 0; i < old_count; i++)
		if (!is_in(change, old_units[i])) {
			change->outstanding++;
			old_units[i]->waiter = change;
			target_model_retire(model, old_units[i]);
		}
	model->configuration = target_configuration_hold(change->configuration);
	model->units = change->units;
	model->unit_count = change->configuration->unit_count;
	change->units = NULL;
	rt_list_splice(&model->portals, &change->portals);
	close_old_portals(model);
	free(old_units);
	target_configuration_drop(old);
}

static void directory_applied(struct rt_post *post)
{
	struct target_change *change = RT_CONTAINER_OF(post, struct target_change, applied);

	/* One more than units go, as those may be gone at once. */
	change->outstanding = 1;
	switch_over(change);
	change->timer.expired = waited_long_enough;
	rt_timer_arm(change->model->control, &change->timer, RETIRE_WAIT_US);
	if (--change->outstanding == 0)
		finish(change);
}

static void publish(struct target_change *change)
{
	struct iscsi_directory *directory = change->directory;

	change->directory = NULL;
	target_alua_apply(change->model, change->configuration, change->units);
	change->applied.run = directory_applied;
	iscsi_server_publish(directory, &change->applied);
}

/* ---- Persist ---------------------------------------------------------------------------------------------------- */

static void write_state(struct store_job *job)
{
	struct target_change *change = RT_CONTAINER_OF(job, struct target_change, job);

	change->status = target_state_write(&change->model->ledger.folder, TARGET_STATE_FILE, change->state_text,
					    strlen(change->state_text), change->error);
	rt_loop_post(change->model->control, &change->job_done);
}

static void state_written(struct rt_post *post)
{
	struct target_change *change = RT_CONTAINER_OF(post, struct target_change, job_done);

	change->persist_failed = change->status != 0;
	if (change->status)
		target_change_fail(change, change->status);
	else
		publish(change);
}

static void ledger_saved(struct target_ledger_save *save)
{
	struct target_change *change = RT_CONTAINER_OF(save, struct target_change, ledger_save);

	if (save->status) {
		change->persist_failed = true;
		memcpy(change->error, save->error, sizeof(change->error));
		target_change_fail(change, save->status);
	} else if (!change->state_text || !change->model->ledger.is_kept) {
		publish(change);
	} else {
		change->job.run = write_state;
		change->job_done.run = state_written;
		store_pool_submit_control(&change->job);
	}
}

/* ---- Prepare ---------------------------------------------------------------------------------------------------- */

static int serve_new_unit(struct target_change *change, size_t index)
{
	struct target_unit *unit = change->units[index];
	int status = target_model_serve_unit(change->model, unit, change->units, change->configuration->unit_count,
					     change->error);

	if (!status || !change->tolerant)
		return status;
	/* As before or not, it would be the same store with the same serial. */
	target_change_unit_failed(change, index);
	target_model_retire(change->model, unit);
	return 0;
}

static int serve_new_units(struct target_change *change)
{
	int status = 0;

	if (change == &change->model->arrival)
		target_model_serve_arrivals(change->model, change->units, change->configuration->unit_count);
	for (size_t i = 0; i < change->configuration->unit_count && !status; i++)
		if (!target_change_is_kept(change, change->units[i]) && !change->units[i]->awaited)
			status = serve_new_unit(change, i);
	if (!status && change->tolerant)
		target_change_prune(change);
	return status;
}

static const struct model_portal *find_portal(const struct target_model *model, uint16_t tag,
					      const struct sockaddr_storage *wanted)
{
	RT_LIST_FOR_EACH (node, &model->portals) {
		const struct model_portal *portal = RT_CONTAINER_OF(node, struct model_portal, node);

		if (portal->tag == tag &&
		    (target_address_equal(&portal->wanted, wanted) || target_address_equal(&portal->bound, wanted)))
			return portal;
	}
	return NULL;
}

static int bind_portal(struct target_change *change, struct portal_group_spec *group, struct portal_spec *portal)
{
	const struct model_portal *known = find_portal(change->model, group->tag, &portal->address);

	if (!known)
		return target_model_portal_open(group, portal, &change->portals, change->error);
	portal->address = known->bound;
	return 0;
}

static int bind_portals(struct target_change *change)
{
	for (size_t i = 0; i < change->configuration->group_count; i++) {
		struct portal_group_spec *group = &change->configuration->groups[i];

		for (size_t k = 0; k < group->portal_count;) {
			int status = bind_portal(change, group, &group->portals[k]);

			if (!status)
				k++;
			else if (change->tolerant)
				target_change_portal_failed(change, group, k);
			else
				return status;
		}
	}
	return 0;
}

void target_change_opened(struct target_change *change)
{
	struct target_ledger *ledger = &change->model->ledger;
	int status = serve_new_units(change);

	if (!status)
		status = bind_portals(change);
	if (!status)
		status = target_model_name_ports(ledger, change->configuration, change->error);
	if (!status)
		status = target_snapshot_create(change->configuration, change->units, ledger, &change->directory,
						change->error);
	if (status) {
		target_change_fail(change, status);
		return;
	}
	change->ledger_save.done = ledger_saved;
	target_ledger_save(ledger, &change->ledger_save, change->model->control);
}

void target_model_change(struct target_model *model, struct target_change *change)
{
	change->model = model;
	model->next_change = change;
	target_model_go_on(model);
}

void target_change_start(struct target_change *change)
{
	struct target_model *model = change->model;
	int status;

	change->status = 0;
	change->error[0] = '\0';
	change->outstanding = 0;
	change->still_closing = change->persist_failed = false;
	change->failures = NULL;
	change->failure_count = 0;
	change->directory = NULL;
	change->timer = (struct rt_timer){0};
	rt_list_init(&change->portals);
	target_configuration_hold(change->configuration);
	model->change = change;
	status = target_change_collect_units(change);
	if (!status) {
		target_change_open_units(change);
		return;
	}
	if (change->units)
		target_change_fail(change, status);
	else
		finish(change);
}
