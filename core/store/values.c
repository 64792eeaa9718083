/* SPDX-License-Identifier: Apache-2.0 */
#include "store/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_boolean(const char *text, bool *value)
{
	static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		for (int truth = 0; truth < 2; truth++) {
			if (strcmp(text, words[i][truth]) == 0) {
				*value = truth;
				return 0;
			}
		}
	}
	return -EINVAL;
}

static int parse_integer(const char *text, int64_t *value)
{
	const char *digits = *text == '-' ? text + 1 : text;
	char *end;

	if (*digits < '0' || *digits > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoll(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	return *end == '\0' ? 0 : -EINVAL;
}

static int check_bounds(const struct tgtkit_option *option, int64_t value, char *reason)
{
	if (option->minimum == 0 && option->maximum == 0)
		return 0;
	if (value >= option->minimum && value <= option->maximum)
		return 0;
	snprintf(reason, STORE_ERROR_BYTES, "it must be between %lld and %lld", (long long)option->minimum,
		 (long long)option->maximum);
	return -ERANGE;
}

static int parse_bounded_integer(const struct tgtkit_option *option, const char *text, struct tgtkit_value *value,
				 char *reason)
{
	int status = parse_integer(text, &value->as.integer);

	if (status != 0) {
		snprintf(reason, STORE_ERROR_BYTES, "it must be a whole number");
		return status;
	}
	return check_bounds(option, value->as.integer, reason);
}

static int parse_bounded_size(const struct tgtkit_option *option, const char *text, struct tgtkit_value *value,
			      char *reason)
{
	int status = store_parse_size(text, &value->as.size_bytes);

	if (status == 0 && value->as.size_bytes > INT64_MAX)
		status = -ERANGE;
	if (status != 0) {
		snprintf(reason, STORE_ERROR_BYTES, "it must be a size below 8192P: digits and K, M, G, T or P");
		return status;
	}
	return check_bounds(option, (int64_t)value->as.size_bytes, reason);
}

int store_value_parse(const struct tgtkit_option *option, const char *text, struct tgtkit_value *value,
		      char reason[static STORE_ERROR_BYTES])
{
	value->type = option->type;
	switch ((enum tgtkit_option_type)option->type) {
	case TGTKIT_OPTION_BOOL:
		if (parse_boolean(text, &value->as.boolean) == 0)
			return 0;
		snprintf(reason, STORE_ERROR_BYTES, "it must be true or false");
		return -EINVAL;
	case TGTKIT_OPTION_INTEGER:
		return parse_bounded_integer(option, text, value, reason);
	case TGTKIT_OPTION_SIZE:
		return parse_bounded_size(option, text, value, reason);
	case TGTKIT_OPTION_STRING:
		value->as.string = text;
		return 0;
	}
	snprintf(reason, STORE_ERROR_BYTES, "its type %u is unknown", option->type);
	return -EINVAL;
}

static bool is_prefix_row(const struct tgtkit_option *option)
{
	return (option->flags & TGTKIT_OPTION_PREFIX) != 0;
}

/* The row that a key belongs to: a plain row of that name comes before any prefix. */
static const struct tgtkit_option *find_option(const struct tgtkit_plugin *plugin, const char *key)
{
	const struct tgtkit_option *found = NULL;

	if (plugin->options == NULL)
		return NULL;
	for (const struct tgtkit_option *option = plugin->options; option->key != NULL; option++) {
		size_t length = strlen(option->key);

		if (!is_prefix_row(option) && strcmp(option->key, key) == 0)
			return option;
		if (is_prefix_row(option) && strncmp(option->key, key, length) == 0 && key[length] != '\0')
			found = option;
	}
	return found;
}

bool store_option_is_secret(const struct store_plugin *plugin, const char *key)
{
	const struct tgtkit_option *option = find_option(plugin->descriptor, key);

	return option && (option->flags & TGTKIT_OPTION_SECRET);
}

static void list_keys(const struct tgtkit_plugin *plugin, char *text, size_t capacity)
{
	size_t used = 0;

	text[0] = '\0';
	if (plugin->options == NULL || plugin->options->key == NULL) {
		snprintf(text, capacity, "it has none");
		return;
	}
	for (const struct tgtkit_option *option = plugin->options; option->key != NULL && used < capacity; option++)
		used += (size_t)snprintf(text + used, capacity - used, "%s%s%s", used == 0 ? "it has " : ", ",
					 option->key, is_prefix_row(option) ? "*" : "");
}

static int refuse_unknown(const struct tgtkit_plugin *plugin, const char *key, char *error)
{
	char keys[STORE_ERROR_BYTES / 2];

	list_keys(plugin, keys, sizeof(keys));
	snprintf(error, STORE_ERROR_BYTES, "plugin %s has no option '%.128s': %s", plugin->name, key, keys);
	return -EINVAL;
}

static int check_settings(const struct tgtkit_plugin *plugin, const struct store_setting *settings, size_t count,
			  char *error)
{
	for (size_t i = 0; i < count; i++) {
		if (find_option(plugin, settings[i].key) == NULL)
			return refuse_unknown(plugin, settings[i].key, error);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(settings[i].key, settings[j].key) == 0) {
				snprintf(error, STORE_ERROR_BYTES, "option '%.128s' is given twice", settings[i].key);
				return -EINVAL;
			}
		}
	}
	return 0;
}

