/* SPDX-License-Identifier: Apache-2.0
 *
 * Control thread.
 */
#ifndef TGTKIT_MGMT_TAKE_OVER_H
#define TGTKIT_MGMT_TAKE_OVER_H

#include "mgmt/mgmt_private.h"

/* Whether another host has the unit's store. */
bool mgmt_may_take_over(const struct target_unit *unit);
/* Takes it from that host, then calls `then`, which answers; a failure is answered here. */
void mgmt_take_over(struct mgmt *mgmt, struct mgmt_request *request, struct target_unit *unit, const char *target,
		    uint16_t lun,
		    void (*then)(struct mgmt *mgmt, struct mgmt_request *request, const char *target, uint16_t lun));

#endif
