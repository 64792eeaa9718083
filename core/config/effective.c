/* SPDX-License-Identifier: Apache-2.0 */
#include "config/effective.h"

#include <errno.h>
#include <string.h>

#include "config/keys.h"
#include "config/state.h"
#include "config/tree.h"

/* ---- The daemon group, by its table ----------------------------------------------------------------------------- */

static int write_group(config_setting_t *to, const struct conf_table *table, const void *object);

static int write_strings(config_setting_t *to, const struct conf_key *key, const void *object)
{
	const char *const *items = *(const char *const *const *)((const char *)object + key->offset);
	size_t count = *(const size_t *)((const char *)object + key->count_offset);

	for (size_t i = 0; i < count; i++) {
		config_setting_t *item = config_setting_add(to, NULL, CONFIG_TYPE_STRING);

		if (!item || !config_setting_set_string(item, items[i]))
			return -ENOMEM;
	}
	return 0;
}

static int write_number(config_setting_t *to, const char *name, uint64_t value)
{
	config_setting_t *setting =
	    config_setting_add(to, name, value <= INT32_MAX ? CONFIG_TYPE_INT : CONFIG_TYPE_INT64);

	if (!setting)
		return -ENOMEM;
	if (value <= INT32_MAX)
		config_setting_set_int(setting, (int)value);
	else
		config_setting_set_int64(setting, (long long)value);
	return 0;
}

static int write_string(config_setting_t *to, const char *name, const char *text)
{
	config_setting_t *setting = config_setting_add(to, name, CONFIG_TYPE_STRING);

	return setting && config_setting_set_string(setting, text) ? 0 : -ENOMEM;
}

static int write_aggregate(config_setting_t *to, const struct conf_key *key, const void *object)
{
	bool is_group = key->type == CONF_GROUP;
	config_setting_t *setting = config_setting_add(to, key->name, is_group ? CONFIG_TYPE_GROUP : CONFIG_TYPE_LIST);

	if (!setting)
		return -ENOMEM;
	return is_group ? write_group(setting, key->group, (const char *)object + key->offset)
			: write_strings(setting, key, object);
}

static int write_key(config_setting_t *to, const struct conf_key *key, const void *object)
{
	const void *value = (const char *)object + key->offset;
	config_setting_t *setting;
	char text[CONF_ERROR_BYTES];

	switch (key->type) {
	case CONF_BOOL:
		setting = config_setting_add(to, key->name, CONFIG_TYPE_BOOL);
		return setting && config_setting_set_bool(setting, *(const bool *)value) ? 0 : -ENOMEM;
	case CONF_U16:
		return write_number(to, key->name, *(const uint16_t *)value);
	case CONF_U32:
	case CONF_SIZE32:
		return write_number(to, key->name, *(const uint32_t *)value);
	case CONF_SIZE:
		return write_number(to, key->name, *(const uint64_t *)value);
	case CONF_STRING:
		return write_string(to, key->name, *(const char *const *)value);
	case CONF_PARSED:
		key->format(key, object, text);
		return write_string(to, key->name, text);
	case CONF_STRINGS:
	case CONF_GROUP:
		return write_aggregate(to, key, object);
	case CONF_CUSTOM:
	case CONF_UNAVAILABLE:
		break;
	}
	return 0;
}

static int write_group(config_setting_t *to, const struct conf_table *table, const void *object)
{
	int status = 0;

	for (size_t i = 0; i < table->count && !status; i++)
		status = write_key(to, &table->keys[i], object);
	return status;
}

/* ---- Objects, as they were given -------------------------------------------------------------------------------- */

static void redact_lun(const struct lun_spec *lun, config_setting_t *setting)
{
	config_setting_t *options = config_setting_get_member(setting, "options");

	for (int i = options ? config_setting_length(options) : 0; i-- > 0;) {
		const char *key = config_setting_name(config_setting_get_elem(options, (unsigned)i));

		if (store_option_is_secret(lun->unit->plugin, key))
			config_setting_remove_elem(options, (unsigned)i);
	}
}

