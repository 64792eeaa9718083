/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of the running model, one step after another on the control loop:
 * open and bind -> name -> persist -> publish -> close what is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "target/address.h"
#include "target/change_private.h"
#include "target/differ.h"
#include "target/snapshot.h"

#define US_PER_S UINT64_C(1000000)
/* What is gone from the configuration has this long to close before the change is reported all the same. */
#define RETIRE_WAIT_US (3 * US_PER_S)

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

static void fail(struct target_change *change, int status)
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
		fail(change, change->status);
	else
		publish(change);
}

static void ledger_saved(struct target_ledger_save *save)
{
	struct target_change *change = RT_CONTAINER_OF(save, struct target_change, ledger_save);

	if (save->status) {
		change->persist_failed = true;
		memcpy(change->error, save->error, sizeof(change->error));
		fail(change, save->status);
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

static void name_and_persist(struct target_change *change)
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
		fail(change, status);
		return;
	}
	change->ledger_save.done = ledger_saved;
	target_ledger_save(ledger, &change->ledger_save, change->model->control);
}

static void late_open_ended(struct target_unit *unit)
{
	target_unit_retire(unit, unit_retired);
}

static size_t index_of(const struct target_change *change, const struct target_unit *unit)
{
	size_t index = 0;

	while (change->units[index] != unit)
		index++;
	return index;
}

/* In the change's error, why the unit has not opened. */
static void tell_why(struct target_change *change, const struct target_unit *unit)
{
	char place[CHANGE_PLACE_BYTES];

	snprintf(change->error, sizeof(change->error), "%.400s: cannot be opened: %.500s",
		 target_unit_place(unit, place, sizeof(place)), *unit->error ? unit->error : strerror(-unit->status));
}

static void all_opened(struct target_change *change)
{
	rt_timer_cancel(&change->timer);
	if (change->tolerant)
		target_change_prune(change);
	if (change->status)
		fail(change, change->status);
	else
		name_and_persist(change);
}

static void unit_opened(struct target_unit *unit);

/* Its store is tried again, or it is not served. */
static void leave_out(struct target_change *change, struct target_unit *unit)
{
	if (unit->daemon->retry_open_s) {
		target_change_unit_awaited(change, index_of(change, unit));
		target_model_await(change->model, unit);
		return;
	}
	target_change_unit_failed(change, index_of(change, unit));
	target_model_retire(change->model, unit);
}

/* true: it is being opened again, as it was before. */
static bool go_on_without(struct target_change *change, struct target_unit *unit)
{
	tell_why(change, unit);
	if (target_change_as_before(change, index_of(change, unit))) {
		target_unit_open(unit, unit_opened);
		return true;
	}
	leave_out(change, unit);
	return false;
}

static void unit_opened(struct target_unit *unit)
{
	struct target_model *model = unit->owner;
	struct target_change *change = model->change;

	if (unit->status && change->tolerant) {
		if (go_on_without(change, unit))
			return;
	} else if (unit->status && !change->status) {
		change->status = unit->status;
		tell_why(change, unit);
	}
	if (--change->outstanding == 0)
		all_opened(change);
}

/* Until the first unit is late. */
static uint64_t open_left_us(const struct target_change *change)
{
	uint64_t least_us = UINT64_MAX;

	for (size_t i = 0; i < change->configuration->unit_count; i++) {
		const struct target_unit *unit = change->units[i];
		uint64_t left_us = unit && !unit->awaited ? target_unit_open_left_us(unit) : UINT64_MAX;

		least_us = left_us < least_us ? left_us : least_us;
	}
	return least_us;
}

/* A store that hangs while it is opened must not hold up other changes: it is closed when it comes back. */
static void open_timed_out(struct rt_timer *timer)
{
	struct target_change *change = RT_CONTAINER_OF(timer, struct target_change, timer);
	uint64_t left_us = open_left_us(change);
	char place[CHANGE_PLACE_BYTES];

	if (left_us) {
		rt_timer_arm(change->model->control, &change->timer, left_us);
		return;
	}
	for (size_t i = 0; i < change->configuration->unit_count; i++) {
		struct target_unit *unit = change->units[i];

		/* Without the late ones the change goes on; else it has failed. */
		if (!unit || unit->awaited || unit->verb != TARGET_UNIT_OPEN ||
		    (change->tolerant && target_unit_open_left_us(unit)))
			continue;
		snprintf(change->error, sizeof(change->error), "%.400s: has not opened within open_timeout_s (%u s)",
			 target_unit_place(unit, place, sizeof(place)), unit->daemon->open_timeout_s);
		change->outstanding--;
		if (change->tolerant && unit->daemon->retry_open_s) {
			leave_out(change, unit);
			continue;
		}
		rt_list_append(&change->model->retiring, &unit->in_retiring);
		unit->finished = late_open_ended;
		if (change->tolerant)
			target_change_unit_failed(change, i);
		change->units[i] = NULL;
	}
	if (!change->tolerant)
		fail(change, -ETIMEDOUT);
	else if (change->outstanding == 0)
		all_opened(change);
	else
		rt_timer_arm(change->model->control, &change->timer, open_left_us(change));
}

