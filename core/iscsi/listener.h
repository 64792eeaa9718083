/* SPDX-License-Identifier: Apache-2.0
 *
 * All listening portals; see iscsi/server.h for one.  Control thread.
 */
#ifndef TGTKIT_ISCSI_LISTENER_H
#define TGTKIT_ISCSI_LISTENER_H

#include "iscsi/server.h"

void iscsi_listeners_init(struct rt_loop *control);
void iscsi_listeners_close_all(void);

#endif
