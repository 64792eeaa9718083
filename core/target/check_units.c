/* SPDX-License-Identifier: Apache-2.0
 *
 * From the LUNs of all targets to logical units: the same plugin and canonical path is the same unit.
 */
#include <stdio.h>
#include <string.h>

#include "rt/bytes.h"
#include "store/store.h"
#include "target/check.h"
#include "target/differ.h"
#include "target/identity.h"
#include "target/secret.h"

static bool has_setting(const struct store_setting *settings, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(settings[i].key, key))
			return true;
	return false;
}

/* From now on they are settings like the others. */
static void read_option_files(struct lun_spec *lun, struct target_arena *arena, struct spec_problems *problems)
{
	struct store_setting *all =
	    target_arena_array(arena, lun->setting_count + lun->option_file_count, sizeof(*all));
	char error[TARGET_SECRET_ERROR_BYTES];

	if (!lun->option_file_count)
		return;
	if (lun->setting_count)
		memcpy(all, lun->settings, lun->setting_count * sizeof(*all));
	for (size_t i = 0; i < lun->option_file_count; i++) {
		const struct store_setting *file = &lun->option_files[i];
		struct store_setting *setting = &all[lun->setting_count];

		setting->key = file->key;
		if (has_setting(lun->settings, lun->setting_count, file->key))
			spec_problem(problems, &lun->option_files_origin, file->key, "stands in options, too");
		else if (target_secret_text(file->value, arena, &setting->value, error))
			spec_problem(problems, &lun->option_files_origin, file->key, "%s: %s", file->value, error);
		else
			lun->setting_count++;
		lun->settings = all;
	}
	lun->option_file_count = 0;
}

/* The plugin host's complaint does not say where its option stands: the culprit is the one without which the complaint
 * is another. */
static const char *find_bad_option(const struct store_plugin *plugin, const struct lun_spec *lun, const char *complaint,
				   struct target_arena *arena)
{
	struct store_setting *others = target_arena_array(arena, lun->setting_count, sizeof(*others));
	char error[STORE_ERROR_BYTES];

	for (size_t i = 0; i < lun->setting_count; i++) {
		struct store_values values = {0};
		int status;

		memcpy(others, lun->settings, i * sizeof(*others));
		memcpy(others + i, lun->settings + i + 1, (lun->setting_count - i - 1) * sizeof(*others));
		status = store_values_parse(plugin, others, lun->setting_count - 1, &values, error);
		if (!status)
			store_values_free(&values);
		if (!status || strcmp(error, complaint))
			return lun->settings[i].key;
	}
	return NULL;
}

static void check_options(const struct store_plugin *plugin, const struct lun_spec *lun, struct target_arena *arena,
			  struct spec_problems *problems)
{
	struct store_values values = {0};
	char error[STORE_ERROR_BYTES];
	const char *key;

	if (!store_values_parse(plugin, lun->settings, lun->setting_count, &values, error)) {
		store_values_free(&values);
		return;
	}
	key = find_bad_option(plugin, lun, error, arena);
	if (key)
		spec_problem(problems, &lun->options_origin, key, "%s", error);
	else
		spec_problem(problems, &lun->origin, "options", "%s", error);
}

/* The attributes that belong to the unit, not to its mapping; read_only, lun and path are left out. */
static void check_attributes(const struct unit_spec *unit, const struct lun_spec *other, struct spec_problems *problems)
{
	const struct lun_spec *first = unit->lun;
	const struct {
		const char *key;
		bool same;
	} attributes[] = {
	    {"size", first->size_bytes == other->size_bytes},
	    {"create", first->create == other->create},
	    {"block_size", first->block_size == other->block_size},
	    {"physical_block_size", first->physical_block_size == other->physical_block_size},
	    {"serial", !strcmp(first->serial, other->serial)},
	    {"vendor", !strcmp(first->vendor, other->vendor)},
	    {"product", !strcmp(first->product, other->product)},
	    {"removable", first->removable == other->removable},
	    {"thin", first->thin == other->thin},
	    {"write_cache", first->write_cache == other->write_cache},
	    {"online", first->online == other->online},
	    {"features", !memcmp(&first->features, &other->features, sizeof(first->features))},
	    {"options", target_same_settings(first, other)},
	};
	char place[512];

	spec_origin_format(&first->origin, place, sizeof(place));
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (!attributes[i].same && spec_origin_find(&other->origin, attributes[i].key))
			spec_problem(problems, &other->origin, attributes[i].key,
				     "differs from that at %s, which is the same logical unit (%s)", place, unit->name);
}

/* Units by plugin and path, of which there may be thousands: numbers of units plus 1, at most half of the slots taken.
 */
struct unit_index {
	size_t mask;
	uint32_t *slots;
};