static const struct store_setting *find_setting(const struct store_setting *settings, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(settings[i].key, key) == 0)
			return &settings[i];
	}
	return NULL;
}

/* Strings follow the values in the same allocation, so that one free releases all. */
struct string_room {
	char *next;
};

static const char *keep_string(struct string_room *room, const char *text)
{
	size_t length = strlen(text) + 1;
	char *copy = room->next;

	memcpy(copy, text, length);
	room->next += length;
	return copy;
}

static int allocate(const struct tgtkit_plugin *plugin, const struct store_setting *settings, size_t count,
		    struct store_values *out, struct string_room *room)
{
	size_t rows = count, bytes = 0;

	for (const struct tgtkit_option *option = plugin->options; option != NULL && option->key != NULL; option++)
		rows++;
	for (size_t i = 0; i < count; i++)
		bytes += strlen(settings[i].key) + strlen(settings[i].value) + 2;
	out->count = 0;
	out->values = calloc(1, rows * sizeof(*out->values) + bytes + 1);
	if (out->values == NULL)
		return -ENOMEM;
	room->next = (char *)(out->values + rows);
	return 0;
}

static int parse_setting(const struct tgtkit_option *option, const struct store_setting *setting,
			 struct tgtkit_value *value, struct string_room *room, char *error)
{
	char reason[STORE_ERROR_BYTES];
	int status = store_value_parse(option, setting->value, value, reason);

	if (status != 0) {
		bool show = !(option->flags & TGTKIT_OPTION_SECRET);

		snprintf(error, STORE_ERROR_BYTES, "option '%.128s'%s%.128s%s: %.512s", setting->key,
			 show ? " = '" : "", show ? setting->value : "", show ? "'" : "", reason);
		return status;
	}
	value->is_set = 1;
	if (value->type == TGTKIT_OPTION_STRING)
		value->as.string = keep_string(room, setting->value);
	return 0;
}

static int fill_row(const struct tgtkit_option *option, const struct store_setting *setting, struct tgtkit_value *value,
		    struct string_room *room, char *error)
{
	value->key = option->key;
	value->type = option->type;
	if (setting != NULL)
		return parse_setting(option, setting, value, room, error);
	if (option->flags & TGTKIT_OPTION_REQUIRED) {
		snprintf(error, STORE_ERROR_BYTES, "option '%s' is missing (%s)", option->key, option->help);
		return -EINVAL;
	}
	if (option->default_value != NULL)
		return store_value_parse(option, option->default_value, value, error);
	return 0;
}

static int fill_rows(const struct tgtkit_plugin *plugin, const struct store_setting *settings, size_t count,
		     struct store_values *out, struct string_room *room, char *error)
{
	for (const struct tgtkit_option *option = plugin->options; option != NULL && option->key != NULL; option++) {
		const struct store_setting *setting = find_setting(settings, count, option->key);
		int status;

		if (is_prefix_row(option))
			continue;
		status = fill_row(option, setting, &out->values[out->count], room, error);
		if (status != 0)
			return status;
		out->count++;
	}
	return 0;
}

static int fill_prefixed(const struct tgtkit_plugin *plugin, const struct store_setting *settings, size_t count,
			 struct store_values *out, struct string_room *room, char *error)
{
	for (size_t i = 0; i < count; i++) {
		const struct tgtkit_option *option = find_option(plugin, settings[i].key);
		struct tgtkit_value *value = &out->values[out->count];
		int status;

		if (!is_prefix_row(option))
			continue;
		status = parse_setting(option, &settings[i], value, room, error);
		if (status != 0)
			return status;
		value->key = keep_string(room, settings[i].key);
		out->count++;
	}
	return 0;
}

int store_values_parse(const struct store_plugin *plugin, const struct store_setting *settings, size_t count,
		       struct store_values *out, char error[static STORE_ERROR_BYTES])
{
	const struct tgtkit_plugin *descriptor = plugin->descriptor;
	struct string_room room;
	int status;

	*out = (struct store_values){0};
	status = check_settings(descriptor, settings, count, error);
	if (status != 0)
		return status;
	status = allocate(descriptor, settings, count, out, &room);
	if (status != 0) {
		snprintf(error, STORE_ERROR_BYTES, "no memory for the options");
		return status;
	}
	status = fill_rows(descriptor, settings, count, out, &room, error);
	if (status == 0)
		status = fill_prefixed(descriptor, settings, count, out, &room, error);
	if (status != 0)
		store_values_free(out);
	return status;
}

void store_values_free(struct store_values *values)
{
	free(values->values);
	*values = (struct store_values){0};
}
