/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host_private.h"

static bool parse_size(const char *text, uint64_t *value)
{
	static const char units[] = "KMGTP";
	const char *unit;
	char *end;

	*value = strtoull(text, &end, 10);
	if (end == text)
		return false;
	if (*end == '\0')
		return true;
	unit = strchr(units, *end);
	if (unit == NULL || end[1] != '\0')
		return false;
	*value <<= 10 * (unit - units + 1);
	return true;
}

static bool is_bounded(const struct tgtkit_option *row, int64_t value)
{
	return (row->minimum == 0 && row->maximum == 0) || (value >= row->minimum && value <= row->maximum);
}

static bool parse_value(const struct tgtkit_option *row, const char *text, struct tgtkit_value *value)
{
	char *end;

	value->key = row->key;
	value->type = row->type;
	if (text == NULL)
		return true;
	switch (row->type) {
	case TGTKIT_OPTION_BOOL:
		value->as.boolean = strcmp(text, "true") == 0;
		return value->as.boolean || strcmp(text, "false") == 0;
	case TGTKIT_OPTION_INTEGER:
		value->as.integer = strtoll(text, &end, 10);
		return end != text && *end == '\0' && is_bounded(row, value->as.integer);
	case TGTKIT_OPTION_SIZE:
		return parse_size(text, &value->as.size_bytes) && is_bounded(row, (int64_t)value->as.size_bytes);
	default:
		value->as.string = text;
		return true;
	}
}

static const struct tgtkit_option *row_of(const struct tgtkit_plugin *plugin, const char *key)
{
	for (const struct tgtkit_option *row = plugin->options; row != NULL && row->key != NULL; row++)
		if (row->flags & TGTKIT_OPTION_PREFIX ? strncmp(key, row->key, strlen(row->key)) == 0
						      : strcmp(key, row->key) == 0)
			return row;
	return NULL;
}

static const char *setting_of(const struct fh_option *options, const char *key)
{
	for (; options != NULL && options->key != NULL; options++)
		if (strcmp(options->key, key) == 0)
			return options->value;
	return NULL;
}

static int refuse(struct tgtkit_error *error, const char *key)
{
	snprintf(error->message, sizeof(error->message), "option '%s' is unknown, missing or out of its range", key);
	return -EINVAL;
}

static int parse_rows(const struct tgtkit_plugin *plugin, const struct fh_option *options, struct fh_values *values,
		      struct tgtkit_error *error)
{
	for (const struct tgtkit_option *row = plugin->options; row != NULL && row->key != NULL; row++) {
		const char *text = setting_of(options, row->key);
		struct tgtkit_value *value = &values->values[values->count];

		if (row->flags & TGTKIT_OPTION_PREFIX)
			continue;
		value->is_set = text != NULL;
		if (text == NULL && (row->flags & TGTKIT_OPTION_REQUIRED))
			return refuse(error, row->key);
		if (!parse_value(row, text == NULL ? row->default_value : text, value))
			return refuse(error, row->key);
		values->count++;
	}
	return 0;
}

int fh_values_parse(const struct tgtkit_plugin *plugin, const struct fh_option *options, struct fh_values *values,
		    struct tgtkit_error *error)
{
	size_t limit = 1;
	int status;

	for (const struct tgtkit_option *row = plugin->options; row != NULL && row->key != NULL; row++)
		limit++;
	for (const struct fh_option *option = options; option != NULL && option->key != NULL; option++)
		limit++;
	values->count = 0;
	values->values = calloc(limit, sizeof(*values->values));
	if (values->values == NULL)
		fh_die("out of memory");
	status = parse_rows(plugin, options, values, error);
	for (const struct fh_option *option = options; status == 0 && option != NULL && option->key != NULL; option++) {
		const struct tgtkit_option *row = row_of(plugin, option->key);

		if (row == NULL)
			status = refuse(error, option->key);
		else if (row->flags & TGTKIT_OPTION_PREFIX)
			values->values[values->count++] = (struct tgtkit_value){
			    .key = option->key, .type = TGTKIT_OPTION_STRING, .is_set = 1, .as.string = option->value};
	}
	if (status != 0)
		fh_values_free(values);
	return status;
}

void fh_values_free(struct fh_values *values)
{
	free(values->values);
}
