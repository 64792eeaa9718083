/* SPDX-License-Identifier: Apache-2.0
 *
 * PATCH of a portal group: its asymmetric access state.
 */
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "config/text.h"
#include "mgmt/access.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/routes.h"
#include "mgmt/views.h"

static bool edit_state(struct mgmt_operation *operation)
{
	const struct portal_group_spec *group = mgmt_find_group(operation->mgmt, operation->request, operation->name);
	char error[MGMT_CONVERT_ERROR_BYTES] = "out of memory";
	config_setting_t *setting;

	if (!group)
		return false;
	operation->number = group->tag;
	if (mgmt_refuse_if_defined(operation->request, group->made_by_api, &group->origin, "the portal group"))
		return false;
	setting = conf_state_group(&operation->tree, group->tag);
	config_setting_remove(setting, "alua_state");
	if (mgmt_json_to_setting(setting, "alua_state", json_object_get(operation->body, "alua_state"), error))
		return true;
	mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
	return false;
}

/* Says so again, as an initiator may have set something else while the configured state was this one. */
static void set_state(struct mgmt *mgmt, struct mgmt_request *request, const struct portal_group_spec *group,
		      enum scsi_port_group_state state)
{
	if (target_model_set_group_state(mgmt->model, group->tag, state))
		mgmt_answer_error(request, 500, "internal", "out of memory");
	else
		mgmt_answer_json(request, 200, mgmt_group_view(mgmt, group));
}

static void answer_state(struct mgmt_operation *operation)
{
	const struct portal_group_spec *group = mgmt_find_group(operation->mgmt, operation->request, operation->name);

	if (group)
		set_state(operation->mgmt, operation->request, group, group->alua_state);
}

/* The administrator's file says what is true at the next start; until then, this. */
static void set_at_run_time(struct mgmt *mgmt, struct mgmt_request *request, const struct portal_group_spec *group,
			    const json_t *body)
{
	const char *name = json_string_value(json_object_get(body, "alua_state"));
	const struct conf_key *key = conf_table_find(&conf_portal_group_table, "alua_state", strlen("alua_state"));
	struct portal_group_spec wanted = {0};
	char error[CONF_ERROR_BYTES] = "must be a string";

	if (!name || key->parse(key, &wanted, name, error))
		mgmt_answer_error(request, 422, "invalid", "alua_state: %s", error);
	else
		set_state(mgmt, request, group, wanted.alua_state);
}

void mgmt_change_group(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	static const char *const keys[] = {"alua_state", NULL};
	const struct portal_group_spec *group = mgmt_find_group(mgmt, request, path->parts[2]);
	json_t *body = group ? mgmt_access_body(request, keys) : NULL;

	if (!body)
		return;
	if (!json_object_size(body)) {
		mgmt_answer_error(request, 422, "invalid", "alua_state is missing");
		json_decref(body);
	} else if (group->made_by_api) {
		mgmt_access_start(mgmt, request, path, body, edit_state, answer_state);
	} else {
		set_at_run_time(mgmt, request, group, body);
		json_decref(body);
	}
}
