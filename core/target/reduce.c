/* SPDX-License-Identifier: Apache-2.0 */
#include "target/reduce.h"

#include <string.h>

/* ---- Taking away ------------------------------------------------------------------------------------------------ */

/* Where each unit comes to stand. */
static size_t *find_places(struct target_arena *arena, const bool *gone, size_t count)
{
	size_t *places = target_arena_array(arena, count, sizeof(*places)), place = 0;

	for (size_t i = 0; i < count; i++) {
		places[i] = place;
		place += !gone[i];
	}
	return places;
}

static void remove_luns(struct target_arena *arena, struct target_spec *target, const struct unit_spec *old_units,
			struct unit_spec *units, const bool *gone, const size_t *places)
{
	const struct lun_spec *old = target->luns;
	size_t old_count = target->lun_count;

	target->luns = target_arena_array(arena, old_count, sizeof(*target->luns));
	target->lun_count = 0;
	for (size_t i = 0; i < old_count; i++) {
		size_t index = (size_t)(old[i].unit - old_units);
		struct lun_spec *lun = &target->luns[target->lun_count];

		if (gone[index])
			continue;
		*lun = old[i];
		lun->unit = &units[places[index]];
		target->lun_count++;
	}
}

/* Each unit's first mapping, whose attributes are the unit's. */
static void find_first_mappings(struct target_configuration *configuration)
{
	for (size_t i = 0; i < configuration->unit_count; i++)
		configuration->units[i].lun = NULL;
	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].lun_count; k++) {
			struct unit_spec *unit = configuration->targets[i].luns[k].unit;

			if (unit->lun)
				continue;
			unit->lun = &configuration->targets[i].luns[k];
			unit->target = &configuration->targets[i];
		}
}

void target_configuration_remove_units(struct target_configuration *configuration, const bool *gone)
{
	struct target_arena *arena = &configuration->arena;
	const struct unit_spec *old = configuration->units;
	struct unit_spec *units = target_arena_array(arena, configuration->unit_count, sizeof(*units));
	const size_t *places = find_places(arena, gone, configuration->unit_count);
	size_t count = 0;

	for (size_t i = 0; i < configuration->target_count; i++)
		remove_luns(arena, &configuration->targets[i], old, units, gone, places);
	for (size_t i = 0; i < configuration->unit_count; i++)
		if (!gone[i])
			units[count++] = old[i];
	configuration->units = units;
	configuration->unit_count = count;
	find_first_mappings(configuration);
}

/* ---- Copies ----------------------------------------------------------------------------------------------------- */

static void *copy_array(struct target_arena *arena, const void *from, size_t count, size_t size)
{
	void *copy = target_arena_array(arena, count, size);

	if (count)
		memcpy(copy, from, count * size);
	return copy;
}

struct target_configuration *target_configuration_copy(struct target_configuration *from)
{
	struct target_configuration *copy = target_configuration_new();
	struct target_arena *arena = &copy->arena;

	copy->text = from->text;
	copy->base = from->base ? target_configuration_hold(from->base) : NULL;
	copy->origin = target_configuration_hold(from);
	copy->daemon = from->daemon;
	copy->discovery = from->discovery;
	copy->group_count = from->group_count;
	copy->target_count = from->target_count;
	copy->unit_count = from->unit_count;
	copy->groups = copy_array(arena, from->groups, from->group_count, sizeof(*from->groups));
	copy->targets = copy_array(arena, from->targets, from->target_count, sizeof(*from->targets));
	copy->units = copy_array(arena, from->units, from->unit_count, sizeof(*from->units));
	for (size_t i = 0; i < copy->group_count; i++)
		copy->groups[i].portals = copy_array(arena, from->groups[i].portals, from->groups[i].portal_count,
						     sizeof(struct portal_spec));
	for (size_t i = 0; i < copy->target_count; i++) {
		struct target_spec *target = &copy->targets[i];

		target->luns = copy_array(arena, target->luns, target->lun_count, sizeof(*target->luns));
		for (size_t k = 0; k < target->lun_count; k++)
			target->luns[k].unit = &copy->units[target->luns[k].unit - from->units];
	}
	find_first_mappings(copy);
	return copy;
}

void target_lun_copy_attributes(struct target_arena *arena, const struct lun_spec *from, struct lun_spec *to)
{
	struct store_setting *settings = target_arena_array(arena, from->setting_count, sizeof(*settings));

	for (size_t i = 0; i < from->setting_count; i++) {
		settings[i].key = target_arena_strdup(arena, from->settings[i].key);
		settings[i].value = target_arena_strdup(arena, from->settings[i].value);
	}
	to->settings = settings;
	to->setting_count = from->setting_count;
	to->block_size = from->block_size;
	to->physical_block_size = from->physical_block_size;
	to->serial = target_arena_strdup(arena, from->serial);
	to->vendor = target_arena_strdup(arena, from->vendor);
	to->product = target_arena_strdup(arena, from->product);
	to->removable = from->removable;
	to->thin = from->thin;
	to->write_cache = from->write_cache;
	to->features = from->features;
	to->create = false;
}
