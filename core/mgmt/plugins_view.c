/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/answer.h"
#include "mgmt/edits.h"
#include "mgmt/routes.h"
#include "store/plugins.h"

static const char *type_name(uint32_t type)
{
	switch (type) {
	case TGTKIT_OPTION_BOOL:
		return "bool";
	case TGTKIT_OPTION_INTEGER:
		return "integer";
	case TGTKIT_OPTION_SIZE:
		return "size";
	default:
		return "string";
	}
}

static json_t *options_view(const struct tgtkit_plugin *plugin)
{
	json_t *list = json_array();

	for (const struct tgtkit_option *option = plugin->options; option && option->key; option++) {
		bool is_secret = option->flags & TGTKIT_OPTION_SECRET;
		json_t *view = json_pack("{sssssbsbsbsb}", "key", option->key, "type", type_name(option->type),
					 "required", !!(option->flags & TGTKIT_OPTION_REQUIRED), "secret",
					 (int)is_secret, "reloadable", !!(option->flags & TGTKIT_OPTION_RELOADABLE),
					 "prefix", !!(option->flags & TGTKIT_OPTION_PREFIX));

		if (view && option->default_value && !is_secret)
			json_object_set_new(view, "default", json_string(option->default_value));
		if (view && option->help)
			json_object_set_new(view, "help", json_string(option->help));
		if (view && (option->minimum || option->maximum)) {
			json_object_set_new(view, "minimum", json_integer(option->minimum));
			json_object_set_new(view, "maximum", json_integer(option->maximum));
		}
		json_array_append_new(list, view);
	}
	return list;
}

static json_t *view(const struct store_plugin *plugin)
{
	const struct tgtkit_plugin *descriptor = plugin->descriptor;
	json_t *prefixes = json_array();

	for (const char *const *prefix = descriptor->prefixes; *prefix; prefix++)
		json_array_append_new(prefixes, json_string(*prefix));
	return json_pack("{sssssssssssoso}", "name", descriptor->name, "version", descriptor->version, "description",
			 descriptor->description, "file", plugin->file, "tier",
			 descriptor->blocking ? "blocking" : "async", "prefixes", prefixes, "options",
			 options_view(descriptor));
}

void mgmt_get_plugins(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	json_t *list = json_array();

	(void)mgmt;
	(void)path;
	for (size_t i = 0; i < store_plugins_count(); i++)
		json_array_append_new(list, view(store_plugins_get(i)));
	mgmt_answer_json(request, 200, json_pack("{so}", "plugins", list));
}

void mgmt_get_plugin(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct store_plugin *plugin = store_plugins_by_name(path->parts[2]);

	(void)mgmt;
	if (plugin)
		mgmt_answer_json(request, 200, view(plugin));
	else
		mgmt_answer_error(request, 404, "not_found", "there is no plugin %s", path->parts[2]);
}

/* ---- Looking for new ones, on the pool -------------------------------------------------------------------------- */

/* Only the configured folders are looked at, and only files there that nobody but root or the daemon's user can write:
 * a client that could name a file would run code as the daemon. */
struct rescan {
	struct mgmt *mgmt;
	struct mgmt_request *request;
	struct target_configuration *configuration;
	size_t known;
	unsigned refused;
	struct store_job job;
	struct rt_post done;
};

static void rescanned(struct rt_post *post)
{
	struct rescan *rescan = RT_CONTAINER_OF(post, struct rescan, done);
	struct mgmt *mgmt = rescan->mgmt;
	json_t *added = json_array();

	for (size_t i = rescan->known; i < store_plugins_count(); i++)
		json_array_append_new(added, json_string(store_plugins_get(i)->descriptor->name));
	mgmt_answer_json(rescan->request, 200, json_pack("{sosi}", "added", added, "refused", (int)rescan->refused));
	target_configuration_drop(rescan->configuration);
	free(rescan);
	mgmt->verbs--;
	mgmt_check_stopped(mgmt);
}

static void scan(struct store_job *job)
{
	struct rescan *rescan = RT_CONTAINER_OF(job, struct rescan, job);
	const struct daemon_spec *daemon = &rescan->configuration->daemon;

	mgmt_plugins_lock();
	rescan->known = store_plugins_count();
	rescan->refused = store_plugins_scan(daemon->plugin_dirs, daemon->plugin_dir_count);
	mgmt_plugins_unlock();
	rt_loop_post(rescan->mgmt->control, &rescan->done);
}

static void start_rescan(struct mgmt *mgmt, struct mgmt_request *request)
{
	struct rescan *rescan = calloc(1, sizeof(*rescan));

	if (!rescan) {
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	rescan->mgmt = mgmt;
	rescan->request = request;
	rescan->configuration = target_configuration_hold(target_model_configuration(mgmt->model));
	rescan->job.run = scan;
	rescan->done.run = rescanned;
	mgmt->verbs++;
	store_pool_submit_control(&rescan->job);
}

void mgmt_post_plugins(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	size_t length;

	(void)path;
	(void)mgmt_request_body(request, &length);
	if (!mgmt_request_query(request, "rescan"))
		mgmt_answer_error(
		    request, 400, "bad_query",
		    "what is to be done is missing: POST /v1/plugins?rescan looks into the configured folders");
	else if (length)
		mgmt_answer_error(request, 422, "invalid",
				  "a rescan takes no body: only the configured folders are looked at (plugin_dirs)");
	else
		start_rescan(mgmt, request);
}