static void redact(const struct target_configuration *configuration, config_t *tree)
{
	for (size_t i = 0; i < configuration->target_count; i++) {
		const struct target_spec *target = &configuration->targets[i];
		config_setting_t *setting = conf_state_target(tree, target->name);

		for (size_t k = 0; setting && k < target->lun_count; k++) {
			config_setting_t *lun = conf_state_lun(setting, target->luns[k].lun);

			if (lun)
				redact_lun(&target->luns[k], lun);
		}
	}
}

static int add_made_discovery(const config_t *made, config_t *tree)
{
	const config_setting_t *discovery = config_lookup(made, "discovery");

	if (!discovery)
		return 0;
	if (config_lookup(tree, "discovery"))
		config_setting_remove(config_root_setting(tree), "discovery");
	return conf_tree_copy(config_root_setting(tree), discovery) ? 0 : -ENOMEM;
}

/* The API's own come after, and where both have one, the API's counts. */
static int add_made_ones(const config_t *made, config_t *tree)
{
	static const char *const names[] = {"portal_groups", "targets"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		config_setting_t *from = config_lookup(made, names[i]), *to;

		if (!from)
			continue;
		to = conf_tree_list(config_root_setting(tree), names[i]);
		for (int k = 0; k < config_setting_length(from); k++) {
			const config_setting_t *element = config_setting_get_elem(from, (unsigned)k);
			config_setting_t *shadowed = NULL;
			const char *name;
			int tag;

			if (config_setting_lookup_string(element, "name", &name))
				shadowed = conf_state_target(tree, name);
			else if (config_setting_lookup_int(element, "tag", &tag))
				shadowed = conf_state_group(tree, (uint16_t)tag);
			if (shadowed)
				conf_state_remove(shadowed);
			if (!to || !conf_tree_copy(to, element))
				return -ENOMEM;
		}
	}
	return 0;
}

/* Said in full where the file left it to the default, as another group may stand beside it now. */
static int add_default_groups(const struct target_configuration *configuration, config_t *tree)
{
	config_setting_t *list = conf_tree_list(config_root_setting(tree), "portal_groups");

	for (size_t i = 0; i < configuration->group_count; i++) {
		const struct portal_group_spec *group = &configuration->groups[i];
		config_setting_t *setting, *portals;

		if (conf_state_group(tree, group->tag))
			continue;
		setting = list ? config_setting_add(list, NULL, CONFIG_TYPE_GROUP) : NULL;
		if (!setting || write_number(setting, "tag", group->tag))
			return -ENOMEM;
		portals = config_setting_add(setting, "portals", CONFIG_TYPE_LIST);
		for (size_t k = 0; portals && k < group->portal_count; k++) {
			config_setting_t *portal = config_setting_add(portals, NULL, CONFIG_TYPE_STRING);

			if (!portal || !config_setting_set_string(portal, group->portals[k].listen))
				return -ENOMEM;
		}
	}
	return 0;
}

static int write_all(const struct target_configuration *configuration, const config_t *given, const config_t *made,
		     config_t *tree)
{
	config_setting_t *root = config_root_setting(tree), *from = config_root_setting(given), *daemon;
	int status;

	daemon = config_setting_add(root, "daemon", CONFIG_TYPE_GROUP);
	if (!daemon || write_group(daemon, &conf_daemon_table, &configuration->daemon))
		return -ENOMEM;
	for (int i = 0; i < config_setting_length(from); i++) {
		config_setting_t *setting = config_setting_get_elem(from, (unsigned)i);

		if (strcmp(config_setting_name(setting), "daemon") && !conf_tree_copy(root, setting))
			return -ENOMEM;
	}
	status = add_default_groups(configuration->base ? configuration->base : configuration, tree);
	if (!status)
		status = add_made_discovery(made, tree);
	if (!status)
		status = add_made_ones(made, tree);
	if (!status)
		redact(configuration, tree);
	return status;
}

int conf_effective(const struct target_configuration *configuration, config_t *tree)
{
	const struct target_configuration *base = configuration->base ? configuration->base : configuration;
	config_t given, made;
	int status = -ENOMEM;

	config_init(&given);
	config_init(&made);
	if (config_read_string(&given, base->text ? base->text : "") &&
	    config_read_string(&made, configuration->base && configuration->text ? configuration->text : ""))
		status = write_all(configuration, &given, &made, tree);
	config_destroy(&given);
	config_destroy(&made);
	return status;
}
