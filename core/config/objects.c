/* SPDX-License-Identifier: Apache-2.0
 *
 * The lists of the configuration file: portal groups, portals, targets, LUNs, and a plugin's own options.
 */
#include <string.h>

#include "config/readers.h"

/* The elements of a list of groups, each `size` bytes, with defaults, and its origin at the start.  NULL and a problem
 * if the setting is something else. */
static void *read_groups(struct conf_reader *reader, const struct spec_origin *owner, config_setting_t *setting,
			 const struct conf_table *table, size_t size, size_t *count)
{
	size_t length = (size_t)config_setting_length(setting);
	char *objects;

	*count = 0;
	if (!conf_is_sequence(setting)) {
		spec_problem(reader->problems, owner, config_setting_name(setting),
			     "must be a list of groups: ( { ... }, { ... } )");
		return NULL;
	}
	objects = target_arena_array(reader->arena, length, size);
	for (size_t i = 0; i < length; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
		struct spec_origin *origin = (void *)(objects + i * size);

		conf_apply_defaults(table, origin, reader->arena);
		if (config_setting_is_group(element)) {
			conf_read_group(reader, table, element, origin, origin);
			continue;
		}
		conf_origin_of(reader, element, origin);
		spec_problem(reader->problems, origin, NULL, "must be a group: { ... }");
	}
	*count = length;
	return objects;
}

_Static_assert(offsetof(struct portal_group_spec, origin) == 0, "read_groups relies on it");
_Static_assert(offsetof(struct target_spec, origin) == 0, "read_groups relies on it");
_Static_assert(offsetof(struct lun_spec, origin) == 0, "read_groups relies on it");
_Static_assert(offsetof(struct user_spec, origin) == 0, "read_groups relies on it");
_Static_assert(offsetof(struct initiator_spec, origin) == 0, "read_groups relies on it");

void conf_read_portal_groups(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			     void *object)
{
	struct target_configuration *configuration = object;

	configuration->groups = read_groups(reader, origin, setting, &conf_portal_group_table,
					    sizeof(*configuration->groups), &configuration->group_count);
}

void conf_read_targets(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		       void *object)
{
	struct target_configuration *configuration = object;

	configuration->targets = read_groups(reader, origin, setting, &conf_target_table,
					     sizeof(*configuration->targets), &configuration->target_count);
}

void conf_read_luns(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		    void *object)
{
	struct target_spec *target = object;

	target->luns = read_groups(reader, origin, setting, &conf_lun_table, sizeof(*target->luns), &target->lun_count);
}

void conf_read_initiators(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			  void *object)
{
	struct target_spec *target = object;

	target->initiators = read_groups(reader, origin, setting, &conf_initiator_table, sizeof(*target->initiators),
					 &target->initiator_count);
}

void conf_read_users(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		     void *object)
{
	struct authentication_spec *authentication = object;

	authentication->users = read_groups(reader, origin, setting, &conf_user_table, sizeof(*authentication->users),
					    &authentication->user_count);
}

/* A portal is an address, or a group with `listen` and `advertise`. */
static void read_portal(struct conf_reader *reader, config_setting_t *setting, struct portal_spec *portal)
{
	char error[CONF_ERROR_BYTES];
	const struct conf_key *listen = conf_table_find(&conf_portal_table, "listen", strlen("listen"));

	if (config_setting_is_group(setting)) {
		conf_read_group(reader, &conf_portal_table, setting, portal, &portal->origin);
		return;
	}
	conf_origin_of(reader, setting, &portal->origin);
	if (!config_setting_get_string(setting))
		spec_problem(reader->problems, &portal->origin, NULL,
			     "must be an address in quotes, or a group: { listen = \"...\"; advertise = \"...\"; }");
	else if (conf_assign(listen, portal, config_setting_get_string(setting), reader->arena, error))
		spec_problem(reader->problems, &portal->origin, NULL, "%s", error);
}

