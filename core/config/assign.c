/* SPDX-License-Identifier: Apache-2.0
 *
 * From text to a member of an object, as a key's row says.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/keys.h"

static void *member(void *object, size_t offset)
{
	return (char *)object + offset;
}

static int assign_bool(bool *to, const char *text, char error[static CONF_ERROR_BYTES])
{
	if (strcmp(text, "true") && strcmp(text, "false")) {
		snprintf(error, CONF_ERROR_BYTES, "\"%.64s\" is neither true nor false", text);
		return -EINVAL;
	}
	*to = !strcmp(text, "true");
	return 0;
}

static int parse_integer(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return *end ? -EINVAL : -errno;
}

static bool is_size(const struct conf_key *key)
{
	return key->type == CONF_SIZE || key->type == CONF_SIZE32;
}

static int parse_number(const struct conf_key *key, const char *text, uint64_t *value,
			char error[static CONF_ERROR_BYTES])
{
	int status = is_size(key) ? store_parse_size(text, value) : parse_integer(text, value);
	bool negative = *text == '-' && !parse_integer(text + 1, value);

	if (status == -EINVAL && !negative)
		snprintf(error, CONF_ERROR_BYTES,
			 is_size(key) ? "\"%.64s\" is no size: write bytes, or a number with K, M, G, T or P"
				      : "\"%.64s\" is no whole number",
			 text);
	else if (status || *value < key->minimum || *value > key->maximum)
		snprintf(error, CONF_ERROR_BYTES, "%.64s is out of range: must be from %" PRIu64 " to %" PRIu64, text,
			 key->minimum, key->maximum);
	else
		return 0;
	return -EINVAL;
}

static int assign_number(const struct conf_key *key, void *to, const char *text, char error[static CONF_ERROR_BYTES])
{
	uint64_t value;
	int status = parse_number(key, text, &value, error);

	if (status)
		return status;
	if (key->type == CONF_SIZE)
		*(uint64_t *)to = value;
	else if (key->type == CONF_U16)
		*(uint16_t *)to = (uint16_t)value;
	else
		*(uint32_t *)to = (uint32_t)value;
	return 0;
}

static int assign_string(const struct conf_key *key, const char **to, const char *text, struct target_arena *arena,
			 char error[static CONF_ERROR_BYTES])
{
	char *copy = target_arena_strdup(arena, text);
	const char *wrong;

	if (key->normalise)
		key->normalise(copy);
	wrong = key->check ? key->check(copy) : NULL;
	if (wrong) {
		snprintf(error, CONF_ERROR_BYTES, "\"%.64s\": %s", text, wrong);
		return -EINVAL;
	}
	*to = copy;
	return 0;
}

static void assign_strings(const struct conf_key *key, void *object, const char *text, struct target_arena *arena)
{
	char *rest = target_arena_strdup(arena, text), *item;
	const char **items;
	size_t count = 0, capacity = 1;

	for (const char *c = text; *c; c++)
		capacity += *c == ':';
	items = target_arena_array(arena, capacity, sizeof(*items));
	while ((item = strsep(&rest, ":")))
		if (*item)
			items[count++] = item;
	*(const char *const **)member(object, key->offset) = items;
	*(size_t *)member(object, key->count_offset) = count;
}

int conf_assign(const struct conf_key *key, void *object, const char *text, struct target_arena *arena,
		char error[static CONF_ERROR_BYTES])
{
	switch (key->type) {
	case CONF_BOOL:
		return assign_bool(member(object, key->offset), text, error);
	case CONF_U16:
	case CONF_U32:
	case CONF_SIZE:
	case CONF_SIZE32:
		return assign_number(key, member(object, key->offset), text, error);
	case CONF_STRING:
		return assign_string(key, member(object, key->offset), text, arena, error);
	case CONF_STRINGS:
		assign_strings(key, object, text, arena);
		return 0;
	case CONF_PARSED:
		return key->parse(key, object, text, error);
	case CONF_UNAVAILABLE:
		if (key->fallback && !strcmp(text, key->fallback))
			return 0;
		snprintf(error, CONF_ERROR_BYTES, "is not available in this version%s%s%s",
			 key->fallback ? ": only " : "", key->fallback ? key->fallback : "",
			 key->fallback ? " is" : "");
		return -EINVAL;
	case CONF_GROUP:
	case CONF_CUSTOM:
		break;
	}
	snprintf(error, CONF_ERROR_BYTES, "can be set in a configuration file only");
	return -EINVAL;
}

const struct conf_key *conf_table_find(const struct conf_table *table, const char *name, size_t name_length)
{
	for (size_t i = 0; i < table->count; i++)
		if (strlen(table->keys[i].name) == name_length && !memcmp(table->keys[i].name, name, name_length))
			return &table->keys[i];
	return NULL;
}

void conf_apply_defaults(const struct conf_table *table, void *object, struct target_arena *arena)
{
	char error[CONF_ERROR_BYTES];

	for (size_t i = 0; i < table->count; i++) {
		const struct conf_key *key = &table->keys[i];

		if (key->type == CONF_GROUP && key->group->count)
			conf_apply_defaults(key->group, member(object, key->offset), arena);
		else if (key->fallback && key->type != CONF_UNAVAILABLE && key->type != CONF_CUSTOM)
			conf_assign(key, object, key->fallback, arena, error);
	}
}
