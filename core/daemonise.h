/* SPDX-License-Identifier: Apache-2.0
 *
 * Going to the background, in two halves: the fork comes before any plugin is loaded or thread started; the parent
 * leaves only when the child serves.
 */
#ifndef TGTKIT_DAEMONISE_H
#define TGTKIT_DAEMONISE_H

/* Returns in the child only, in a session of its own, with stderr still that of the caller so that what goes wrong is
 * seen.  The parent waits and exits 0 when the child is ready, else as the child did. */
void daemonise_fork(void);
/* The child serves: the log goes to syslog from here on, and the parent exits.  Does nothing without daemonise_fork. */
void daemonise_ready(void);
/* The process is about to end: passes on what is still on its way to syslog.  Any state. */
void daemonise_end(void);

#endif
