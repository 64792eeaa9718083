/* SPDX-License-Identifier: Apache-2.0 */
#include "config/readers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *path_of(struct conf_reader *reader, config_setting_t *setting)
{
	config_setting_t *parent = config_setting_parent(setting);
	const char *prefix;

	if (!parent)
		return "";
	prefix = path_of(reader, parent);
	if (!config_setting_name(setting))
		return target_arena_printf(reader->arena, "%s[%d]", prefix, config_setting_index(setting));
	return target_arena_printf(reader->arena, "%s%s%s", prefix, *prefix ? "." : "", config_setting_name(setting));
}

const char *conf_file_name(struct conf_reader *reader, const char *name)
{
	if (!name)
		return NULL;
	if (*name == '/' || !strcmp(name, reader->file))
		return target_arena_strdup(reader->arena, name);
	return target_arena_printf(reader->arena, "%s/%s", reader->include_dir, name);
}

static const char *file_of(struct conf_reader *reader, const config_setting_t *setting)
{
	const char *name = config_setting_source_file(setting);

	return name ? conf_file_name(reader, name) : reader->file;
}

bool conf_is_sequence(const config_setting_t *setting)
{
	return config_setting_is_array(setting) || config_setting_is_list(setting);
}

void conf_origin_of(struct conf_reader *reader, config_setting_t *setting, struct spec_origin *origin)
{
	size_t count = config_setting_is_group(setting) ? (size_t)config_setting_length(setting) : 0;
	struct spec_key_line *keys = target_arena_array(reader->arena, count, sizeof(*keys));

	for (size_t i = 0; i < count; i++) {
		config_setting_t *child = config_setting_get_elem(setting, (unsigned)i);

		keys[i] = (struct spec_key_line){
		    .key = target_arena_strdup(reader->arena, config_setting_name(child)),
		    .file = file_of(reader, child),
		    .line = config_setting_source_line(child),
		};
	}
	*origin = (struct spec_origin){
	    .file = file_of(reader, setting),
	    .line = config_setting_source_line(setting),
	    .name = path_of(reader, setting),
	    .keys = keys,
	    .key_count = count,
	};
}

bool conf_scalar_text(struct conf_reader *reader, config_setting_t *setting, const char **text)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		*text = target_arena_printf(reader->arena, "%lld", config_setting_get_int64(setting));
		return true;
	case CONFIG_TYPE_BOOL:
		*text = config_setting_get_bool(setting) ? "true" : "false";
		return true;
	case CONFIG_TYPE_STRING:
		*text = target_arena_strdup(reader->arena, config_setting_get_string(setting));
		return true;
	default:
		return false;
	}
}

/* What a key of that type wants to see, or NULL if the setting is of such a type. */
static const char *wrong_type(const struct conf_key *key, const config_setting_t *setting)
{
	int type = config_setting_type(setting);
	bool is_integer = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
	bool is_string = type == CONFIG_TYPE_STRING;

	switch (key->type) {
	case CONF_BOOL:
		return type == CONFIG_TYPE_BOOL ? NULL : "must be true or false, without quotes";
	case CONF_U16:
	case CONF_U32:
		return is_integer ? NULL : "must be a whole number, without quotes";
	case CONF_SIZE:
	case CONF_SIZE32:
		return is_integer || is_string ? NULL : "must be a size: a number of bytes, or a string like \"10G\"";
	case CONF_STRING:
		return is_string ? NULL : "must be a string, in quotes";
	case CONF_STRINGS:
		return conf_is_sequence(setting) ? NULL : "must be an array or a list of strings";
	case CONF_PARSED:
		return is_string || conf_is_sequence(setting) ? NULL
							      : "must be a string, or an array or list of strings";
	case CONF_GROUP:
		return config_setting_is_group(setting) ? NULL : "must be a group: { ... }";
	case CONF_CUSTOM:
	case CONF_UNAVAILABLE:
		break;
	}
	return NULL;
}

