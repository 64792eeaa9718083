/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C as iSCSI's digests use it, RFC 7143 section 13.1: seed all ones, result inverted, sent least significant byte
 * first.
 */
#ifndef TGTKIT_ISCSI_DIGEST_H
#define TGTKIT_ISCSI_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define ISCSI_CRC_SEED 0xffffffffu

/* Running value over more bytes; start with ISCSI_CRC_SEED. */
uint32_t iscsi_crc32c(uint32_t crc, const void *data, size_t length);
/* The four bytes on the wire for a running value that is complete. */
void iscsi_digest_put(uint8_t wire[static 4], uint32_t crc);
uint32_t iscsi_digest_get(const uint8_t wire[static 4]); /* comparable with ~running value */

#endif
