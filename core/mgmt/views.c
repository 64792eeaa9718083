/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "mgmt/views.h"

#include <stdlib.h>
#include <string.h>

#include "config/effective.h"
#include "config/text.h"
#include "config/tree.h"
#include "iscsi/registry.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/routes.h"
#include "rt/worker.h"
#include "target/address.h"

#define NS_PER_S UINT64_C(1000000000)

void mgmt_set_origin(json_t *object, bool made_by_api, const struct spec_origin *origin)
{
	char place[512];

	json_object_set_new(object, "origin", json_string(made_by_api ? "api" : "file"));
	if (made_by_api)
		return;
	spec_origin_format(origin, place, sizeof(place));
	json_object_set_new(object, "defined_in", json_string(place));
}

/* ---- LUNs and targets ------------------------------------------------------------------------------------------- */

static const char *state_of(struct target_unit *unit)
{
	if (target_unit_is_waiting(unit))
		return "waiting";
	if (!unit->online)
		return "offline";
	if (atomic_load(&unit->fenced))
		return "fenced";
	if (atomic_load(&unit->lost))
		return "lost";
	if (atomic_load(&unit->standby))
		return "standby";
	return store_has_failed(unit->store) ? "failed" : "online";
}

json_t *mgmt_lun_view(struct mgmt *mgmt, const struct lun_spec *lun)
{
	struct target_unit *unit = target_model_unit(mgmt->model, lun);
	const struct store *store = target_unit_is_waiting(unit) ? NULL : unit->store;
	bool read_only = lun->read_only || (store && (store_capabilities(store)->flags & TGTKIT_READ_ONLY));
	json_t *view;

	view =
	    json_pack("{sisssssssssIsisssbsbsbsbsb}", "lun", (int)lun->lun, "path", lun->path, "unit", unit->name,
		      "plugin", lun->unit->plugin->descriptor->name, "state", state_of(unit), "size",
		      (json_int_t)(store ? store_size_bytes(store) : 0), "block_size", (int)lun->block_size, "serial",
		      unit->serial, "online", (int)(store && unit->online), "read_only", (int)read_only, "thin",
		      (int)lun->thin, "write_cache", (int)lun->write_cache, "removable", (int)lun->removable);
	if (view && (!store || (unit->refresh_status && *unit->last_error)))
		json_object_set_new(view, "error", json_string(unit->last_error));
	return view;
}

static json_t *luns_view(struct mgmt *mgmt, const struct target_spec *target)
{
	json_t *list = json_array();

	for (size_t i = 0; i < target->lun_count; i++)
		json_array_append_new(list, mgmt_lun_view(mgmt, &target->luns[i]));
	return list;
}

static size_t count_sessions(const char *target)
{
	struct iscsi_session_view *sessions;
	size_t count, found = 0;

	if (iscsi_registry_list(&sessions, &count))
		return 0;
	for (size_t i = 0; i < count; i++)
		found += !strcmp(sessions[i].target_name, target);
	free(sessions);
	return found;
}

json_t *mgmt_target_view(struct mgmt *mgmt, const struct target_spec *target)
{
	json_t *groups = json_array(), *view;

	for (size_t i = 0; i < target->group_tag_count; i++)
		json_array_append_new(groups, json_integer(target->group_tags[i]));
	view = json_pack("{sssssssssosIso}", "name", target->name, "alias", target->alias, "auth",
			 target->authentication.required ? "chap" : "none", "access",
			 target->restricted ? "list" : "any", "portal_groups", groups, "sessions",
			 (json_int_t)count_sessions(target->name), "luns", luns_view(mgmt, target));
	if (view)
		mgmt_set_origin(view, target->made_by_api, &target->origin);
	return view;
}

void mgmt_get_targets(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	json_t *list = json_array();

	(void)path;
	for (size_t i = 0; i < configuration->target_count; i++)
		json_array_append_new(list, mgmt_target_view(mgmt, &configuration->targets[i]));
	mgmt_answer_json(request, 200, json_pack("{so}", "targets", list));
}

void mgmt_get_target(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_spec *target = mgmt_find_target(mgmt, request, path->parts[2]);

	if (target)
		mgmt_answer_json(request, 200, mgmt_target_view(mgmt, target));
}

