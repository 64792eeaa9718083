/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reload has changed, object by object.
 */
#ifndef TGTKIT_MGMT_COMPARE_H
#define TGTKIT_MGMT_COMPARE_H

#include <jansson.h>

#include "target/model.h"

/* An array of {"object", "result": added | changed | removed | failed | waiting, "how": live | reopen | recreate,
 * "keys", "message"}, for what differs between two configurations and for what failed on the way.  A line of the log
 * each. */
json_t *mgmt_compare(const struct target_configuration *old, const struct target_configuration *wanted,
		     const struct target_change_failure *failures, size_t failure_count);

#endif
