/* SPDX-License-Identifier: Apache-2.0
 *
 * A change that goes on without the objects that cannot be had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "target/change_private.h"
#include "target/reduce.h"

/* The next entry, in the arena of the configuration. */
static struct target_change_failure *add_failure(struct target_change *change)
{
	struct target_arena *arena = &change->configuration->arena;
	struct target_change_failure *grown = target_arena_array(arena, change->failure_count + 1, sizeof(*grown));

	if (change->failure_count)
		memcpy(grown, change->failures, change->failure_count * sizeof(*grown));
	change->failures = grown;
	grown += change->failure_count++;
	grown->reason = target_arena_strdup(arena, change->error);
	return grown;
}

static struct target_change_failure *lun_failed(struct target_change *change, const struct target_spec *target,
						const struct lun_spec *lun, const char *what)
{
	struct target_change_failure *failure = add_failure(change);

	failure->target = target->name;
	failure->lun = lun->lun;
	rt_log_about(RT_ABOUT(.target = target->name, .has_lun = true, .lun = lun->lun), RT_LOG_ERROR,
		     "target %s, LUN %u %s: %s", target->name, lun->lun, what, change->error);
	return failure;
}

static const struct unit_spec *find_before(const struct target_change *change, const struct unit_spec *spec)
{
	for (size_t i = 0; change->before && i < change->before->unit_count; i++) {
		const struct unit_spec *unit = &change->before->units[i];

		if (unit->plugin == spec->plugin && !strcmp(unit->canonical_path, spec->canonical_path))
			return unit;
	}
	return NULL;
}

/* The mappings of the new configuration, with the attributes of the old unit. */
static void describe_as_before(struct target_change *change, struct unit_spec *spec, const struct unit_spec *before)
{
	struct target_configuration *configuration = change->configuration;

	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].lun_count; k++) {
			struct lun_spec *lun = &configuration->targets[i].luns[k];

			if (lun->unit != spec)
				continue;
			target_lun_copy_attributes(&configuration->arena, before->lun, lun);
			lun->read_only |= before->read_only;
			lun_failed(change, &configuration->targets[i], lun, "stays what it was")->as_before = true;
		}
	spec->read_only |= before->read_only;
	change->is_as_before[spec - configuration->units] = true;
}

bool target_change_as_before(struct target_change *change, size_t index)
{
	struct unit_spec *spec = &change->configuration->units[index];
	const struct unit_spec *before = find_before(change, spec);

	if (!before || change->is_as_before[index])
		return false;
	describe_as_before(change, spec, before);
	return true;
}

static void luns_failed(struct target_change *change, const struct unit_spec *spec, const char *what, bool awaited)
{
	struct target_configuration *configuration = change->configuration;

	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].lun_count; k++)
			if (configuration->targets[i].luns[k].unit == spec)
				lun_failed(change, &configuration->targets[i], &configuration->targets[i].luns[k], what)
				    ->awaited = awaited;
}

void target_change_unit_failed(struct target_change *change, size_t index)
{
	luns_failed(change, &change->configuration->units[index], "is not served", false);
	change->units[index] = NULL;
}

void target_change_unit_awaited(struct target_change *change, size_t index)
{
	luns_failed(change, &change->configuration->units[index], "is not ready", true);
}

void target_change_portal_failed(struct target_change *change, struct portal_group_spec *group, size_t index)
{
	struct target_change_failure *failure = add_failure(change);

	failure->portal_group_tag = group->tag;
	failure->portal = group->portals[index].listen;
	rt_log(RT_LOG_ERROR, "%s", change->error);
	group->portal_count--;
	memmove(&group->portals[index], &group->portals[index + 1],
		(group->portal_count - index) * sizeof(*group->portals));
}

void target_change_prune(struct target_change *change)
{
	struct target_configuration *configuration = change->configuration;
	bool *gone = target_arena_array(&configuration->arena, configuration->unit_count, sizeof(*gone));
	size_t count = 0;

	for (size_t i = 0; i < configuration->unit_count; i++) {
		gone[i] = !change->units[i];
		if (gone[i])
			continue;
		change->is_as_before[count] = change->is_as_before[i];
		change->units[count++] = change->units[i];
	}
	if (count == configuration->unit_count)
		return;
	target_configuration_remove_units(configuration, gone);
	/* The specs have moved. */
	for (size_t i = 0; i < count; i++)
		if (change->units[i]->configuration == configuration)
			change->units[i]->spec = &configuration->units[i];
}
