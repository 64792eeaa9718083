/* SPDX-License-Identifier: Apache-2.0 */
#include "target/state_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "rt/log.h"

static void write_escaped(FILE *stream, const char *key)
{
	for (const unsigned char *c = (const unsigned char *)key; *c; c++)
		fprintf(stream, *c <= 0x20 || *c > 0x7e || *c == '%' ? "%%%02X" : "%c", *c);
}

static int hex_digit(char c)
{
	const char *digits = "0123456789ABCDEF", *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

/* In place.  false: no valid escape. */
static bool unescape(char *key)
{
	char *to = key;

	for (const char *from = key; *from; from++, to++) {
		*to = *from;
		if (*from != '%')
			continue;
		if (hex_digit(from[1]) < 0 || hex_digit(from[2]) < 0)
			return false;
		*to = (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
		from += 2;
	}
	*to = '\0';
	return true;
}

/* Where the entry with that key is noted, or would be: half of the slots are free. */
static uint32_t *find_slot(const struct target_state_table *table, const char *key)
{
	size_t mask = 2 * table->capacity - 1, at = rt_hash_text(RT_HASH_BEGIN, key) & mask;

	while (table->slots[at] && strcmp(table->entries[table->slots[at] - 1].key, key))
		at = (at + 1) & mask;
	return &table->slots[at];
}

static void grow(struct target_state_table *table)
{
	size_t capacity = table->capacity ? 2 * table->capacity : 16;
	struct target_state_entry *larger = target_arena_array(&table->arena, capacity, sizeof(*larger));

	if (table->count)
		memcpy(larger, table->entries, table->count * sizeof(*larger));
	table->entries = larger;
	table->capacity = capacity;
	table->slots = target_arena_array(&table->arena, 2 * capacity, sizeof(*table->slots));
	for (size_t i = 0; i < table->count; i++)
		*find_slot(table, larger[i].key) = (uint32_t)i + 1;
}

static void append(struct target_state_table *table, const char *key, const char *value)
{
	if (table->count == table->capacity)
		grow(table);
	*find_slot(table, key) = (uint32_t)table->count + 1;
	table->entries[table->count++] = (struct target_state_entry){
	    .key = target_arena_strdup(&table->arena, key),
	    .value = target_arena_strdup(&table->arena, value),
	};
}

static bool parse_line(struct target_state_table *table, char *line)
{
	char *value = strsep(&line, " ");

	if (!line || !*value || !*line || strchr(line, ' ') || !unescape(line))
		return false;
	if (target_state_table_find(table, line))
		return false;
	append(table, line, value);
	return true;
}

static void format_header(const char *name, char *header, size_t size)
{
	snprintf(header, size, "tgtkit %s 1", name);
}

static int parse(struct target_state_table *table, char *text, const char *path, char error[static TARGET_ERROR_BYTES])
{
	char header[64], *line;
	unsigned number = 1;

	format_header(table->name, header, sizeof(header));
	line = strsep(&text, "\n");
	if (strcmp(line, header)) {
		snprintf(error, TARGET_ERROR_BYTES, "%s/%s:1: is no table of this version (\"%s\" is expected)", path,
			 table->name, header);
		return -EINVAL;
	}
	while ((line = strsep(&text, "\n"))) {
		number++;
		if (!*line && !text)
			return 0;
		if (parse_line(table, line))
			continue;
		snprintf(error, TARGET_ERROR_BYTES, "%s/%s:%u: is damaged: restore it from a backup", path, table->name,
			 number);
		return -EINVAL;
	}
	/* A file that was written whole ends with a newline. */
	snprintf(error, TARGET_ERROR_BYTES, "%s/%s:%u: ends in the middle: restore it from a backup", path, table->name,
		 number);
	return -EINVAL;
}

int target_state_table_read(struct target_state_table *table, const char *name,
			    const struct target_state_folder *folder, char error[static TARGET_ERROR_BYTES])
{
	size_t length;
	char *text;
	int status;

	*table = (struct target_state_table){.name = name};
	if (!folder)
		return 0;
	status = target_state_read(folder, name, &text, &length, error);
	if (status || !text)
		return status;
	status = parse(table, text, folder->path, error);
	free(text);
	if (status)
		target_state_table_free(table);
	return status;
}

void target_state_table_free(struct target_state_table *table)
{
	target_arena_free(&table->arena);
	*table = (struct target_state_table){.name = table->name};
}

const char *target_state_table_find(const struct target_state_table *table, const char *key)
{
	uint32_t number = table->count ? *find_slot(table, key) : 0;

	return number ? table->entries[number - 1].value : NULL;
}

void target_state_table_add(struct target_state_table *table, const char *key, const char *value)
{
	append(table, key, value);
	table->changed = true;
}

char *target_state_table_text(const struct target_state_table *table, size_t *length)
{
	char header[64], *text = NULL;
	FILE *stream = open_memstream(&text, length);
	bool failed;

	if (!stream)
		return NULL;
	format_header(table->name, header, sizeof(header));
	fprintf(stream, "%s\n", header);
	for (size_t i = 0; i < table->count; i++) {
		fprintf(stream, "%s ", table->entries[i].value);
		write_escaped(stream, table->entries[i].key);
		fputc('\n', stream);
	}
	failed = ferror(stream);
	if (!fclose(stream) && !failed)
		return text;
	free(text);
	return NULL;
}
