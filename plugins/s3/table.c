/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "table.h"

#define BLOCK_NAMES 1024u

void s3_table_init(struct s3_table *table, uint64_t chunk_count)
{
	*table = (struct s3_table){.chunk_count = chunk_count};
}

void s3_table_free(struct s3_table *table)
{
	for (uint64_t i = 0; i < table->block_count; i++)
		free(table->blocks[i]);
	free(table->blocks);
	*table = (struct s3_table){0};
}

struct s3_name s3_table_get(const struct s3_table *table, uint64_t index)
{
	const uint64_t block = index / BLOCK_NAMES;

	if (block >= table->block_count || table->blocks[block] == NULL)
		return (struct s3_name){0};
	return table->blocks[block][index % BLOCK_NAMES];
}

static int grow(struct s3_table *table, uint64_t block)
{
	const uint64_t wanted = block + 1 > table->block_count * 2 ? block + 1 : table->block_count * 2;
	struct s3_name **blocks = realloc(table->blocks, wanted * sizeof(*blocks));

	if (blocks == NULL)
		return -ENOMEM;
	for (uint64_t i = table->block_count; i < wanted; i++)
		blocks[i] = NULL;
	table->blocks = blocks;
	table->block_count = wanted;
	return 0;
}

int s3_table_set(struct s3_table *table, uint64_t index, struct s3_name name)
{
	const uint64_t block = index / BLOCK_NAMES;

	if (index >= table->chunk_count)
		return -ERANGE;
	if (block >= table->block_count && grow(table, block) != 0)
		return -ENOMEM;
	if (table->blocks[block] == NULL)
		table->blocks[block] = calloc(BLOCK_NAMES, sizeof(struct s3_name));
	if (table->blocks[block] == NULL)
		return -ENOMEM;
	table->blocks[block][index % BLOCK_NAMES] = name;
	return 0;
}

uint64_t s3_table_next(const struct s3_table *table, uint64_t index)
{
	while (index / BLOCK_NAMES < table->block_count) {
		const struct s3_name *block = table->blocks[index / BLOCK_NAMES];

		if (block == NULL)
			index = (index / BLOCK_NAMES + 1) * BLOCK_NAMES;
		else if (block[index % BLOCK_NAMES].kind != S3_NAME_ABSENT)
			return index;
		else
			index++;
	}
	return UINT64_MAX;
}
