/* SPDX-License-Identifier: Apache-2.0
 *
 * The command window of a session (RFC 7143 4.2.2.1) as credit for memory: what the commands in it may send unasked is
 * reserved before they may come.  On the session's worker.
 */
#ifndef TGTKIT_ISCSI_WINDOW_H
#define TGTKIT_ISCSI_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct iscsi_session;

struct iscsi_window {
	uint32_t max_cmd_sn; /* as last sent: it never goes back */
	uint32_t commands;   /* reserved for, besides the immediate ones */
	uint32_t goal;	     /* what MaxCmdSN is advanced to: less than the above while the window shrinks */
	uint32_t limit;
	uint32_t bytes_per_command; /* that it may send unasked */
	uint32_t in_use;	    /* numbered commands received and not answered yet */
	uint32_t busiest;	    /* the most of them since the period began */
	uint32_t period_end;	    /* a CmdSN */
};

/* The smallest window, open from the start.  false: there is no memory for it. */
bool iscsi_window_open(struct iscsi_session *session, uint32_t first_cmd_sn, uint32_t bytes_per_command,
		       uint32_t limit);
/* The last command has ended: gives everything back. */
void iscsi_window_close(struct iscsi_session *session);

void iscsi_window_command_came(struct iscsi_session *session);
void iscsi_window_command_left(struct iscsi_session *session);

/* MaxCmdSN as it may be said now.  The window grows when it is used up, and shrinks when it is not and memory is short:
 * by not advancing, since what was promised holds. */
uint32_t iscsi_window_advance(struct iscsi_session *session);
/* The window was said to be shut and is open now: the initiator has to be told unasked. */
bool iscsi_window_is_owed(const struct iscsi_session *session);

#endif
