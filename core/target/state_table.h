/* SPDX-License-Identifier: Apache-2.0
 *
 * A table in the state folder that only grows: values that were given to keys once and for all (a serial to a backing
 * store, a number to a target port).  A text file: a first line that names table and version, then "VALUE KEY" lines;
 * in keys, bytes below 21h, above 7Eh and % are written as %XX.
 */
#ifndef TGTKIT_TARGET_STATE_TABLE_H
#define TGTKIT_TARGET_STATE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/arena.h"
#include "target/state_folder.h"

struct target_state_entry {
	const char *key, *value;
};

struct target_state_table {
	const char *name; /* of the file */
	struct target_arena arena;
	struct target_state_entry *entries;
	size_t count, capacity;
	uint32_t *slots; /* of 2 * capacity: by the key's hash, the number of an entry plus 1, or 0 */
	bool changed; /* since it was read or written */
};

/* A folder of NULL: an empty table that lives in memory only.  0 or negative errno with `error`, which names the line.
 */
int target_state_table_read(struct target_state_table *table, const char *name,
			    const struct target_state_folder *folder, char error[static TARGET_ERROR_BYTES]);
void target_state_table_free(struct target_state_table *table);

const char *target_state_table_find(const struct target_state_table *table, const char *key);
/* The key has no value yet; the value has no space in it. */
void target_state_table_add(struct target_state_table *table, const char *key, const char *value);

/* As it stands in the file; to be freed.  NULL: no memory. */
char *target_state_table_text(const struct target_state_table *table, size_t *length);

#endif