static void init_index(struct unit_index *index, size_t units, struct target_arena *arena)
{
	size_t slots = 16;

	while (slots < 2 * units)
		slots *= 2;
	index->mask = slots - 1;
	index->slots = target_arena_array(arena, slots, sizeof(*index->slots));
}

/* Where the unit is noted, or would be. */
static uint32_t *find_slot(const struct unit_index *index, const struct target_configuration *configuration,
			   const struct unit_spec *wanted)
{
	size_t at = rt_hash_text(RT_HASH_BEGIN, wanted->canonical_path) & index->mask;

	for (; index->slots[at]; at = (at + 1) & index->mask) {
		const struct unit_spec *unit = &configuration->units[index->slots[at] - 1];

		if (unit->plugin == wanted->plugin && !strcmp(unit->canonical_path, wanted->canonical_path))
			break;
	}
	return &index->slots[at];
}

static void check_serial(const struct target_configuration *configuration, const struct unit_spec *unit,
			 struct spec_problems *problems)
{
	for (const struct unit_spec *other = configuration->units; *unit->lun->serial && other < unit; other++)
		if (!strcmp(other->lun->serial, unit->lun->serial))
			spec_problem(problems, &unit->lun->origin, "serial",
				     "%s has the same serial: initiators would take both for one disk", other->name);
}

static void add_unit(struct target_configuration *configuration, const struct target_spec *target, struct lun_spec *lun,
		     const struct unit_spec *found, struct spec_problems *problems)
{
	struct unit_spec *unit = &configuration->units[configuration->unit_count++];

	*unit = *found;
	unit->target = target;
	unit->lun = lun;
	unit->read_only = lun->read_only;
	lun->unit = unit;
	check_options(unit->plugin, lun, &configuration->arena, problems);
	check_serial(configuration, unit, problems);
}

static void check_lun_unit(struct target_configuration *configuration, const struct unit_index *index,
			   const struct target_spec *target, struct lun_spec *lun, struct spec_problems *problems)
{
	char error[STORE_ERROR_BYTES], canonical[TARGET_PATH_BYTES];
	struct unit_spec found = {0}, *unit;
	uint32_t *slot;

	read_option_files(lun, &configuration->arena, problems);
	if (store_plugins_resolve(lun->path, *lun->backend ? lun->backend : NULL, &found.plugin, &found.plugin_path,
				  error)) {
		spec_problem(problems, &lun->origin, *lun->backend ? "backend" : "path", "%s", error);
		return;
	}
	target_canonical_path(found.plugin_path, canonical);
	found.canonical_path = target_arena_strdup(&configuration->arena, canonical);
	found.name =
	    target_arena_printf(&configuration->arena, "%s:%s", found.plugin->descriptor->name, found.plugin_path);
	slot = find_slot(index, configuration, &found);
	if (!*slot) {
		add_unit(configuration, target, lun, &found, problems);
		*slot = (uint32_t)configuration->unit_count;
		return;
	}
	unit = &configuration->units[*slot - 1];
	lun->unit = unit;
	unit->read_only &= lun->read_only;
	check_attributes(unit, lun, problems);
}

void target_check_units(struct target_configuration *configuration, struct spec_problems *problems)
{
	struct unit_index index;
	size_t luns = 0;

	for (size_t i = 0; i < configuration->target_count; i++)
		luns += configuration->targets[i].lun_count;
	configuration->unit_count = 0;
	configuration->units = target_arena_array(&configuration->arena, luns, sizeof(*configuration->units));
	init_index(&index, luns, &configuration->arena);
	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].lun_count; k++)
			check_lun_unit(configuration, &index, &configuration->targets[i],
				       &configuration->targets[i].luns[k], problems);
}

void target_store_spec(const struct daemon_spec *daemon, const struct unit_spec *unit, struct store_spec *spec)
{
	*spec = (struct store_spec){
	    .plugin = unit->plugin,
	    .path = unit->plugin_path,
	    .settings = unit->lun->settings,
	    .setting_count = unit->lun->setting_count,
	    .create = unit->lun->create,
	    .read_only = unit->read_only,
	    .size_bytes = unit->lun->size_bytes,
	    .logical_block_bytes = unit->lun->block_size,
	    .state_dir = daemon->state_dir,
	};
}

void target_check_stores(const struct target_configuration *configuration, struct spec_problems *problems)
{
	for (size_t i = 0; i < configuration->unit_count; i++) {
		const struct unit_spec *unit = &configuration->units[i];
		char error[STORE_ERROR_BYTES];
		struct store_spec spec;

		target_store_spec(&configuration->daemon, unit, &spec);
		if (store_check(&spec, error))
			spec_problem(problems, &unit->lun->origin, "path", "target %s, LUN %u: %s", unit->target->name,
				     unit->lun->lun, error);
	}
}
