/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of a command: Data-In PDUs, with the status in the last one where there is no sense data, and the SCSI
 * Response.  RFC 7143 sections 11.4, 11.7.
 */
#ifndef TGTKIT_ISCSI_DATA_IN_H
#define TGTKIT_ISCSI_DATA_IN_H

struct iscsi_task;

void iscsi_data_in_send(struct iscsi_task *task);

#endif
