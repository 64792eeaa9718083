/* SPDX-License-Identifier: Apache-2.0
 *
 * The model as the iSCSI layer sees it: one immutable directory.
 */
#ifndef TGTKIT_TARGET_SNAPSHOT_H
#define TGTKIT_TARGET_SNAPSHOT_H

#include "iscsi/directory.h"
#include "target/ledger.h"
#include "target/spec.h"
#include "target/unit.h"

/* `units` in the order of configuration->units, all served and all in existence until no LUN map refers to them.  The
 * directory has one reference, the caller's.  0 or negative errno with `error`; the ledger may have given port ids. */
int target_snapshot_create(const struct target_configuration *configuration, struct target_unit *const *units,
			   struct target_ledger *ledger, struct iscsi_directory **directory,
			   char error[static TARGET_ERROR_BYTES]);

#endif
