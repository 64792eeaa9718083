/* SPDX-License-Identifier: Apache-2.0 */
#include "target/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"

struct target_arena_block {
	struct target_arena_block *next;
	size_t size;
	max_align_t memory[];
};

static void __attribute__((noreturn)) out_of_memory(void)
{
	rt_log(RT_LOG_ERROR, "out of memory for the configuration");
	abort();
}

void *target_arena_zalloc(struct target_arena *arena, size_t size)
{
	struct target_arena_block *block = NULL;

	if (size <= SIZE_MAX - sizeof(*block))
		block = calloc(1, sizeof(*block) + size);
	if (!block)
		out_of_memory();
	block->next = arena->blocks;
	block->size = size;
	arena->blocks = block;
	return block->memory;
}

void *target_arena_array(struct target_arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_memory();
	return target_arena_zalloc(arena, bytes);
}

char *target_arena_strdup(struct target_arena *arena, const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(target_arena_zalloc(arena, size), text, size);
}

char *target_arena_printf(struct target_arena *arena, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		out_of_memory();
	text = target_arena_zalloc(arena, (size_t)length + 1);
	va_start(arguments, format);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}

void target_arena_free(struct target_arena *arena)
{
	while (arena->blocks) {
		struct target_arena_block *block = arena->blocks;

		arena->blocks = block->next;
		explicit_bzero(block->memory, block->size); /* secrets are among it */
		free(block);
	}
}
