/* SPDX-License-Identifier: Apache-2.0
 *
 * libconfig's trees as text and back, and copies of parts of them.
 */
#ifndef TGTKIT_CONFIG_TREE_H
#define TGTKIT_CONFIG_TREE_H

#include <libconfig.h>

#include "target/arena.h"

/* As a configuration file; in the arena, or (arena NULL) to be freed; NULL: no memory. */
char *conf_tree_text(const config_t *tree, struct target_arena *arena);
/* Adds a copy of a setting to a group or (its name is left away) a list.  NULL: no memory. */
config_setting_t *conf_tree_copy(config_setting_t *to, const config_setting_t *from);
/* The list, made if it is not there.  NULL: no memory. */
config_setting_t *conf_tree_list(config_setting_t *group, const char *name);

#endif
