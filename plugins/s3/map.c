/* SPDX-License-Identifier: Apache-2.0
 *
 * The object form of the chunk table, little-endian:
 *
 *     header   8 bytes "tgtkmap\0", u32 version, u32 generation, u32 chunk bytes, u32 zero, u64 records
 *     record   u64 chunk index with the kind in its top byte, u32 generation, u32 sequence
 *     trailer  u32 CRC32C of all before
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "checksum.h"
#include "table.h"

#define MAP_VERSION   1u
#define HEADER_BYTES  32u
#define RECORD_BYTES  16u
#define TRAILER_BYTES 4u
#define KIND_SHIFT    56

static const char magic[8] = "tgtkmap";

static void put(unsigned char *out, uint64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (unsigned char)(number >> (8 * i));
}

static uint64_t get(const unsigned char *in, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number |= (uint64_t)in[i] << (8 * i);
	return number;
}

void s3_map_encode(const struct s3_table *table, uint32_t generation, uint32_t chunk_bytes, struct s3_text *bytes)
{
	unsigned char header[HEADER_BYTES] = {0}, record[RECORD_BYTES], trailer[TRAILER_BYTES];
	uint64_t records = 0;

	for (uint64_t i = s3_table_next(table, 0); i != UINT64_MAX; i = s3_table_next(table, i + 1))
		records++;
	memcpy(header, magic, sizeof(magic));
	put(header + 8, MAP_VERSION, 4);
	put(header + 12, generation, 4);
	put(header + 16, chunk_bytes, 4);
	put(header + 24, records, 8);
	s3_text_add_bytes(bytes, header, sizeof(header));
	for (uint64_t i = s3_table_next(table, 0); i != UINT64_MAX; i = s3_table_next(table, i + 1)) {
		const struct s3_name name = s3_table_get(table, i);

		put(record, i | (uint64_t)name.kind << KIND_SHIFT, 8);
		put(record + 8, name.generation, 4);
		put(record + 12, name.sequence, 4);
		s3_text_add_bytes(bytes, record, sizeof(record));
	}
	if (bytes->failed)
		return;
	put(trailer, s3_crc32c(0, bytes->data, bytes->length), 4);
	s3_text_add_bytes(bytes, trailer, sizeof(trailer));
}

static int decode_record(const unsigned char *record, uint32_t generation, uint64_t *next_index, struct s3_table *table)
{
	const uint64_t word = get(record, 8), index = word & ((UINT64_C(1) << KIND_SHIFT) - 1);
	const struct s3_name name = {.kind = (uint32_t)(word >> KIND_SHIFT),
				     .generation = (uint32_t)get(record + 8, 4),
				     .sequence = (uint32_t)get(record + 12, 4)};

	if (name.kind == S3_NAME_ABSENT || name.kind > S3_NAME_ADOPTED || name.generation > generation ||
	    index < *next_index || index >= table->chunk_count)
		return -EINVAL;
	*next_index = index + 1;
	return s3_table_set(table, index, name);
}

int s3_map_decode(const void *bytes, size_t length, uint32_t generation, uint32_t chunk_bytes, struct s3_table *table)
{
	const unsigned char *in = bytes;
	uint64_t records, next_index = 0;
	int status = 0;

	if (length < HEADER_BYTES + TRAILER_BYTES || memcmp(in, magic, sizeof(magic)) != 0 ||
	    get(in + length - TRAILER_BYTES, 4) != s3_crc32c(0, in, length - TRAILER_BYTES))
		return -EINVAL;
	if (get(in + 8, 4) != MAP_VERSION)
		return -ENOTSUP;
	records = get(in + 24, 8);
	if (get(in + 12, 4) != generation || get(in + 16, 4) != chunk_bytes ||
	    records != (length - HEADER_BYTES - TRAILER_BYTES) / RECORD_BYTES ||
	    (length - HEADER_BYTES - TRAILER_BYTES) % RECORD_BYTES != 0)
		return -EINVAL;
	for (uint64_t i = 0; i < records && status == 0; i++)
		status = decode_record(in + HEADER_BYTES + i * RECORD_BYTES, generation, &next_index, table);
	return status == -ERANGE ? -EINVAL : status;
}
