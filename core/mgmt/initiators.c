/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of a target's access list.  One is told from the others by its pattern of names and its range of addresses.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/tree.h"
#include "mgmt/access.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/routes.h"
#include "mgmt/views.h"

#define RANGE_BYTES (INET6_ADDRSTRLEN + 4)

/* ---- Views ------------------------------------------------------------------------------------------------------ */

static const char *format_range(const struct iscsi_address_range *range, char text[static RANGE_BYTES])
{
	size_t length;

	*text = '\0';
	if (!range->family)
		return text;
	inet_ntop(range->family, range->bytes, text, INET6_ADDRSTRLEN);
	length = strlen(text);
	if (range->prefix_bits != (range->family == AF_INET ? 32 : 128))
		snprintf(text + length, RANGE_BYTES - length, "/%u", range->prefix_bits);
	return text;
}

static json_t *rule_view(const struct initiator_spec *rule)
{
	char range[RANGE_BYTES];
	json_t *luns = rule->only_luns ? json_array() : json_string("all");

	for (size_t i = 0; rule->only_luns && i < rule->lun_count; i++)
		json_array_append_new(luns, json_integer(rule->luns[i]));
	return json_pack("{sssssosb}", "name", rule->name, "address", format_range(&rule->address, range), "luns", luns,
			 "read_only", (int)rule->read_only);
}

/* `in_force`: false where the target's access is any, so that nobody asks the rules. */
static json_t *rules_view(const struct target_spec *target)
{
	json_t *list = json_array();

	for (size_t i = 0; i < target->initiator_count; i++)
		json_array_append_new(list, rule_view(&target->initiators[i]));
	return json_pack("{sssbso}", "access", target->restricted ? "list" : "any", "in_force", (int)target->restricted,
			 "initiators", list);
}

void mgmt_get_initiators(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_spec *target = mgmt_find_target(mgmt, request, path->parts[2]);

	if (target)
		mgmt_answer_json(request, 200, rules_view(target));
}

static void answer_made(struct mgmt_operation *operation)
{
	mgmt_answer_json(operation->request, 201, rules_view(mgmt_access_changed(operation)));
}

static void answer_changed(struct mgmt_operation *operation)
{
	mgmt_answer_json(operation->request, 200, rules_view(mgmt_access_changed(operation)));
}

/* ---- Finding one ------------------------------------------------------------------------------------------------ */

static bool is_rule(const struct initiator_spec *rule, const char *name, const struct iscsi_address_range *range)
{
	return !strcasecmp(rule->name, name) && !memcmp(&rule->address, range, sizeof(*range));
}

/* What the object calls a rule: name "*" and any address where it says nothing.  false: answered. */
static bool read_identity(struct mgmt_operation *operation, const char **name, struct iscsi_address_range *range)
{
	json_t *given_name = json_object_get(operation->body, "name");
	json_t *given_address = json_object_get(operation->body, "address");
	const char *address = given_address ? json_string_value(given_address) : "";

	*range = (struct iscsi_address_range){0};
	*name = given_name ? json_string_value(given_name) : "*";
	if (*name && **name && address && (!*address || !iscsi_address_range_parse(address, range)))
		return true;
	if (!*name || !**name)
		mgmt_answer_error(
		    operation->request, 422, "invalid",
		    "name must be an initiator's name or a pattern of names, like iqn.1993-08.org.debian:*");
	else
		mgmt_answer_error(operation->request, 422, "invalid",
				  "address must be an address or a range of them: 10.0.0.1, 10.0.0.0/8, 2001:db8::/32, "
				  "with no bit set after the prefix");
	return false;
}

/* Its index; -1: there is none. */
static int find_rule(const struct target_spec *target, const char *name, const struct iscsi_address_range *range)
{
	for (size_t i = 0; i < target->initiator_count; i++)
		if (is_rule(&target->initiators[i], name, range))
			return (int)i;
	return -1;
}

/* The rule that the body names, in the tree.  NULL: answered. */
static config_setting_t *find_setting(struct mgmt_operation *operation)
{
	struct iscsi_address_range range;
	config_setting_t *setting;
	const struct target_spec *target = mgmt_access_target(operation, &setting);
	char text[RANGE_BYTES];
	const char *name;
	int index;

	if (!target || !read_identity(operation, &name, &range))
		return NULL;
	index = find_rule(target, name, &range);
	if (index >= 0)
		return config_setting_get_elem(config_setting_get_member(setting, "initiators"), (unsigned)index);
	mgmt_answer_error(operation->request, 404, "not_found",
			  "target %s has no rule for initiator %.300s%s%s; see 'tgtkit initiator list'", target->name,
			  name, range.family ? " at address " : " at any address", format_range(&range, text));
	return NULL;
}

