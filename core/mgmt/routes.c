/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/routes.h"

#include <stdlib.h>
#include <string.h>

#include "mgmt/answer.h"

/* Patterns are matched part by part; * stands for any one part. */
static const struct route {
	const char *method;
	const char *parts[MGMT_PATH_PARTS];
	mgmt_route_handler *handle;
} routes[] = {
    {"GET", {"healthz"}, mgmt_get_health},
    {"GET", {"metrics"}, mgmt_get_metrics},
    {"GET", {"v1", "stats"}, mgmt_get_stats},
    {"GET", {"v1", "version"}, mgmt_get_version},
    {"GET", {"v1", "targets"}, mgmt_get_targets},
    {"POST", {"v1", "targets"}, mgmt_create_target},
    {"GET", {"v1", "targets", "*"}, mgmt_get_target},
    {"PATCH", {"v1", "targets", "*"}, mgmt_change_target},
    {"DELETE", {"v1", "targets", "*"}, mgmt_delete_target},
    {"GET", {"v1", "targets", "*", "initiators"}, mgmt_get_initiators},
    {"POST", {"v1", "targets", "*", "initiators"}, mgmt_allow_initiator},
    {"PATCH", {"v1", "targets", "*", "initiators"}, mgmt_change_initiator},
    {"DELETE", {"v1", "targets", "*", "initiators"}, mgmt_deny_initiator},
    {"GET", {"v1", "targets", "*", "users"}, mgmt_get_users},
    {"POST", {"v1", "targets", "*", "users"}, mgmt_add_user},
    {"DELETE", {"v1", "targets", "*", "users"}, mgmt_delete_user},
    {"GET", {"v1", "targets", "*", "luns"}, mgmt_get_luns},
    {"POST", {"v1", "targets", "*", "luns"}, mgmt_create_lun},
    {"GET", {"v1", "targets", "*", "luns", "*"}, mgmt_get_lun},
    {"PATCH", {"v1", "targets", "*", "luns", "*"}, mgmt_change_lun},
    {"DELETE", {"v1", "targets", "*", "luns", "*"}, mgmt_delete_lun},
    {"GET", {"v1", "discovery"}, mgmt_get_discovery},
    {"PATCH", {"v1", "discovery"}, mgmt_change_discovery},
    {"GET", {"v1", "discovery", "users"}, mgmt_get_users},
    {"POST", {"v1", "discovery", "users"}, mgmt_add_user},
    {"DELETE", {"v1", "discovery", "users"}, mgmt_delete_user},
    {"GET", {"v1", "log"}, mgmt_get_log},
    {"PATCH", {"v1", "log"}, mgmt_change_log},
    {"GET", {"v1", "portal-groups"}, mgmt_get_groups},
    {"POST", {"v1", "portal-groups"}, mgmt_create_group},
    {"GET", {"v1", "portal-groups", "*"}, mgmt_get_group},
    {"PATCH", {"v1", "portal-groups", "*"}, mgmt_change_group},
    {"DELETE", {"v1", "portal-groups", "*"}, mgmt_delete_group},
    {"GET", {"v1", "sessions"}, mgmt_get_sessions},
    {"GET", {"v1", "sessions", "*"}, mgmt_get_session},
    {"DELETE", {"v1", "sessions", "*"}, mgmt_delete_session},
    {"GET", {"v1", "plugins"}, mgmt_get_plugins},
    {"POST", {"v1", "plugins"}, mgmt_post_plugins},
    {"GET", {"v1", "plugins", "*"}, mgmt_get_plugin},
    {"GET", {"v1", "config"}, mgmt_get_config},
    {"POST", {"v1", "config"}, mgmt_post_config},
};

static bool matches(const struct route *route, const struct mgmt_path *path)
{
	for (size_t i = 0; i < MGMT_PATH_PARTS; i++) {
		const char *wanted = route->parts[i];

		if (!wanted || i >= path->count)
			return !wanted && i >= path->count;
		if (strcmp(wanted, "*") && strcmp(wanted, path->parts[i]))
			return false;
	}
	return true;
}

static void dispatch(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const char *method = mgmt_request_method(request);
	bool known = false;

	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
		if (!matches(&routes[i], path))
			continue;
		known = true;
		if (!strcmp(routes[i].method, method)) {
			routes[i].handle(mgmt, request, path);
			return;
		}
	}
	if (known)
		mgmt_answer_error(request, 405, "method_not_allowed", "%s does not take %s", mgmt_request_path(request),
				  method);
	else
		mgmt_answer_error(request, 404, "not_found", "there is nothing at %s", mgmt_request_path(request));
}

void mgmt_route(void *context, struct mgmt_request *request)
{
	char *text = strdup(mgmt_request_path(request));
	struct mgmt *mgmt = context;
	struct mgmt_path path;

	if (mgmt->is_stopping)
		mgmt_answer_error(request, 503, "stopping", "the daemon is stopping");
	else if (!text)
		mgmt_answer_error(request, 500, "internal", "out of memory");
	else if (mgmt_path_split(text, &path))
		mgmt_answer_error(request, 400, "bad_path",
				  "the path has a bad escape, a control character or too many parts");
	else
		dispatch(mgmt, request, &path);
	free(text);
}
