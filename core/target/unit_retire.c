/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit's way out while the daemon goes on: no LUN map refers to it -> flush -> close.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "scsi/lun_map.h"
#include "target/unit.h"

struct unit_map {
	struct target_unit **units;
	size_t count;
	struct scsi_lun_map *whole; /* that this one is a part of, which has the units; NULL: it has its own */
	struct scsi_lun_map map;    /* last: its mappings follow */
};

/* ---- Maps ------------------------------------------------------------------------------------------------------- */

/* Any thread. */
static void let_go(struct target_unit *unit)
{
	if (atomic_fetch_sub(&unit->maps, 1) == 1 && !atomic_exchange(&unit->unmapped_posted, true))
		rt_loop_post(unit->control, &unit->unmapped);
}

static void map_released(struct scsi_lun_map *map)
{
	struct unit_map *self = RT_CONTAINER_OF(map, struct unit_map, map);

	for (size_t i = 0; i < self->count; i++)
		let_go(self->units[i]);
	if (self->whole)
		scsi_lun_map_drop(self->whole);
	free(self->units);
	free(self);
}

static struct unit_map *new_map(const struct scsi_lun_mapping *mappings, size_t count)
{
	struct unit_map *self = calloc(1, sizeof(*self) + count * sizeof(*mappings));

	if (!self)
		return NULL;
	if (count)
		memcpy(self->map.mappings, mappings, count * sizeof(*mappings));
	atomic_init(&self->map.references, 1);
	self->map.released = map_released;
	self->map.count = count;
	return self;
}

struct scsi_lun_map *target_unit_map_create(const struct scsi_lun_mapping *mappings, struct target_unit *const *units,
					    size_t count)
{
	struct unit_map *self = new_map(mappings, count);

	if (!self)
		return NULL;
	self->units = malloc((count + 1) * sizeof(*self->units));
	if (!self->units) {
		free(self);
		return NULL;
	}
	self->count = count;
	for (size_t i = 0; i < count; i++) {
		self->units[i] = units[i];
		atomic_fetch_add(&units[i]->maps, 1);
	}
	return &self->map;
}

struct scsi_lun_map *target_unit_map_mask(struct scsi_lun_map *whole, const struct scsi_lun_mapping *mappings,
					  size_t count)
{
	struct unit_map *self = new_map(mappings, count);

	if (!self)
		return NULL;
	self->whole = scsi_lun_map_hold(whole);
	return &self->map;
}

/* ---- Retiring --------------------------------------------------------------------------------------------------- */

static void closed(struct target_unit *unit)
{
	unit->retired(unit);
}

static void quiet(struct target_unit *unit)
{
	unit->is_quiet = true;
	if (unit->status)
		rt_log_about(
		    RT_ABOUT(.unit = unit->name), RT_LOG_ERROR,
		    "%s: flush failed: %s; writes since its last successful flush may be lost, although initiators "
		    "saw them complete",
		    unit->name, strerror(-unit->status));
	target_unit_close(unit, closed);
}

/* Posted as often as the count reaches zero; a unit that is not on its way out just has a pause between two maps. */
static void proceed(struct target_unit *unit)
{
	if (!unit->retiring || unit->retire_started || atomic_load(&unit->maps))
		return;
	unit->retire_started = true;
	if (unit->logical_unit)
		target_unit_quiesce(unit, quiet);
	else
		target_unit_close(unit, closed);
}

static void unmapped(struct rt_post *post)
{
	struct target_unit *unit = RT_CONTAINER_OF(post, struct target_unit, unmapped);

	/* First: whoever lets go from here on posts again. */
	atomic_store(&unit->unmapped_posted, false);
	proceed(unit);
}

void target_unit_retire_init(struct target_unit *unit)
{
	unit->unmapped.run = unmapped;
}

void target_unit_retire(struct target_unit *unit, void (*retired)(struct target_unit *unit))
{
	unit->retiring = true;
	unit->retired = retired;
	proceed(unit);
}