/* ---- A new rule ------------------------------------------------------------------------------------------------- */

/* Takes "position" out of the body.  -1: answered. */
static int take_position(struct mgmt_operation *operation, const struct target_spec *target)
{
	json_t *given = json_object_get(operation->body, "position");
	json_int_t position = given ? json_integer_value(given) : (json_int_t)target->initiator_count;

	if ((given && !json_is_integer(given)) || position < 0 || position > (json_int_t)target->initiator_count) {
		mgmt_answer_error(operation->request, 422, "invalid",
				  "position must be a number from 0 (asked first) to %zu, as there are %zu rules",
				  target->initiator_count, target->initiator_count);
		return -1;
	}
	json_object_del(operation->body, "position");
	return (int)position;
}

/* The last one comes to stand at `position`: those after it are written again behind it. */
static bool move_last_to(config_setting_t *list, int position)
{
	for (int rest = config_setting_length(list) - 1 - position; rest > 0; rest--) {
		if (!conf_tree_copy(list, config_setting_get_elem(list, (unsigned)position)))
			return false;
		config_setting_remove_elem(list, (unsigned)position);
	}
	return true;
}

static bool edit_allow(struct mgmt_operation *operation)
{
	char error[MGMT_CONVERT_ERROR_BYTES] = "out of memory";
	struct iscsi_address_range range;
	config_setting_t *setting, *list;
	const struct target_spec *target = mgmt_access_target(operation, &setting);
	const char *name;
	int position;

	if (!target || !read_identity(operation, &name, &range) || (position = take_position(operation, target)) < 0)
		return false;
	if (find_rule(target, name, &range) >= 0) {
		mgmt_answer_error(operation->request, 409, "exists",
				  "target %s has a rule for initiator %s at this address already; change it "
				  "('tgtkit initiator allow --replace')",
				  target->name, name);
		return false;
	}
	list = conf_tree_list(setting, "initiators");
	if (list && mgmt_json_to_setting(list, NULL, operation->body, error) && move_last_to(list, position))
		return true;
	mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
	return false;
}

void mgmt_allow_initiator(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	mgmt_access_start(mgmt, request, path, mgmt_body(request), edit_allow, answer_made);
}

/* ---- Another mask ----------------------------------------------------------------------------------------------- */

static bool set_key(struct mgmt_operation *operation, config_setting_t *rule, const char *key)
{
	json_t *value = json_object_get(operation->body, key);
	char error[MGMT_CONVERT_ERROR_BYTES] = "out of memory";
	bool is_all = json_is_string(value) && !strcmp(json_string_value(value), "all");

	if (!value)
		return true;
	config_setting_remove(rule, key);
	if (is_all || mgmt_json_to_setting(rule, key, value, error))
		return true;
	mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
	return false;
}

static bool edit_change(struct mgmt_operation *operation)
{
	config_setting_t *rule = find_setting(operation);

	return rule && set_key(operation, rule, "luns") && set_key(operation, rule, "read_only");
}

static const char *const identity[] = {"name", "address", NULL};

void mgmt_change_initiator(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	static const char *const keys[] = {"luns", "read_only", NULL};
	json_t *body = mgmt_body(request), *named;

	if (!body)
		return;
	named = mgmt_access_only(request, body, keys) ? mgmt_access_query(request, identity) : NULL;
	if (named)
		json_object_update(named, body);
	json_decref(body);
	mgmt_access_start(mgmt, request, path, named, edit_change, answer_changed);
}

/* ---- One less --------------------------------------------------------------------------------------------------- */

static bool edit_deny(struct mgmt_operation *operation)
{
	config_setting_t *rule = find_setting(operation), *list;

	if (!rule)
		return false;
	list = config_setting_parent(rule);
	config_setting_remove_elem(list, (unsigned)config_setting_index(rule));
	return true;
}

void mgmt_deny_initiator(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	mgmt_access_start(mgmt, request, path, mgmt_access_query(request, identity), edit_deny, answer_changed);
}