void conf_read_portals(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		       void *object)
{
	struct portal_group_spec *group = object;
	size_t count = (size_t)config_setting_length(setting);

	if (!conf_is_sequence(setting)) {
		spec_problem(reader->problems, origin, "portals", "must be a list of addresses or groups: ( ... )");
		return;
	}
	group->portals = target_arena_array(reader->arena, count, sizeof(*group->portals));
	for (size_t i = 0; i < count; i++)
		read_portal(reader, config_setting_get_elem(setting, (unsigned)i), &group->portals[i]);
	group->portal_count = count;
}

/* An array or list of whole numbers in the range of `item`'s row.  NULL and a problem if it is something else. */
static uint16_t *read_numbers(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			      const struct conf_key *item, size_t *count)
{
	const char *name = config_setting_name(setting);
	size_t length = (size_t)config_setting_length(setting);
	uint16_t *numbers = target_arena_array(reader->arena, length, sizeof(*numbers));

	*count = 0;
	if (!conf_is_sequence(setting)) {
		spec_problem(reader->problems, origin, name, "must be an array or list of %ss: [ 1, 2 ]", item->name);
		return NULL;
	}
	for (size_t i = 0; i < length; i++) {
		config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
		long long number = config_setting_get_int64(element);
		int type = config_setting_type(element);

		if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && number >= (long long)item->minimum &&
		    number <= (long long)item->maximum)
			numbers[i] = (uint16_t)number;
		else
			spec_problem(reader->problems, origin, name, "item %zu must be a %s, %llu to %llu", i,
				     item->name, (unsigned long long)item->minimum, (unsigned long long)item->maximum);
	}
	*count = length;
	return numbers;
}

void conf_read_group_tags(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			  void *object)
{
	struct target_spec *target = object;

	target->group_tags =
	    read_numbers(reader, origin, setting, conf_table_find(&conf_portal_group_table, "tag", strlen("tag")),
			 &target->group_tag_count);
}

void conf_read_rule_luns(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			 void *object)
{
	struct initiator_spec *rule = object;

	rule->luns = read_numbers(reader, origin, setting, conf_table_find(&conf_lun_table, "lun", strlen("lun")),
				  &rule->lun_count);
	rule->only_luns = true;
	if (rule->luns && rule->lun_count == 0)
		spec_problem(reader->problems, origin, "luns", "is empty: leave it away for all LUNs of the target");
}

/* Keys that this table does not know, with the text of their values; `inner` is the group's own origin, then. */
static const struct store_setting *read_settings(struct conf_reader *reader, const struct spec_origin *origin,
						 config_setting_t *setting, struct spec_origin *inner)
{
	struct store_setting *settings;

	if (!config_setting_is_group(setting)) {
		spec_problem(reader->problems, origin, config_setting_name(setting), "must be a group: { ... }");
		return NULL;
	}
	conf_origin_of(reader, setting, inner);
	settings = target_arena_array(reader->arena, inner->key_count, sizeof(*settings));
	for (size_t i = 0; i < inner->key_count; i++) {
		settings[i].key = inner->keys[i].key;
		if (!conf_scalar_text(reader, config_setting_get_elem(setting, (unsigned)i), &settings[i].value)) {
			spec_problem(reader->problems, inner, settings[i].key,
				     "must be a single value: a string, a whole number, true or false");
			settings[i].value = "";
		}
	}
	return settings;
}

/* The plugin's own options stay text until its schema is known. */
void conf_read_options(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
		       void *object)
{
	struct lun_spec *lun = object;

	lun->settings = read_settings(reader, origin, setting, &lun->options_origin);
	lun->setting_count = lun->options_origin.key_count;
}

void conf_read_option_files(struct conf_reader *reader, const struct spec_origin *origin, config_setting_t *setting,
			    void *object)
{
	struct lun_spec *lun = object;

	lun->option_files = read_settings(reader, origin, setting, &lun->option_files_origin);
	lun->option_file_count = lun->option_files_origin.key_count;
}
