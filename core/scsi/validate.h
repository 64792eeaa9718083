/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: checks and decodes a CDB by its row.
 */
#ifndef TGTKIT_SCSI_VALIDATE_H
#define TGTKIT_SCSI_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>

struct scsi_command;

/* Sets direction, transfer_length, lba and blocks.  false: status and sense are set. */
bool scsi_validate_cdb(struct scsi_command *command);
/* For rows whose `decode` finds the range: blocks at lba lie within the capacity. */
bool scsi_validate_range(struct scsi_command *command, uint64_t lba, uint64_t blocks);

#endif
