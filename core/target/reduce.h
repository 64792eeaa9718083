/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration less some of its logical units.
 */
#ifndef TGTKIT_TARGET_REDUCE_H
#define TGTKIT_TARGET_REDUCE_H

#include "target/spec.h"

/* Takes the units that are marked (`gone` has unit_count entries), and every LUN that maps one, out of a checked
 * configuration that is not in force.  Units and LUNs are new objects then; the old ones stay as they are, for those
 * (an open that has not come back) who still look at them. */
void target_configuration_remove_units(struct target_configuration *configuration, const bool *gone);

/* A checked configuration like `from`, which is held, with arrays of groups, portals, targets, LUNs and units that are
 * its own. */
struct target_configuration *target_configuration_copy(struct target_configuration *from);

/* Gives a LUN what makes its logical unit what it is (see target_unit_difference), copied from another one. */
void target_lun_copy_attributes(struct target_arena *arena, const struct lun_spec *from, struct lun_spec *to);

#endif
