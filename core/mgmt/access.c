/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may use a target: whether its rules and users count at all.
 */
#include "mgmt/access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/state.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/routes.h"
#include "mgmt/views.h"

void mgmt_access_start(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path, json_t *body,
		       bool (*edit)(struct mgmt_operation *operation), void (*answer)(struct mgmt_operation *operation))
{
	struct mgmt_operation *operation = body ? mgmt_operation_create(mgmt, request) : NULL;

	if (!operation) {
		json_decref(body);
		return;
	}
	operation->body = body;
	operation->of_discovery = !strcmp(path->parts[1], "discovery");
	operation->name = operation->of_discovery ? NULL : strdup(path->parts[2]);
	operation->edit = edit;
	operation->answer = answer;
	mgmt_operation_start(operation);
}

const struct target_spec *mgmt_access_target(struct mgmt_operation *operation, config_setting_t **setting)
{
	const struct target_spec *target = mgmt_find_target(operation->mgmt, operation->request, operation->name);

	if (!target || mgmt_refuse_if_defined(operation->request, target->made_by_api, &target->origin, target->name))
		return NULL;
	*setting = conf_state_target(&operation->tree, target->name);
	return target;
}

static bool find_discovery(struct mgmt_operation *operation, struct mgmt_access_owner *owner)
{
	const struct discovery_spec *discovery = &target_model_configuration(operation->mgmt->model)->discovery;

	if (discovery->origin.name &&
	    mgmt_refuse_if_defined(operation->request, discovery->made_by_api, &discovery->origin, "discovery"))
		return false;
	snprintf(owner->name, sizeof(owner->name), "discovery");
	owner->authentication = &discovery->authentication;
	owner->setting = conf_state_discovery(&operation->tree);
	if (!owner->setting)
		mgmt_answer_error(operation->request, 500, "internal", "out of memory");
	return owner->setting;
}

bool mgmt_access_owner(struct mgmt_operation *operation, struct mgmt_access_owner *owner)
{
	const struct target_spec *target;

	if (operation->of_discovery)
		return find_discovery(operation, owner);
	target = mgmt_access_target(operation, &owner->setting);
	if (!target)
		return false;
	snprintf(owner->name, sizeof(owner->name), "target %s", target->name);
	owner->authentication = &target->authentication;
	return true;
}

const struct authentication_spec *mgmt_access_authentication(const struct mgmt_operation *operation)
{
	if (operation->of_discovery)
		return &target_model_configuration(operation->mgmt->model)->discovery.authentication;
	return &mgmt_access_changed(operation)->authentication;
}

const struct target_spec *mgmt_access_changed(const struct mgmt_operation *operation)
{
	const struct target_configuration *configuration = target_model_configuration(operation->mgmt->model);

	for (size_t i = 0; i < configuration->target_count; i++)
		if (!strcasecmp(configuration->targets[i].name, operation->name))
			return &configuration->targets[i];
	return NULL;
}

json_t *mgmt_access_query(struct mgmt_request *request, const char *const *names)
{
	json_t *object = json_object();

	for (; *names; names++) {
		const char *given = mgmt_request_query(request, *names);
		char *value = given ? strdup(given) : NULL;
		bool good =
		    value && !mgmt_path_decode_value(value) && !json_object_set_new(object, *names, json_string(value));

		free(value);
		if (!given || good)
			continue;
		mgmt_answer_error(request, 400, "bad_query", "%s has a bad escape, a control character or is no UTF-8",
				  *names);
		json_decref(object);
		return NULL;
	}
	return object;
}

static bool is_one_of(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(*names, key))
			return true;
	return false;
}

bool mgmt_access_only(struct mgmt_request *request, const json_t *object, const char *const *names)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		if (is_one_of(key, names))
			continue;
		mgmt_answer_error(request, 422, "invalid", "%.64s: unknown key here", key);
		return false;
	}
	return true;
}

json_t *mgmt_access_body(struct mgmt_request *request, const char *const *names)
{
	json_t *body = mgmt_body(request);

	if (!body || mgmt_access_only(request, body, names))
		return body;
	json_decref(body);
	return NULL;
}

/* ---- The target's own keys -------------------------------------------------------------------------------------- */

static bool edit_target(struct mgmt_operation *operation)
{
	char error[MGMT_CONVERT_ERROR_BYTES] = "out of memory";
	config_setting_t *setting;
	const char *key;
	json_t *value;

	if (!mgmt_access_target(operation, &setting))
		return false;
	json_object_foreach(operation->body, key, value)
	{
		config_setting_remove(setting, key);
		if (mgmt_json_to_setting(setting, key, value, error))
			continue;
		mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
		return false;
	}
	return true;
}

static void answer_target(struct mgmt_operation *operation)
{
	mgmt_answer_json(operation->request, 200, mgmt_target_view(operation->mgmt, mgmt_access_changed(operation)));
}

void mgmt_change_target(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	static const char *const keys[] = {"alias", "access", "auth", NULL};

	mgmt_access_start(mgmt, request, path, mgmt_access_body(request, keys), edit_target, answer_target);
}
