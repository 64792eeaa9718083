/* SPDX-License-Identifier: Apache-2.0 */
#include "target/spec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct spec_key_line *spec_origin_find(const struct spec_origin *origin, const char *key)
{
	for (size_t i = 0; i < origin->key_count; i++)
		if (!strcmp(origin->keys[i].key, key))
			return &origin->keys[i];
	return NULL;
}

void spec_origin_format(const struct spec_origin *origin, char *text, size_t size)
{
	if (origin->file)
		snprintf(text, size, "%s:%u", origin->file, origin->line);
	else
		snprintf(text, size, "%s", origin->name);
}

/* "FILE:LINE: OBJECT.KEY", as far as each is known. */
static void format_place(const struct spec_origin *origin, const char *key, char *text, size_t size)
{
	const struct spec_key_line *given = key ? spec_origin_find(origin, key) : NULL;
	const char *file = given ? given->file : origin->file;
	const char *separator = *origin->name && key ? "." : "";
	unsigned line = given ? given->line : origin->line;

	if (file && !*origin->name && !key)
		snprintf(text, size, "%s:%u", file, line);
	else if (file)
		snprintf(text, size, "%s:%u: %s%s%s", file, line, origin->name, separator, key ? key : "");
	else if (key)
		snprintf(text, size, "%s: %s", origin->name, key);
	else
		snprintf(text, size, "%s", origin->name);
}

void spec_problem(struct spec_problems *problems, const struct spec_origin *origin, const char *key, const char *format,
		  ...)
{
	char place[1024], message[2048], line[sizeof(place) + sizeof(message) + 2];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	format_place(origin, key, place, sizeof(place));
	snprintf(line, sizeof(line), *place ? "%s: %s" : "%s%s", place, message);
	problems->count++;
	problems->report(problems->context, line);
}

struct target_configuration *target_configuration_new(void)
{
	struct target_arena arena = {0};
	struct target_configuration *configuration = calloc(1, sizeof(*configuration));

	if (!configuration)
		target_arena_zalloc(&arena, SIZE_MAX); /* ends the process as any allocation of an arena does */
	atomic_init(&configuration->references, 1);
	return configuration;
}

struct target_configuration *target_configuration_hold(struct target_configuration *configuration)
{
	atomic_fetch_add(&configuration->references, 1);
	return configuration;
}

void target_configuration_drop(struct target_configuration *configuration)
{
	struct target_configuration *base, *origin;

	if (!configuration || atomic_fetch_sub(&configuration->references, 1) != 1)
		return;
	base = configuration->base;
	origin = configuration->origin;
	target_configuration_free(configuration);
	free(configuration);
	target_configuration_drop(base);
	target_configuration_drop(origin);
}

void target_configuration_free(struct target_configuration *configuration)
{
	target_arena_free(&configuration->arena);
	memset(configuration, 0, sizeof(*configuration));
}
