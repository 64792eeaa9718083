/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC32C, and the checksums of a chunk object.  S3 gives no checksum for a part of an object, so each chunk object
 * carries one per check block in a header of its own (user metadata, which every answer repeats): what a ranged read
 * brings is checked, wherever it was damaged.  At most 256 check blocks, so that the header stays below S3's limit of 2
 * KB.
 */
#ifndef TGTKIT_S3_CHECKSUM_H
#define TGTKIT_S3_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_CHECK_BLOCKS	       256u
#define S3_CHECK_BYTES_MINIMUM 4096u
#define S3_CHECKSUM_HEADER     "x-amz-meta-tgtkit-crc32c"
#define S3_CHECKSUM_TEXT_BYTES (4 * ((S3_CHECK_BLOCKS * 4 + 2) / 3) + 1)

/* Starts with 0; goes on with what it returned. */
uint32_t s3_crc32c(uint32_t crc, const void *bytes, size_t length);

/* Bytes of a check block for this chunk size: a power of two. */
static inline uint32_t s3_check_bytes(uint32_t chunk_bytes)
{
	uint32_t check_bytes = S3_CHECK_BYTES_MINIMUM;

	while ((uint64_t)check_bytes * S3_CHECK_BLOCKS < chunk_bytes)
		check_bytes *= 2;
	return check_bytes;
}

static inline uint32_t s3_check_count(uint32_t chunk_bytes)
{
	const uint32_t check_bytes = s3_check_bytes(chunk_bytes);

	return (chunk_bytes + check_bytes - 1) / check_bytes;
}

void s3_checksums_encode(const uint32_t *crcs, uint32_t count, char text[S3_CHECKSUM_TEXT_BYTES]);
bool s3_checksums_decode(const char *text, uint32_t *crcs, uint32_t count);

#endif
