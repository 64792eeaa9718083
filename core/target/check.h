/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be said about a configuration before anything is opened: whether its objects fit together, and which logical
 * units there are.
 */
#ifndef TGTKIT_TARGET_CHECK_H
#define TGTKIT_TARGET_CHECK_H

#include "target/spec.h"

/* Duplicates, references, ranges that depend on each other; parses the portals' addresses; finds each LUN's plugin,
 * checks its options and collects the logical units; reads the secrets.  The plugins have been scanned.  The
 * configuration was read without a problem. */
void target_check(struct target_configuration *configuration, struct spec_problems *problems);

/* Asks each unit's plugin (tgtkit_plugin.check); opens nothing for writing.  Blocks. */
void target_check_stores(const struct target_configuration *configuration, struct spec_problems *problems);

/* Internal to target_check: the logical units. */
void target_check_units(struct target_configuration *configuration, struct spec_problems *problems);

/* Internal to target_check: who may log in.  Reads the secrets.  `owner`: whose users they are, for messages. */
void target_check_authentication(struct authentication_spec *authentication, const char *owner,
				 struct target_arena *arena, struct spec_problems *problems);
void target_check_access(const struct target_spec *target, struct spec_problems *problems);

/* How a unit is to be opened. */
struct store_spec;
void target_store_spec(const struct daemon_spec *daemon, const struct unit_spec *unit, struct store_spec *spec);

#endif
