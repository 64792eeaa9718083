/* SPDX-License-Identifier: Apache-2.0
 *
 * Which keys two objects of one table differ in.
 */
#ifndef TGTKIT_CONFIG_DIFFER_H
#define TGTKIT_CONFIG_DIFFER_H

#include "config/keys.h"

/* Calls `differs` for each row whose values are not the same.  Groups count as a whole; PARSED and CUSTOM rows, which
 * only their own code understands, are left to the caller. */
void conf_find_differences(const struct conf_table *table, const void *first, const void *other,
			   void (*differs)(void *context, const struct conf_key *key), void *context);
/* "live", "reopen", "recreate" or "restart". */
const char *conf_change_name(enum conf_change change);

#endif
