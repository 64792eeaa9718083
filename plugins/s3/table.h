/* SPDX-License-Identifier: Apache-2.0
 *
 * The chunk table: which object holds each chunk.  Two levels, so that holes cost nothing.  And its form as an object,
 * `_map.*`: a header, one record per chunk that is present, in ascending order, and a CRC32C of it all.
 */
#ifndef TGTKIT_S3_TABLE_H
#define TGTKIT_S3_TABLE_H

#include "names.h"

struct s3_table {
	struct s3_name **blocks;
	uint64_t block_count;
	_Atomic uint64_t chunk_count; /* indices from here on are refused; a resize makes it grow */
};

void s3_table_init(struct s3_table *table, uint64_t chunk_count);
void s3_table_free(struct s3_table *table);
struct s3_name s3_table_get(const struct s3_table *table, uint64_t index);
/* 0, -ERANGE or -ENOMEM. */
int s3_table_set(struct s3_table *table, uint64_t index, struct s3_name name);
/* The first index from `index` on that is present, UINT64_MAX if none is. */
uint64_t s3_table_next(const struct s3_table *table, uint64_t index);

void s3_map_encode(const struct s3_table *table, uint32_t generation, uint32_t chunk_bytes, struct s3_text *bytes);
/* Into an empty table.  0, -EINVAL (damaged, or not the map of that generation), -ENOTSUP (later version), -ENOMEM. */
int s3_map_decode(const void *bytes, size_t length, uint32_t generation, uint32_t chunk_bytes, struct s3_table *table);

#endif
