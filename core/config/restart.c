/* SPDX-License-Identifier: Apache-2.0 */
#include "config/restart.h"

#include <string.h>

#include "config/keys.h"

static void keep_group(const struct conf_table *table, const void *in_force, void *object,
		       struct target_configuration *configuration, struct spec_problems *report);

static size_t size_of(const struct conf_key *key)
{
	switch (key->type) {
	case CONF_BOOL:
		return sizeof(bool);
	case CONF_SIZE:
		return sizeof(uint64_t);
	default:
		return sizeof(uint32_t);
	}
}

static bool keep_string(const char *in_force, const char **value, struct target_arena *arena)
{
	if (!strcmp(in_force, *value))
		return true;
	*value = target_arena_strdup(arena, in_force);
	return false;
}

static bool keep_number(const void *in_force, void *value, size_t size)
{
	if (!memcmp(in_force, value, size))
		return true;
	memcpy(value, in_force, size);
	return false;
}

static void keep(const struct conf_key *key, const void *in_force, void *object,
		 struct target_configuration *configuration, struct spec_problems *report)
{
	const void *old = (const char *)in_force + key->offset;
	void *value = (char *)object + key->offset;
	bool same;

	if (key->type == CONF_GROUP) {
		keep_group(key->group, old, value, configuration, report);
		return;
	}
	if (key->type == CONF_STRING)
		same = keep_string(*(const char *const *)old, value, &configuration->arena);
	else
		same = keep_number(old, value, size_of(key));
	if (!same)
		spec_problem(report, &configuration->daemon.origin, key->name,
			     "takes effect when the daemon is started again; until then the old value stays");
}

static void keep_group(const struct conf_table *table, const void *in_force, void *object,
		       struct target_configuration *configuration, struct spec_problems *report)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->keys[i].change == CONF_RESTART && table->keys[i].type != CONF_UNAVAILABLE)
			keep(&table->keys[i], in_force, object, configuration, report);
}

void conf_keep_until_restart(const struct daemon_spec *in_force, struct target_configuration *configuration,
			     struct spec_problems *report)
{
	keep_group(&conf_daemon_table, in_force, &configuration->daemon, configuration, report);
}
