/* SPDX-License-Identifier: Apache-2.0
 *
 * What snapshot.c (targets and portals) and snapshot_access.c (who may log in) share.
 */
#ifndef TGTKIT_TARGET_SNAPSHOT_PRIVATE_H
#define TGTKIT_TARGET_SNAPSHOT_PRIVATE_H

#include "target/snapshot.h"

void snapshot_copy_authentication(struct target_arena *arena, const struct authentication_spec *spec,
				  struct iscsi_authentication *authentication);
/* The target's rules, each with a LUN map: the target's own (one more reference), or what the rule leaves of it.  0 or
 * -ENOMEM; the rules made so far are the target's either way. */
int snapshot_copy_rules(struct target_arena *arena, const struct target_spec *spec, struct iscsi_target *target);
/* Drops the LUN maps. */
void snapshot_drop_maps(const struct iscsi_target *target);

#endif
