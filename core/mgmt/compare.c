/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/compare.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/differ.h"
#include "rt/log.h"
#include "target/differ.h"

#define OBJECT_BYTES 512

struct comparison {
	json_t *results;
	const struct target_change_failure *failures;
	size_t failure_count;
};

/* The keys in which an object differs, and what it took to change the one that took most. */
struct difference {
	json_t *keys;
	enum conf_change change;
};

static void differs(void *context, const struct conf_key *key)
{
	struct difference *difference = context;

	if (difference->change < key->change)
		difference->change = key->change;
	json_array_append_new(difference->keys, json_string(key->name));
}

static void differs_live(struct difference *difference, const char *key)
{
	json_array_append_new(difference->keys, json_string(key));
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

static json_t *add_result(struct comparison *comparison, const char *result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static json_t *add_result(struct comparison *comparison, const char *result, const char *format, ...)
{
	char object[OBJECT_BYTES];
	va_list arguments;
	json_t *entry;

	va_start(arguments, format);
	vsnprintf(object, sizeof(object), format, arguments);
	va_end(arguments);
	rt_log(RT_LOG_INFO, "reload: %s: %s", object, result);
	entry = json_pack("{ssss}", "object", object, "result", result);
	json_array_append_new(comparison->results, entry);
	return entry;
}

/* Takes the keys over. */
static void describe(json_t *entry, struct difference *difference)
{
	json_object_set_new(entry, "how", json_string(conf_change_name(difference->change)));
	json_object_set_new(entry, "keys", difference->keys);
}

static void add_failures(struct comparison *comparison)
{
	for (size_t i = 0; i < comparison->failure_count; i++) {
		const struct target_change_failure *failure = &comparison->failures[i];
		const char *result = failure->awaited ? "waiting" : "failed";
		json_t *entry = failure->target
				    ? add_result(comparison, result, "target %s, LUN %u", failure->target, failure->lun)
				    : add_result(comparison, "failed", "portal group %u, portal %s",
						 failure->portal_group_tag, failure->portal);

		json_object_set_new(entry, "message",
				    json_sprintf("%s%s%s", failure->as_before ? "it stays what it was: " : "",
						 failure->reason, failure->awaited ? "; it is tried again" : ""));
	}
}

static bool has_failed(const struct comparison *comparison, const char *target, uint16_t lun)
{
	for (size_t i = 0; i < comparison->failure_count; i++)
		if (comparison->failures[i].target && comparison->failures[i].lun == lun &&
		    !strcmp(comparison->failures[i].target, target))
			return true;
	return false;
}

/* ---- Objects ---------------------------------------------------------------------------------------------------- */

static const struct target_spec *find_target(const struct target_configuration *in, const char *name)
{
	for (size_t i = 0; i < in->target_count; i++)
		if (!strcmp(in->targets[i].name, name))
			return &in->targets[i];
	return NULL;
}

static const struct portal_group_spec *find_group(const struct target_configuration *in, uint16_t tag)
{
	for (size_t i = 0; i < in->group_count; i++)
		if (in->groups[i].tag == tag)
			return &in->groups[i];
	return NULL;
}

static const struct lun_spec *find_lun(const struct target_spec *target, uint16_t number)
{
	for (size_t i = 0; target && i < target->lun_count; i++)
		if (target->luns[i].lun == number)
			return &target->luns[i];
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

static bool same_user(const struct user_spec *a, const struct user_spec *b)
{
	return same_text(a->user, b->user) && same_text(a->initiator, b->initiator) &&
	       a->secret_bytes == b->secret_bytes &&
	       (!a->secret_bytes || !memcmp(a->secret, b->secret, a->secret_bytes));
}

static bool same_authentication(const struct authentication_spec *a, const struct authentication_spec *b)
{
	bool same = a->required == b->required && a->user_count == b->user_count &&
		    a->algorithm_count == b->algorithm_count && same_user(&a->mutual, &b->mutual) &&
		    !memcmp(a->algorithms, b->algorithms, a->algorithm_count * sizeof(*a->algorithms));

	for (size_t i = 0; same && i < a->user_count; i++)
		same = same_user(&a->users[i], &b->users[i]);
	return same;
}

static bool same_rules(const struct target_spec *a, const struct target_spec *b)
{
	bool same = a->restricted == b->restricted && a->initiator_count == b->initiator_count;

	for (size_t i = 0; same && i < a->initiator_count; i++) {
		const struct initiator_spec *first = &a->initiators[i], *other = &b->initiators[i];

		same =
		    same_text(first->name, other->name) && first->read_only == other->read_only &&
		    first->only_luns == other->only_luns && first->lun_count == other->lun_count &&
		    !memcmp(&first->address, &other->address, sizeof(first->address)) &&
		    (!first->lun_count || !memcmp(first->luns, other->luns, first->lun_count * sizeof(*first->luns)));
	}
	return same;
}

static bool same_groups(const struct target_spec *a, const struct target_spec *b)
{
	return a->group_tag_count == b->group_tag_count &&
	       (!a->group_tag_count ||
		!memcmp(a->group_tags, b->group_tags, a->group_tag_count * sizeof(*a->group_tags)));
}

static bool same_portals(const struct portal_group_spec *a, const struct portal_group_spec *b)
{
	if (a->portal_count != b->portal_count)
		return false;
	for (size_t i = 0; i < a->portal_count; i++) {
		const char *first = a->portals[i].advertise, *other = b->portals[i].advertise;

		if (strcmp(a->portals[i].listen, b->portals[i].listen) ||
		    strcmp(first ? first : "", other ? other : ""))
			return false;
	}
	return true;
}

static void compare_target(struct comparison *comparison, const struct target_spec *a, const struct target_spec *b)
{
	struct difference difference = {.keys = json_array()};

	if (strcmp(a->alias, b->alias))
		differs_live(&difference, "alias");
	if (!same_groups(a, b))
		differs_live(&difference, "portal_groups");
	if (memcmp(&a->parameters, &b->parameters, sizeof(a->parameters)))
		differs_live(&difference, "parameters");
	if (!same_authentication(&a->authentication, &b->authentication))
		differs_live(&difference, "auth");
	if (!same_rules(a, b))
		differs_live(&difference, "access");
	if (json_array_size(difference.keys))
		describe(add_result(comparison, "changed", "target %s", b->name), &difference);
	else
		json_decref(difference.keys);
}

/* `size` and `create` only say how a store is made that is there already. */
static void lun_differs(void *context, const struct conf_key *key)
{
	if (strcmp(key->name, "size") && strcmp(key->name, "create"))
		differs(context, key);
}

static void compare_lun(struct comparison *comparison, const struct target_spec *target, const struct lun_spec *a,
			const struct lun_spec *b)
{
	struct difference difference = {.keys = json_array()};

	conf_find_differences(&conf_lun_table, a, b, lun_differs, &difference);
	if (!target_same_settings(a, b))
		differs(&difference, conf_table_find(&conf_lun_table, "options", strlen("options")));
	if (json_array_size(difference.keys))
		describe(add_result(comparison, "changed", "target %s, LUN %u", target->name, b->lun), &difference);
	else
		json_decref(difference.keys);
}

static void compare_luns(struct comparison *comparison, const struct target_spec *old, const struct target_spec *wanted)
{
	for (size_t i = 0; i < wanted->lun_count; i++) {
		const struct lun_spec *lun = &wanted->luns[i], *before = find_lun(old, lun->lun);

		if (has_failed(comparison, wanted->name, lun->lun))
			continue;
		if (before)
			compare_lun(comparison, wanted, before, lun);
		else
			add_result(comparison, "added", "target %s, LUN %u", wanted->name, lun->lun);
	}
	for (size_t i = 0; old && i < old->lun_count; i++)
		if (!find_lun(wanted, old->luns[i].lun) && !has_failed(comparison, wanted->name, old->luns[i].lun))
			add_result(comparison, "removed", "target %s, LUN %u", old->name, old->luns[i].lun);
}

static void compare_targets(struct comparison *comparison, const struct target_configuration *old,
			    const struct target_configuration *wanted)
{
	for (size_t i = 0; i < wanted->target_count; i++) {
		const struct target_spec *before = find_target(old, wanted->targets[i].name);

		if (before)
			compare_target(comparison, before, &wanted->targets[i]);
		else
			add_result(comparison, "added", "target %s", wanted->targets[i].name);
		compare_luns(comparison, before, &wanted->targets[i]);
	}
	for (size_t i = 0; i < old->target_count; i++)
		if (!find_target(wanted, old->targets[i].name))
			add_result(comparison, "removed", "target %s", old->targets[i].name);
}

static void compare_groups(struct comparison *comparison, const struct target_configuration *old,
			   const struct target_configuration *wanted)
{
	for (size_t i = 0; i < wanted->group_count; i++) {
		const struct portal_group_spec *group = &wanted->groups[i], *before = find_group(old, group->tag);
		struct difference difference = {0};

		if (before && same_portals(before, group) && before->alua_state == group->alua_state)
			continue;
		if (!before) {
			add_result(comparison, "added", "portal group %u", group->tag);
			continue;
		}
		difference.keys = json_array();
		if (!same_portals(before, group))
			json_array_append_new(difference.keys, json_string("portals"));
		if (before->alua_state != group->alua_state)
			json_array_append_new(difference.keys, json_string("alua_state"));
		describe(add_result(comparison, "changed", "portal group %u", group->tag), &difference);
	}
	for (size_t i = 0; i < old->group_count; i++)
		if (!find_group(wanted, old->groups[i].tag))
			add_result(comparison, "removed", "portal group %u", old->groups[i].tag);
}

static void compare_daemons(struct comparison *comparison, const struct target_configuration *old,
			    const struct target_configuration *wanted)
{
	struct difference difference = {.keys = json_array()};

	conf_find_differences(&conf_daemon_table, &old->daemon, &wanted->daemon, differs, &difference);
	if (json_array_size(difference.keys))
		describe(add_result(comparison, "changed", "daemon"), &difference);
	else
		json_decref(difference.keys);
	if (same_authentication(&old->discovery.authentication, &wanted->discovery.authentication))
		return;
	difference = (struct difference){.keys = json_pack("[s]", "auth")};
	describe(add_result(comparison, "changed", "discovery"), &difference);
}

json_t *mgmt_compare(const struct target_configuration *old, const struct target_configuration *wanted,
		     const struct target_change_failure *failures, size_t failure_count)
{
	struct comparison comparison = {.results = json_array(), .failures = failures, .failure_count = failure_count};

	compare_daemons(&comparison, old, wanted);
	compare_groups(&comparison, old, wanted);
	compare_targets(&comparison, old, wanted);
	add_failures(&comparison);
	return comparison.results;
}
