/* SPDX-License-Identifier: Apache-2.0 */
#include "config/state.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static config_setting_t *find(config_setting_t *list, bool (*matches)(const config_setting_t *element, const void *key),
			      const void *key)
{
	for (int i = 0; list && i < config_setting_length(list); i++) {
		config_setting_t *element = config_setting_get_elem(list, (unsigned)i);

		if (matches(element, key))
			return element;
	}
	return NULL;
}

static bool has_name(const config_setting_t *element, const void *key)
{
	const char *name;

	return config_setting_lookup_string(element, "name", &name) && !strcasecmp(name, key);
}

static bool has_number(const config_setting_t *element, const char *member, uint16_t number)
{
	int value;

	return config_setting_lookup_int(element, member, &value) && value == number;
}

static bool has_lun(const config_setting_t *element, const void *key)
{
	return has_number(element, "lun", *(const uint16_t *)key);
}

static bool has_tag(const config_setting_t *element, const void *key)
{
	return has_number(element, "tag", *(const uint16_t *)key);
}

config_setting_t *conf_state_target(const config_t *state, const char *name)
{
	return find(config_lookup(state, "targets"), has_name, name);
}

config_setting_t *conf_state_lun(const config_setting_t *target, uint16_t lun)
{
	return find(config_setting_get_member(target, "luns"), has_lun, &lun);
}

config_setting_t *conf_state_group(const config_t *state, uint16_t tag)
{
	return find(config_lookup(state, "portal_groups"), has_tag, &tag);
}

void conf_state_remove(config_setting_t *element)
{
	config_setting_remove_elem(config_setting_parent(element), (unsigned)config_setting_index(element));
}

config_setting_t *conf_state_discovery(const config_t *state)
{
	config_setting_t *group = config_lookup(state, "discovery");

	return group ? group : config_setting_add(config_root_setting(state), "discovery", CONFIG_TYPE_GROUP);
}

void conf_state_tidy_discovery(const config_t *state)
{
	config_setting_t *group = config_lookup(state, "discovery");
	config_setting_t *users = group ? config_setting_get_member(group, "users") : NULL;
	const char *auth;

	if (users && !config_setting_length(users))
		config_setting_remove(group, "users");
	if (group && config_setting_lookup_string(group, "auth", &auth) && !strcmp(auth, "none"))
		config_setting_remove(group, "auth");
	if (group && !config_setting_length(group))
		config_setting_remove(config_root_setting(state), "discovery");
}

void conf_state_forget_creation(const config_t *state)
{
	config_setting_t *targets = config_lookup(state, "targets");

	for (int i = 0; targets && i < config_setting_length(targets); i++) {
		config_setting_t *target = config_setting_get_elem(targets, (unsigned)i);
		config_setting_t *luns = config_setting_get_member(target, "luns");

		for (int k = 0; luns && k < config_setting_length(luns); k++) {
			config_setting_t *lun = config_setting_get_elem(luns, (unsigned)k);

			config_setting_remove(lun, "create");
			config_setting_remove(lun, "size");
		}
	}
}