void mgmt_get_luns(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_spec *target = mgmt_find_target(mgmt, request, path->parts[2]);

	if (target)
		mgmt_answer_json(request, 200, json_pack("{so}", "luns", luns_view(mgmt, target)));
}

void mgmt_get_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct target_spec *target;
	const struct lun_spec *lun = mgmt_find_lun(mgmt, request, path, &target);

	if (lun)
		mgmt_answer_json(request, 200, mgmt_lun_view(mgmt, lun));
}

/* ---- Portal groups ---------------------------------------------------------------------------------------------- */

json_t *mgmt_group_view(struct mgmt *mgmt, const struct portal_group_spec *group)
{
	json_t *portals = json_array(), *view;

	for (size_t i = 0; i < group->portal_count; i++) {
		char address[TARGET_ADDRESS_BYTES];
		json_t *portal;

		target_address_format(&group->portals[i].address, address);
		portal = json_pack("{ssss}", "listen", group->portals[i].listen, "address", address);
		if (portal && group->portals[i].advertise)
			json_object_set_new(portal, "advertise", json_string(group->portals[i].advertise));
		json_array_append_new(portals, portal);
	}
	view = json_pack("{sisoss}", "tag", (int)group->tag, "portals", portals, "alua_state",
			 conf_alua_state_name(target_model_group_state(mgmt->model, group)));
	if (view)
		mgmt_set_origin(view, group->made_by_api, &group->origin);
	return view;
}

void mgmt_get_groups(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	json_t *list = json_array();

	(void)path;
	for (size_t i = 0; i < configuration->group_count; i++)
		json_array_append_new(list, mgmt_group_view(mgmt, &configuration->groups[i]));
	mgmt_answer_json(request, 200, json_pack("{so}", "portal_groups", list));
}

void mgmt_get_group(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct portal_group_spec *group = mgmt_find_group(mgmt, request, path->parts[2]);

	if (group)
		mgmt_answer_json(request, 200, mgmt_group_view(mgmt, group));
}

/* ---- The daemon ------------------------------------------------------------------------------------------------- */

void mgmt_get_version(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	json_int_t uptime_s = (json_int_t)((rt_clock_ns() - mgmt->started_ns) / NS_PER_S);

	(void)path;
	mgmt_answer_json(request, 200,
			 json_pack("{sssssisIsi}", "version", PACKAGE_VERSION, "api", "v1", "plugin_abi",
				   (int)TGTKIT_ABI_MAJOR, "uptime_s", uptime_s, "workers", (int)rt_workers_count()));
}

/* Whoever gets an answer knows that the control loop turns; each unit that cannot serve is named. */
void mgmt_get_health(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	json_t *troubles = json_array();

	(void)path;
	for (size_t i = 0; i < configuration->unit_count; i++) {
		struct target_unit *unit = target_model_unit(mgmt->model, configuration->units[i].lun);
		const char *state = state_of(unit);

		if (strcmp(state, "online") && strcmp(state, "offline"))
			json_array_append_new(troubles, json_pack("{ssss}", "unit", unit->name, "state", state));
	}
	mgmt_answer_json(
	    request, 200,
	    json_pack("{sssO}", "status", json_array_size(troubles) ? "degraded" : "ok", "units", troubles));
	json_decref(troubles);
}

static void answer_config_text(struct mgmt_request *request, const config_t *tree)
{
	char *text = conf_tree_text(tree, NULL);

	mgmt_request_answer(request, text ? 200 : 500, "text/plain; charset=utf-8", text, text ? strlen(text) : 0);
}

void mgmt_get_config(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const char *format = mgmt_request_query(request, "format");
	config_t tree;

	(void)path;
	if (format && strcmp(format, "json") && strcmp(format, "libconfig")) {
		mgmt_answer_error(request, 400, "bad_query", "format must be json or libconfig");
		return;
	}
	config_init(&tree);
	if (conf_effective(target_model_configuration(mgmt->model), &tree))
		mgmt_answer_error(request, 500, "internal", "out of memory");
	else if (format && !strcmp(format, "libconfig"))
		answer_config_text(request, &tree);
	else
		mgmt_answer_json(request, 200, mgmt_setting_to_json(config_root_setting(&tree)));
	config_destroy(&tree);
}