static bool is_unit_of(const struct target_unit *unit, const struct unit_spec *spec)
{
	const char *path = unit->canonical_path ? unit->canonical_path : unit->spec->canonical_path;

	return unit->spec->plugin == spec->plugin && !strcmp(path, spec->canonical_path);
}

struct target_unit *target_change_find_unit(const struct target_model *model, const struct unit_spec *spec)
{
	for (size_t i = 0; i < model->unit_count; i++) {
		if (is_unit_of(model->units[i], spec))
			return model->units[i];
	}
	return NULL;
}

static int refuse_if_retiring(struct target_change *change, const struct unit_spec *spec)
{
	RT_LIST_FOR_EACH (node, &change->model->retiring) {
		const struct target_unit *unit = RT_CONTAINER_OF(node, struct target_unit, in_retiring);

		if (!is_unit_of(unit, spec))
			continue;
		snprintf(change->error, sizeof(change->error), "%s: is still being closed; try again later",
			 spec->name);
		return -EBUSY;
	}
	return 0;
}

const char *target_change_difference(const struct target_unit *unit, const struct unit_spec *spec)
{
	const char *key;

	/* Nothing is open yet. */
	if (target_unit_is_waiting(unit))
		return NULL;
	key = target_unit_difference(unit->spec->lun, spec->lun);
	return !key && unit->opened_read_only && !spec->read_only ? "read_only" : key;
}

static int refuse_if_different(struct target_change *change, const struct target_unit *unit,
			       const struct unit_spec *spec)
{
	const char *key = target_change_difference(unit, spec);

	if (!key)
		return 0;
	snprintf(change->error, sizeof(change->error),
		 "%s: %s cannot change while the store is open; delete the LUN and create it anew", spec->name, key);
	return -EINVAL;
}

/* One that the model has already, or a new one, not opened yet. */
static int collect_unit(struct target_change *change, size_t index)
{
	const struct unit_spec *spec = &change->configuration->units[index];
	struct target_model *model = change->model;
	struct target_unit *known = target_change_find_unit(model, spec);
	int status = known ? refuse_if_different(change, known, spec) : refuse_if_retiring(change, spec);

	if (status && change->tolerant) {
		target_change_unit_failed(change, index);
		return 0;
	}
	if (status)
		return status;
	change->units[index] =
	    known ? known : target_unit_create(change->configuration, spec, model->control, model, (unsigned)index);
	if (change->units[index])
		return 0;
	snprintf(change->error, sizeof(change->error), "out of memory");
	return -ENOMEM;
}

static int collect_units(struct target_change *change)
{
	size_t count = change->configuration->unit_count;
	int status = 0;

	change->units = calloc(count + 1, sizeof(*change->units));
	change->is_as_before = calloc(count + 1, sizeof(*change->is_as_before));
	if (!change->units || !change->is_as_before) {
		snprintf(change->error, sizeof(change->error), "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < count && !status; i++)
		status = collect_unit(change, i);
	if (!status && change->tolerant)
		target_change_prune(change);
	return status;
}

static void open_new_units(struct target_change *change)
{
	struct target_model *model = change->model;

	change->timer.expired = open_timed_out;
	rt_timer_arm(model->control, &change->timer, change->configuration->daemon.open_timeout_s * US_PER_S);
	for (size_t i = 0; i < change->configuration->unit_count; i++) {
		if (target_change_is_kept(change, change->units[i]))
			continue;
		change->outstanding++;
		target_unit_open(change->units[i], unit_opened);
	}
	if (change->outstanding)
		return;
	rt_timer_cancel(&change->timer);
	name_and_persist(change);
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
	status = collect_units(change);
	if (!status) {
		open_new_units(change);
		return;
	}
	if (change->units)
		fail(change, status);
	else
		finish(change);
}
