/* SPDX-License-Identifier: Apache-2.0
 *
 * What change.c, change_open.c and change_tolerant.c share.
 */
#ifndef TGTKIT_TARGET_CHANGE_PRIVATE_H
#define TGTKIT_TARGET_CHANGE_PRIVATE_H

#include "target/model_private.h"

#define CHANGE_PLACE_BYTES 512

/* ---- change.c --------------------------------------------------------------------------------------------------- */

/* Whether the model has it already. */
bool target_change_is_kept(const struct target_change *change, const struct target_unit *unit);
/* Takes it back, for the reason in change->error, and ends it with this status. */
void target_change_fail(struct target_change *change, int status);
/* Its units are open: to the next step. */
void target_change_opened(struct target_change *change);
/* A unit whose store is still being opened, and that nobody waits for any more: closes it after that. */
void target_change_retire_when_opened(struct target_change *change, struct target_unit *unit);

/* ---- change_open.c ---------------------------------------------------------------------------------------------- */

/* The model's unit of this plugin and canonical path; NULL: it has none. */
struct target_unit *target_change_find_unit(const struct target_model *model, const struct unit_spec *spec);
/* The key that keeps an open unit from being what the spec says; NULL: none. */
const char *target_change_difference(const struct target_unit *unit, const struct unit_spec *spec);
/* Fills change->units: those that the model has already, and new ones, not opened yet.  0 or a negative errno, with
 * change->error; the units may be allocated by then. */
int target_change_collect_units(struct target_change *change);
/* Opens the new ones; goes on, or fails, when the last has answered or is late. */
void target_change_open_units(struct target_change *change);

/* ---- change_tolerant.c ------------------------------------------------------------------------------------------ */

/* Of a tolerant change: the unit at `index` cannot be had, for the reason in change->error.  It is described anew as it
 * was before, for another attempt (false: it was not, or that has been tried); */
bool target_change_as_before(struct target_change *change, size_t index);
/* or forgotten (the caller sees to what there is of it); */
void target_change_unit_failed(struct target_change *change, size_t index);
/* or awaited (likewise). */
void target_change_unit_awaited(struct target_change *change, size_t index);
/* A portal of the group cannot be opened, for the reason in change->error: takes it away. */
void target_change_portal_failed(struct target_change *change, struct portal_group_spec *group, size_t index);
/* Takes the units that have failed out of the configuration. */
void target_change_prune(struct target_change *change);

#endif
