/* SPDX-License-Identifier: Apache-2.0
 *
 * How many connections there are, in all, per address, and still in login: the limits that a peer meets before it has
 * said a word.  Any thread; a mutex guards it (taken when a connection begins, logs in and ends).
 */
#ifndef TGTKIT_ISCSI_ADMISSION_H
#define TGTKIT_ISCSI_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* max_pending_logins is reached, but logins come to an end: who stands in the listening socket's queue had better wait
 * a little, as in a storm of logins.  Once none has ended for a second, newcomers are refused instead. */
bool iscsi_admission_should_wait(uint64_t now_ns);
/* NULL: counted, as a pending login; else the name of the limit that refuses it. */
const char *iscsi_admission_enter(const struct sockaddr_storage *peer);
void iscsi_admission_logged_in(void);
void iscsi_admission_leave(const struct sockaddr_storage *peer, bool was_pending_login);
uint32_t iscsi_admission_count(void);

#endif
