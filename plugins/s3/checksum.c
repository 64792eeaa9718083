/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <isa-l/crc.h>
#include <limits.h>

#include "checksum.h"
#include "text.h"

uint32_t s3_crc32c(uint32_t crc, const void *bytes, size_t length)
{
	const unsigned char *cursor = bytes;

	crc = ~crc;
	while (length > 0) {
		const int piece = length > INT_MAX / 2 ? INT_MAX / 2 : (int)length;

		/* The library does not write; its prototype only lacks const. */
		crc = crc32_iscsi((unsigned char *)(uintptr_t)cursor, piece, crc);
		cursor += piece;
		length -= (size_t)piece;
	}
	return ~crc;
}

void s3_checksums_encode(const uint32_t *crcs, uint32_t count, char text[S3_CHECKSUM_TEXT_BYTES])
{
	unsigned char bytes[S3_CHECK_BLOCKS * 4];

	for (uint32_t i = 0; i < count; i++)
		for (unsigned byte = 0; byte < 4; byte++)
			bytes[4 * i + byte] = (unsigned char)(crcs[i] >> (8 * byte));
	s3_base64(bytes, count * 4, text);
}

bool s3_checksums_decode(const char *text, uint32_t *crcs, uint32_t count)
{
	unsigned char bytes[S3_CHECK_BLOCKS * 4];

	if (count > S3_CHECK_BLOCKS || !s3_base64_decode(text, bytes, count * 4))
		return false;
	for (uint32_t i = 0; i < count; i++)
		crcs[i] = (uint32_t)bytes[4 * i] | (uint32_t)bytes[4 * i + 1] << 8 | (uint32_t)bytes[4 * i + 2] << 16 |
			  (uint32_t)bytes[4 * i + 3] << 24;
	return true;
}
