/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that lives and goes together: the many small strings and arrays of a configuration or of a snapshot.  One
 * thread at a time.  Nothing here fails: a control plane that cannot get a few hundred bytes ends the process with a
 * clear line, as no caller could do anything better.
 */
#ifndef TGTKIT_TARGET_ARENA_H
#define TGTKIT_TARGET_ARENA_H

#include <stddef.h>

/* Zeroed means empty. */
struct target_arena {
	struct target_arena_block *blocks;
};

void *target_arena_zalloc(struct target_arena *arena, size_t size); /* aligned as malloc aligns */
void *target_arena_array(struct target_arena *arena, size_t count, size_t size);
char *target_arena_strdup(struct target_arena *arena, const char *text);
char *target_arena_printf(struct target_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void target_arena_free(struct target_arena *arena);

#endif
