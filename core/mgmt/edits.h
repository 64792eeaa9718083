/* SPDX-License-Identifier: Apache-2.0
 *
 * What the requests that change something share.
 */
#ifndef TGTKIT_MGMT_EDITS_H
#define TGTKIT_MGMT_EDITS_H

#include <jansson.h>

#include "mgmt/operation.h"

/* The body, which has to be a JSON object.  NULL: answered by 400. */
json_t *mgmt_body(struct mgmt_request *request);
/* ?force=true.  -1: answered by 400. */
int mgmt_force(struct mgmt_request *request);
/* Takes a LUN that goes out of the rules of its target (`setting`: in the tree).  false: a rule that names it stands in
 * the way, and it has been answered by 409. */
bool mgmt_masks_forget(struct mgmt_operation *operation, const struct target_spec *target, config_setting_t *setting,
		       uint16_t lun);

#endif
