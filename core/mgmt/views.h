/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects as JSON.  Each returns a new reference, or NULL without memory.
 */
#ifndef TGTKIT_MGMT_VIEWS_H
#define TGTKIT_MGMT_VIEWS_H

#include <jansson.h>

#include "mgmt/mgmt_private.h"

json_t *mgmt_target_view(struct mgmt *mgmt, const struct target_spec *target);
json_t *mgmt_lun_view(struct mgmt *mgmt, const struct lun_spec *lun);
/* "origin": "api", or "file" and "defined_in". */
void mgmt_set_origin(json_t *object, bool made_by_api, const struct spec_origin *origin);
json_t *mgmt_group_view(struct mgmt *mgmt, const struct portal_group_spec *group);

#endif
