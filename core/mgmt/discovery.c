/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may ask for targets: whether discovery wants to know who asks.
 */
#include "config/state.h"
#include "mgmt/access.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/routes.h"
#include "mgmt/views.h"

static json_t *discovery_view(struct mgmt *mgmt)
{
	const struct discovery_spec *discovery = &target_model_configuration(mgmt->model)->discovery;
	json_t *view = mgmt_users_view(&discovery->authentication);

	if (view && discovery->origin.name)
		mgmt_set_origin(view, discovery->made_by_api, &discovery->origin);
	else if (view)
		json_object_set_new(view, "origin", json_string("default"));
	return view;
}

void mgmt_get_discovery(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	(void)path;
	mgmt_answer_json(request, 200, discovery_view(mgmt));
}

static bool edit_discovery(struct mgmt_operation *operation)
{
	json_t *auth = json_object_get(operation->body, "auth");
	char error[MGMT_CONVERT_ERROR_BYTES];
	struct mgmt_access_owner owner;

	if (!mgmt_access_owner(operation, &owner))
		return false;
	config_setting_remove(owner.setting, "auth");
	if (auth && !mgmt_json_to_setting(owner.setting, "auth", auth, error)) {
		mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
		return false;
	}
	conf_state_tidy_discovery(&operation->tree);
	return true;
}

static void answer_discovery(struct mgmt_operation *operation)
{
	mgmt_answer_json(operation->request, 200, discovery_view(operation->mgmt));
}

void mgmt_change_discovery(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	static const char *const keys[] = {"auth", NULL};

	mgmt_access_start(mgmt, request, path, mgmt_access_body(request, keys), edit_discovery, answer_discovery);
}
