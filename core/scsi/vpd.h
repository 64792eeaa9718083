/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: vital product data pages, SPC-5 7.7 and SBC-4 6.6.
 */
#ifndef TGTKIT_SCSI_VPD_H
#define TGTKIT_SCSI_VPD_H

#include <stddef.h>
#include <stdint.h>

#include "scsi/command.h"
#include "scsi/unit.h"

#define SCSI_DEFAULT_VENDOR   "TGTKIT"
#define SCSI_DEFAULT_PRODUCT  "VIRTUAL-DISK"
#define SCSI_PRODUCT_REVISION "0001"

/* Whether there is the page that an INQUIRY with EVPD asks for. */
bool scsi_vpd_supports(const struct scsi_command *command);
/* Answers the page that an INQUIRY with EVPD asks for. */
void scsi_vpd_reply(struct scsi_command *command);

/* Block limits, in logical blocks, that commands are held to. */
uint32_t scsi_maximum_transfer_blocks(const struct scsi_logical_unit *unit);
uint64_t scsi_maximum_write_same_blocks(const struct scsi_logical_unit *unit);
/* The longest WRITE ATOMIC(16), and what its LBA has to be a multiple of; 0: there is none. */
uint32_t scsi_atomic_write_blocks(const struct scsi_logical_unit *unit);
uint32_t scsi_maximum_compare_and_write_blocks(const struct scsi_logical_unit *unit);
#define SCSI_MAXIMUM_UNMAP_DESCRIPTORS 256u
#define SCSI_MAXIMUM_UNMAP_BLOCKS      0x100000u /* of all descriptors together */

/* The designators of the unit itself, as in page 83h.  Returns the bytes written. */
#define SCSI_UNIT_DESIGNATORS_BYTES 64u
size_t scsi_unit_designators(const struct scsi_logical_unit *unit, uint8_t out[static SCSI_UNIT_DESIGNATORS_BYTES]);

/* Peripheral qualifier and device type of what the command addresses. */
uint8_t scsi_peripheral_device(const struct scsi_command *command);
/* Left-aligned, filled with spaces. */
void scsi_put_ascii(uint8_t *field, size_t length, const char *text);
/* A name string with a NUL, filled with NULs to a multiple of four; `room` bytes are zeroed beforehand.  Returns its
 * length. */
size_t scsi_put_name(uint8_t *field, size_t room, const char *text);
/* Designation descriptor header, SPC-5 7.7.6.1: returns the descriptor's length with it. */
size_t scsi_put_designator(uint8_t *at, uint8_t protocol_code_set, uint8_t association_type, size_t length);

#endif
