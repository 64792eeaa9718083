/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes two descriptions of a logical unit different ones.
 */
#ifndef TGTKIT_TARGET_DIFFER_H
#define TGTKIT_TARGET_DIFFER_H

#include "target/spec.h"

/* The name of a key that cannot change while the unit is open and that the two do not agree in; NULL: there is none.
 * `size` and `create` count only when a store is made. */
const char *target_unit_difference(const struct lun_spec *first, const struct lun_spec *other);
bool target_same_settings(const struct lun_spec *a, const struct lun_spec *b);

#endif
