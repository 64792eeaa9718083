/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal's own protocol: one datagram per event, with a field for each object that it is about, so that
 * `journalctl TGTKIT_TARGET=...` finds it (systemd.io/JOURNAL_NATIVE_PROTOCOL).  Any thread.
 */
#ifndef TGTKIT_RT_JOURNAL_H
#define TGTKIT_RT_JOURNAL_H

#include <stdbool.h>

#include "rt/log.h"

/* `priority` as syslog(3) counts it; `message` has no byte below 20h.  false: the journal does not take it, now or at
 * all; nothing has been written.  Never waits. */
bool rt_journal_send(int priority, const struct rt_log_object *object, const char *message);

#endif
