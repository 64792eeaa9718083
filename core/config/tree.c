/* SPDX-License-Identifier: Apache-2.0 */
#include "config/tree.h"

#include <stdio.h>
#include <stdlib.h>

char *conf_tree_text(const config_t *tree, struct target_arena *arena)
{
	char *text = NULL, *kept;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	if (!stream)
		return NULL;
	config_write(tree, stream);
	if (fclose(stream)) {
		free(text);
		return NULL;
	}
	if (!arena)
		return text;
	kept = target_arena_strdup(arena, text);
	free(text);
	return kept;
}

static void copy_value(config_setting_t *to, const config_setting_t *from)
{
	config_setting_set_format(to, config_setting_get_format(from));
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_INT:
		config_setting_set_int(to, config_setting_get_int(from));
		break;
	case CONFIG_TYPE_INT64:
		config_setting_set_int64(to, config_setting_get_int64(from));
		break;
	case CONFIG_TYPE_FLOAT:
		config_setting_set_float(to, config_setting_get_float(from));
		break;
	case CONFIG_TYPE_BOOL:
		config_setting_set_bool(to, config_setting_get_bool(from));
		break;
	case CONFIG_TYPE_STRING:
		config_setting_set_string(to, config_setting_get_string(from));
		break;
	default:
		break;
	}
}

config_setting_t *conf_tree_copy(config_setting_t *to, const config_setting_t *from)
{
	const char *name = config_setting_is_group(to) ? config_setting_name(from) : NULL;
	config_setting_t *copy = config_setting_add(to, name, config_setting_type(from));

	if (!copy)
		return NULL;
	if (!config_setting_is_aggregate(from)) {
		copy_value(copy, from);
		return copy;
	}
	for (int i = 0; i < config_setting_length(from); i++)
		if (!conf_tree_copy(copy, config_setting_get_elem(from, (unsigned)i)))
			return NULL;
	return copy;
}

config_setting_t *conf_tree_list(config_setting_t *group, const char *name)
{
	config_setting_t *list = config_setting_get_member(group, name);

	return list ? list : config_setting_add(group, name, CONFIG_TYPE_LIST);
}
