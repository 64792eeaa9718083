/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: iSCSI TransportIDs, SPC-5 7.6.4.6.
 */
#ifndef TGTKIT_SCSI_TRANSPORT_ID_H
#define TGTKIT_SCSI_TRANSPORT_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An iSCSI name is at most 223 bytes; ",i,0x" and 12 digits follow in a port's. */
#define SCSI_PORT_NAME_BYTES	243u
#define SCSI_TRANSPORT_ID_BYTES (4u + 244u)

struct scsi_transport_id {
	bool is_device; /* the name of an initiator device, that is, of any port of it; else of one port */
	char name[SCSI_PORT_NAME_BYTES + 1];
};

/* Returns the bytes written. */
size_t scsi_transport_id_encode(const char *initiator_port, uint8_t out[static SCSI_TRANSPORT_ID_BYTES]);
/* Reads one from the `length` bytes at `bytes`.  Its length, or 0 if it is none or not one of iSCSI. */
size_t scsi_transport_id_decode(const uint8_t *bytes, size_t length, struct scsi_transport_id *id);

#endif
