/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and deleting targets, LUNs and portal groups: what a request changes of that which is kept.
 */
#include "mgmt/edits.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/state.h"
#include "config/tree.h"
#include "iscsi/registry.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/operation.h"
#include "mgmt/routes.h"
#include "mgmt/views.h"

json_t *mgmt_body(struct mgmt_request *request)
{
	json_error_t error;
	size_t length;
	const char *text = mgmt_request_body(request, &length);
	json_t *body = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);

	if (!body) {
		mgmt_answer_error(request, 400, "bad_json", "the body is no JSON: line %d, column %d: %s", error.line,
				  error.column, error.text);
		return NULL;
	}
	if (json_is_object(body))
		return body;
	json_decref(body);
	mgmt_answer_error(request, 400, "bad_json", "the body has to be a JSON object");
	return NULL;
}

int mgmt_force(struct mgmt_request *request)
{
	const char *value = mgmt_request_query(request, "force");

	if (!value || !strcmp(value, "false"))
		return 0;
	if (!*value || !strcmp(value, "true"))
		return 1;
	mgmt_answer_error(request, 400, "bad_query", "force must be true or false");
	return -1;
}

static const struct target_configuration *in_force(const struct mgmt_operation *operation)
{
	return target_model_configuration(operation->mgmt->model);
}

/* Adds the request's body to one of the lists.  false: answered. */
static bool add_body(struct mgmt_operation *operation, config_setting_t *owner, const char *list_name)
{
	char error[MGMT_CONVERT_ERROR_BYTES] = "out of memory";
	config_setting_t *list = conf_tree_list(owner, list_name);

	if (list && mgmt_json_to_setting(list, NULL, operation->body, error))
		return true;
	mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
	return false;
}

/* An operation on what the path names, with or without the body.  NULL: answered. */
static struct mgmt_operation *begin(struct mgmt *mgmt, struct mgmt_request *request, bool with_body)
{
	struct mgmt_operation *operation;
	json_t *body = with_body ? mgmt_body(request) : NULL;

	if (with_body && !body)
		return NULL;
	operation = mgmt_operation_create(mgmt, request);
	if (operation)
		operation->body = body;
	else
		json_decref(body);
	return operation;
}

static void answer_deleted(struct mgmt_operation *operation)
{
	mgmt_answer_json(operation->request, 200,
			 json_pack("{sbsb}", "deleted", 1, "still_closing", (int)operation->change.still_closing));
}

/* ---- Targets ---------------------------------------------------------------------------------------------------- */

static const struct target_spec *find_target(const struct target_configuration *configuration, const char *name)
{
	for (size_t i = 0; name && i < configuration->target_count; i++)
		if (!strcasecmp(configuration->targets[i].name, name))
			return &configuration->targets[i];
	return NULL;
}

static bool edit_create_target(struct mgmt_operation *operation)
{
	const char *name = json_string_value(json_object_get(operation->body, "name"));

	if (find_target(in_force(operation), name)) {
		mgmt_answer_error(operation->request, 409, "exists", "there is a target %s already", name);
		return false;
	}
	return add_body(operation, config_root_setting(&operation->tree), "targets");
}

static void answer_target(struct mgmt_operation *operation)
{
	const char *name = json_string_value(json_object_get(operation->body, "name"));

	mgmt_answer_json(operation->request, 201,
			 mgmt_target_view(operation->mgmt, find_target(in_force(operation), name)));
}

void mgmt_create_target(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct mgmt_operation *operation = begin(mgmt, request, true);

	(void)path;
	if (!operation)
		return;
	operation->edit = edit_create_target;
	operation->answer = answer_target;
	mgmt_operation_start(operation);
}

/* true: answered by 409. */
static bool refuse_if_in_use(struct mgmt_operation *operation, const struct target_spec *target)
{
	if (operation->force || !iscsi_registry_has_target(target->name))
		return false;
	mgmt_answer_error(operation->request, 409, "in_use",
			  "target %s has sessions; end them first, or force it (--force, ?force=true), which does",
			  target->name);
	return true;
}

static bool edit_delete_target(struct mgmt_operation *operation)
{
	const struct target_spec *target = mgmt_find_target(operation->mgmt, operation->request, operation->name);

	if (!target || mgmt_refuse_if_defined(operation->request, target->made_by_api, &target->origin, target->name) ||
	    refuse_if_in_use(operation, target))
		return false;
	conf_state_remove(conf_state_target(&operation->tree, target->name));
	return true;
}

/* Starts an operation on a target or (number given) one of its LUNs. */
static void start_deletion(struct mgmt *mgmt, struct mgmt_request *request, const char *name,
			   bool (*edit)(struct mgmt_operation *operation), uint32_t number)
{
	int force = mgmt_force(request);
	struct mgmt_operation *operation = force < 0 ? NULL : begin(mgmt, request, false);

	if (!operation)
		return;
	operation->name = strdup(name);
	operation->number = number;
	operation->force = force;
	operation->edit = edit;
	operation->answer = answer_deleted;
	mgmt_operation_start(operation);
}

void mgmt_delete_target(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	start_deletion(mgmt, request, path->parts[2], edit_delete_target, 0);
}

/* ---- LUNs ------------------------------------------------------------------------------------------------------- */

