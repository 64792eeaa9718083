/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the body of a request.
 */
#ifndef TGTKIT_MGMT_EDITS_H
#define TGTKIT_MGMT_EDITS_H

#include <jansson.h>

#include "mgmt/mgmt_private.h"

/* The body, which has to be a JSON object.  NULL: answered by 400. */
json_t *mgmt_body(struct mgmt_request *request);
/* ?force=true.  -1: answered by 400. */
int mgmt_force(struct mgmt_request *request);

#endif
