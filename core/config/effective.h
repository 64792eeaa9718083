/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration in force, as one that could be given as a file.
 */
#ifndef TGTKIT_CONFIG_EFFECTIVE_H
#define TGTKIT_CONFIG_EFFECTIVE_H

#include <libconfig.h>

#include "target/spec.h"

/* Fills an initialised tree: every daemon key with its value in force (defaults and --set included), the portal groups
 * and targets of the administrator and of the API.  Secret options of plugins are left away.  0 or -ENOMEM. */
int conf_effective(const struct target_configuration *configuration, config_t *tree);

#endif
