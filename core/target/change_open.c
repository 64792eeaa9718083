/* SPDX-License-Identifier: Apache-2.0
 *
 * The first step of a change: which units it keeps, and the opening of those that are new.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/change_private.h"
#include "target/differ.h"

/* ---- Kept or new ------------------------------------------------------------------------------------------------ */

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

int target_change_collect_units(struct target_change *change)
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

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

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
		target_change_fail(change, change->status);
	else
		target_change_opened(change);
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
		target_change_retire_when_opened(change, unit);
		if (change->tolerant)
			target_change_unit_failed(change, i);
		change->units[i] = NULL;
	}
	if (!change->tolerant)
		target_change_fail(change, -ETIMEDOUT);
	else if (change->outstanding == 0)
		all_opened(change);
	else
		rt_timer_arm(change->model->control, &change->timer, open_left_us(change));
}

void target_change_open_units(struct target_change *change)
{
	struct target_model *model = change->model;

	change->timer.expired = open_timed_out;
	rt_timer_arm(model->control, &change->timer, change->configuration->daemon.open_timeout_s * RT_US_PER_S);
	for (size_t i = 0; i < change->configuration->unit_count; i++) {
		if (target_change_is_kept(change, change->units[i]))
			continue;
		change->outstanding++;
		target_unit_open(change->units[i], unit_opened);
	}
	if (change->outstanding)
		return;
	rt_timer_cancel(&change->timer);
	target_change_opened(change);
}
