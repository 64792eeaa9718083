/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys of the daemon group that a running daemon cannot change.
 */
#ifndef TGTKIT_CONFIG_RESTART_H
#define TGTKIT_CONFIG_RESTART_H

#include "target/spec.h"

/* Where such a key differs from what is in force, reports it and puts the value in force into the new configuration. */
void conf_keep_until_restart(const struct daemon_spec *in_force, struct target_configuration *configuration,
			     struct spec_problems *report);

#endif
