/* SPDX-License-Identifier: Apache-2.0
 *
 * Data of a command that was answered already: an initiator may still be sending what it was asked for, or what it had
 * announced.  It is received and dropped instead of being taken for a protocol error.
 */
#ifndef TGTKIT_ISCSI_LATE_DATA_H
#define TGTKIT_ISCSI_LATE_DATA_H

#include <stdbool.h>
#include <stdint.h>

struct iscsi_session;
struct iscsi_task;

/* The task ends: remembers what may still come for it. */
void iscsi_late_data_expect(struct iscsi_task *task);
/* A Data-Out PDU that belongs to no task: whether it is one of those. */
bool iscsi_late_data_takes(struct iscsi_session *session, const uint8_t *bhs);
/* The tag is in use again. */
void iscsi_late_data_forget(struct iscsi_session *session, uint32_t initiator_task_tag);
/* RFC 7143 4.2.3.4: the initiator has acknowledged that another nexus has ended its commands at this LUN, and sends no
 * more for them. */
void iscsi_late_data_stopped(struct iscsi_session *session, const uint8_t lun[static 8]);
void iscsi_late_data_clear(struct iscsi_session *session);

#endif