/* The strings of an array or list.  NULL and a problem if one is something else. */
static const char **read_strings(struct conf_reader *reader, const struct spec_origin *origin, const char *key,
				 config_setting_t *setting, size_t *count)
{
	size_t length = (size_t)config_setting_length(setting);
	const char **items = target_arena_array(reader->arena, length + 1, sizeof(*items));

	for (size_t i = 0; i < length; i++) {
		const char *text = config_setting_get_string_elem(setting, (int)i);

		if (!text) {
			spec_problem(reader->problems, origin, key, "item %zu must be a string, in quotes", i);
			return NULL;
		}
		items[i] = target_arena_strdup(reader->arena, text);
	}
	*count = length;
	return items;
}

static const char *join(struct conf_reader *reader, const char *const *items, size_t count)
{
	const char *text = "";

	for (size_t i = 0; i < count; i++)
		text = target_arena_printf(reader->arena, "%s%s%s", text, i ? "," : "", items[i]);
	return text;
}

static void read_scalar(struct conf_reader *reader, const struct spec_origin *origin, const struct conf_key *key,
			config_setting_t *setting, void *object)
{
	char error[CONF_ERROR_BYTES];
	const char **items, *text;
	size_t count;

	if (!conf_scalar_text(reader, setting, &text)) {
		if (key->type == CONF_UNAVAILABLE && config_setting_is_aggregate(setting) &&
		    config_setting_length(setting) == 0)
			return;
		if (key->type == CONF_UNAVAILABLE) {
			spec_problem(reader->problems, origin, key->name, "is not available in this version");
			return;
		}
		items = read_strings(reader, origin, key->name, setting, &count);
		if (!items)
			return;
		text = join(reader, items, count);
	}
	if (conf_assign(key, object, text, reader->arena, error))
		spec_problem(reader->problems, origin, key->name, "%s", error);
}

static void read_string_list(struct conf_reader *reader, const struct spec_origin *origin, const struct conf_key *key,
			     config_setting_t *setting, void *object)
{
	size_t count;
	const char **items = read_strings(reader, origin, key->name, setting, &count);

	if (!items)
		return;
	*(const char ***)((char *)object + key->offset) = items;
	*(size_t *)((char *)object + key->count_offset) = count;
}

static void read_key(struct conf_reader *reader, const struct spec_origin *origin, const struct conf_key *key,
		     config_setting_t *setting, void *object)
{
	const char *wrong = wrong_type(key, setting);
	struct spec_origin unused;

	if (wrong) {
		spec_problem(reader->problems, origin, key->name, "%s", wrong);
		return;
	}
	switch (key->type) {
	case CONF_GROUP:
		conf_read_group(reader, key->group, setting, (char *)object + key->offset,
				key->origin_offset ? (void *)((char *)object + key->origin_offset) : &unused);
		break;
	case CONF_CUSTOM:
		key->read(reader, origin, setting, (char *)object + key->offset);
		break;
	case CONF_STRINGS:
		read_string_list(reader, origin, key, setting, object);
		break;
	default:
		read_scalar(reader, origin, key, setting, object);
	}
}

static const char *known_keys(struct conf_reader *reader, const struct conf_table *table)
{
	const char *text = "";

	for (size_t i = 0; i < table->count; i++)
		text = target_arena_printf(reader->arena, "%s%s%s", text, i ? ", " : "", table->keys[i].name);
	return text;
}

void conf_read_group(struct conf_reader *reader, const struct conf_table *table, config_setting_t *setting,
		     void *object, struct spec_origin *origin)
{
	conf_origin_of(reader, setting, origin);
	for (size_t i = 0; i < origin->key_count; i++) {
		const char *name = origin->keys[i].key;
		const struct conf_key *key = conf_table_find(table, name, strlen(name));

		if (key)
			read_key(reader, origin, key, config_setting_get_elem(setting, (unsigned)i), object);
		else
			spec_problem(reader->problems, origin, name, "unknown key; %s knows: %s", table->name,
				     known_keys(reader, table));
	}
	for (size_t i = 0; i < table->count; i++)
		if (table->keys[i].required && !spec_origin_find(origin, table->keys[i].name))
			spec_problem(reader->problems, origin, table->keys[i].name, "is missing: %s needs it",
				     table->name);
}