static const struct lun_spec *find_lun(const struct target_spec *target, uint32_t number)
{
	for (size_t i = 0; i < target->lun_count; i++)
		if (target->luns[i].lun == number)
			return &target->luns[i];
	return NULL;
}

/* The number given, or the lowest that is free.  false: answered. */
static bool choose_number(struct mgmt_operation *operation, const struct target_spec *target)
{
	json_t *given = json_object_get(operation->body, "lun");

	if (given) {
		/* What is no number is left to the check of the whole. */
		operation->number = json_is_integer(given) ? (uint32_t)json_integer_value(given) : UINT32_MAX;
		if (!find_lun(target, operation->number))
			return true;
		mgmt_answer_error(operation->request, 409, "exists", "target %s has a LUN %u already", target->name,
				  operation->number);
		return false;
	}
	while (find_lun(target, operation->number))
		operation->number++;
	json_object_set_new(operation->body, "lun", json_integer(operation->number));
	return true;
}

static bool edit_create_lun(struct mgmt_operation *operation)
{
	const struct target_spec *target = mgmt_find_target(operation->mgmt, operation->request, operation->name);

	if (!target || mgmt_refuse_if_defined(operation->request, target->made_by_api, &target->origin, target->name) ||
	    !choose_number(operation, target))
		return false;
	return add_body(operation, conf_state_target(&operation->tree, target->name), "luns");
}

static void answer_lun(struct mgmt_operation *operation)
{
	const struct target_spec *target = find_target(in_force(operation), operation->name);

	mgmt_answer_json(operation->request, 201, mgmt_lun_view(operation->mgmt, find_lun(target, operation->number)));
}

void mgmt_create_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct mgmt_operation *operation = begin(mgmt, request, true);

	if (!operation)
		return;
	operation->name = strdup(path->parts[2]);
	operation->edit = edit_create_lun;
	operation->answer = answer_lun;
	mgmt_operation_start(operation);
}

static bool edit_delete_lun(struct mgmt_operation *operation)
{
	const struct target_spec *target = mgmt_find_target(operation->mgmt, operation->request, operation->name);
	config_setting_t *setting;
	const struct lun_spec *lun;

	if (!target)
		return false;
	lun = find_lun(target, operation->number);
	if (!lun) {
		mgmt_answer_error(operation->request, 404, "not_found", "target %s has no LUN %u", target->name,
				  operation->number);
		return false;
	}
	if (mgmt_refuse_if_defined(operation->request, target->made_by_api, &lun->origin, target->name) ||
	    refuse_if_in_use(operation, target))
		return false;
	setting = conf_state_target(&operation->tree, target->name);
	if (!mgmt_masks_forget(operation, target, setting, lun->lun))
		return false;
	conf_state_remove(conf_state_lun(setting, lun->lun));
	return true;
}

void mgmt_delete_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct target_spec *target;
	const struct lun_spec *lun = mgmt_find_lun(mgmt, request, path, &target);

	if (lun)
		start_deletion(mgmt, request, target->name, edit_delete_lun, lun->lun);
}

/* ---- Portal groups ---------------------------------------------------------------------------------------------- */

static const struct portal_group_spec *find_group(const struct target_configuration *configuration, json_int_t tag)
{
	for (size_t i = 0; i < configuration->group_count; i++)
		if (configuration->groups[i].tag == tag)
			return &configuration->groups[i];
	return NULL;
}

static bool edit_create_group(struct mgmt_operation *operation)
{
	json_int_t tag = json_integer_value(json_object_get(operation->body, "tag"));

	if (find_group(in_force(operation), tag)) {
		mgmt_answer_error(operation->request, 409, "exists", "there is a portal group %d already", (int)tag);
		return false;
	}
	return add_body(operation, config_root_setting(&operation->tree), "portal_groups");
}

static void answer_group(struct mgmt_operation *operation)
{
	json_int_t tag = json_integer_value(json_object_get(operation->body, "tag"));

	mgmt_answer_json(operation->request, 201,
			 mgmt_group_view(operation->mgmt, find_group(in_force(operation), tag)));
}

void mgmt_create_group(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct mgmt_operation *operation = begin(mgmt, request, true);

	(void)path;
	if (!operation)
		return;
	operation->edit = edit_create_group;
	operation->answer = answer_group;
	mgmt_operation_start(operation);
}

static const struct target_spec *find_user_of(const struct target_configuration *configuration, uint16_t tag)
{
	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].group_tag_count; k++)
			if (configuration->targets[i].group_tags[k] == tag)
				return &configuration->targets[i];
	return NULL;
}

static bool edit_delete_group(struct mgmt_operation *operation)
{
	const struct portal_group_spec *group = mgmt_find_group(operation->mgmt, operation->request, operation->name);
	const struct target_spec *user;

	if (!group ||
	    mgmt_refuse_if_defined(operation->request, group->made_by_api, &group->origin, "the portal group"))
		return false;
	user = find_user_of(in_force(operation), group->tag);
	if (user) {
		mgmt_answer_error(operation->request, 409, "in_use", "target %s uses portal group %u; delete it first",
				  user->name, group->tag);
		return false;
	}
	conf_state_remove(conf_state_group(&operation->tree, group->tag));
	return true;
}

void mgmt_delete_group(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	start_deletion(mgmt, request, path->parts[2], edit_delete_group, 0);
}
