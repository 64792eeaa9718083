/* SPDX-License-Identifier: Apache-2.0
 *
 * The administrator's configuration, read anew: what became of each object.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/answer.h"
#include "mgmt/operation.h"
#include "mgmt/routes.h"
#include "rt/log.h"

static void __attribute__((format(printf, 3, 4)))
add_result(json_t *results, const char *result, const char *format, ...)
{
	char object[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(object, sizeof(object), format, arguments);
	va_end(arguments);
	rt_log(RT_LOG_INFO, "reload: %s: %s", object, result);
	json_array_append_new(results, json_pack("{ssss}", "object", object, "result", result));
}

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

static bool same_target(const struct target_spec *a, const struct target_spec *b)
{
	return !strcmp(a->alias, b->alias) && !memcmp(&a->parameters, &b->parameters, sizeof(a->parameters)) &&
	       same_authentication(&a->authentication, &b->authentication) && same_rules(a, b) &&
	       a->group_tag_count == b->group_tag_count &&
	       !memcmp(a->group_tags, b->group_tags, a->group_tag_count * sizeof(*a->group_tags));
}

static bool same_group(const struct portal_group_spec *a, const struct portal_group_spec *b)
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

static bool same_lun(const struct lun_spec *a, const struct lun_spec *b)
{
	return !strcmp(a->unit->name, b->unit->name) && a->read_only == b->read_only && a->online == b->online;
}

static void compare_luns(json_t *results, const struct target_spec *old, const struct target_spec *new)
{
	for (size_t i = 0; i < new->lun_count; i++) {
		const struct lun_spec *before = find_lun(old, new->luns[i].lun);

		if (!before)
			add_result(results, "added", "target %s, LUN %u", new->name, new->luns[i].lun);
		else if (!same_lun(before, &new->luns[i]))
			add_result(results, "changed", "target %s, LUN %u", new->name, new->luns[i].lun);
	}
	for (size_t i = 0; old && i < old->lun_count; i++)
		if (!find_lun(new, old->luns[i].lun))
			add_result(results, "removed", "target %s, LUN %u", old->name, old->luns[i].lun);
}

static void compare_targets(json_t *results, const struct target_configuration *old,
			    const struct target_configuration *new)
{
	for (size_t i = 0; i < new->target_count; i++) {
		const struct target_spec *before = find_target(old, new->targets[i].name);

		if (!before)
			add_result(results, "added", "target %s", new->targets[i].name);
		else if (!same_target(before, &new->targets[i]))
			add_result(results, "changed", "target %s", new->targets[i].name);
		compare_luns(results, before, &new->targets[i]);
	}
	for (size_t i = 0; i < old->target_count; i++)
		if (!find_target(new, old->targets[i].name))
			add_result(results, "removed", "target %s", old->targets[i].name);
}

static void compare_groups(json_t *results, const struct target_configuration *old,
			   const struct target_configuration *new)
{
	for (size_t i = 0; i < new->group_count; i++) {
		const struct portal_group_spec *before = find_group(old, new->groups[i].tag);

		if (!before)
			add_result(results, "added", "portal group %u", new->groups[i].tag);
		else if (!same_group(before, &new->groups[i]))
			add_result(results, "changed", "portal group %u", new->groups[i].tag);
	}
	for (size_t i = 0; i < old->group_count; i++)
		if (!find_group(new, old->groups[i].tag))
			add_result(results, "removed", "portal group %u", old->groups[i].tag);
}

static void reloaded(struct mgmt_operation *operation)
{
	const struct target_configuration *old = operation->old,
					  *new = target_model_configuration(operation->mgmt->model);
	json_t *results = json_array();
	enum rt_log_level level;

	if (!same_authentication(&old->discovery.authentication, &new->discovery.authentication))
		add_result(results, "changed", "discovery");
	compare_groups(results, old, new);
	compare_targets(results, old, new);
	/* A level that was set at run time stays as long as the file says what it said. */
	if (strcmp(old->daemon.log_level, new->daemon.log_level) &&
	    !rt_log_level_parse(new->daemon.log_level, &level)) {
		rt_log_set_level(level);
		add_result(results, "changed", "daemon.log_level");
	}
	rt_log(RT_LOG_INFO, "reload: done, %zu objects differ", json_array_size(results));
	if (operation->request)
		mgmt_answer_json(operation->request, 200,
				 json_pack("{sOsO}", "results", results, "warnings", operation->warnings));
	json_decref(results);
}

static void start(struct mgmt *mgmt, struct mgmt_request *request)
{
	struct mgmt_operation *operation = mgmt_operation_create(mgmt, request);

	if (!operation)
		return;
	operation->answer = reloaded;
	mgmt_operation_start(operation);
}

void mgmt_reload(struct mgmt *mgmt)
{
	start(mgmt, NULL);
}

void mgmt_post_config(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	(void)path;
	if (mgmt_request_query(request, "reload"))
		start(mgmt, request);
	else
		mgmt_answer_error(request, 400, "bad_query", "what is to be done is missing: POST /v1/config?reload");
}
