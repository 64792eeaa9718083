/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/digest.h"

#include <isa-l/crc.h>

/* ISA-L takes the length as int. */
#define LARGEST_PIECE ((size_t)1 << 30)

uint32_t iscsi_crc32c(uint32_t crc, const void *data, size_t length)
{
	unsigned char *bytes = (unsigned char *)(uintptr_t)data;

	while (length > LARGEST_PIECE) {
		crc = crc32_iscsi(bytes, (int)LARGEST_PIECE, crc);
		bytes += LARGEST_PIECE;
		length -= LARGEST_PIECE;
	}
	return crc32_iscsi(bytes, (int)length, crc);
}

void iscsi_digest_put(uint8_t wire[static 4], uint32_t crc)
{
	crc = ~crc;
	wire[0] = (uint8_t)crc;
	wire[1] = (uint8_t)(crc >> 8);
	wire[2] = (uint8_t)(crc >> 16);
	wire[3] = (uint8_t)(crc >> 24);
}

uint32_t iscsi_digest_get(const uint8_t wire[static 4])
{
	return (uint32_t)wire[3] << 24 | (uint32_t)wire[2] << 16 | (uint32_t)wire[1] << 8 | wire[0];
}
