/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the rig's plugin that its two tiers share.
 */
#ifndef TGTKIT_TESTS_UNIT_STORE_RIG_PLUGIN_H
#define TGTKIT_TESTS_UNIT_STORE_RIG_PLUGIN_H

#include <tgtkit/plugin.h>

extern const struct tgtkit_blocking rig_blocking, rig_blocking_nowait;
extern const struct tgtkit_async rig_async, rig_async_workers, rig_async_polls;

/* Does what a request asks for, after a check that the host was allowed to ask.  Returns its status. */
int rig_perform(struct tgtkit_request *request);

void rig_start_thread(void);
void rig_stop_thread(void);

#endif
