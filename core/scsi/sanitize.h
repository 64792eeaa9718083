/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: a sanitize operation that is under way, SBC-4 4.11.
 */
#ifndef TGTKIT_SCSI_SANITIZE_H
#define TGTKIT_SCSI_SANITIZE_H

#include <stdint.h>

struct scsi_logical_unit;

/* How far it is, of 65536. */
uint16_t scsi_sanitize_progress(struct scsi_logical_unit *unit);

#endif
