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

/* ---- Check of a file, on the pool ------------------------------------------------------------------------------- */

struct file_check {
	struct mgmt *mgmt;
	struct mgmt_request *request;
	char *file;
	int status;
	char error[STORE_ERROR_BYTES];
	struct store_job job;
	struct rt_post done;
};

static void checked(struct rt_post *post)
{
	struct file_check *check = RT_CONTAINER_OF(post, struct file_check, done);
	struct mgmt *mgmt = check->mgmt;

	if (check->status)
		mgmt_answer_error(check->request, 422, "refused", "%s", check->error);
	else
		mgmt_answer_json(check->request, 200, json_pack("{sssb}", "file", check->file, "accepted", 1));
	free(check->file);
	free(check);
	mgmt->verbs--;
	mgmt_check_stopped(mgmt);
}

static void check_file(struct store_job *job)
{
	struct file_check *check = RT_CONTAINER_OF(job, struct file_check, job);

	mgmt_plugins_lock();
	check->status = store_plugins_check_file(check->file, check->error);
	mgmt_plugins_unlock();
	rt_loop_post(check->mgmt->control, &check->done);
}

static void start_check(struct mgmt *mgmt, struct mgmt_request *request, const char *file)
{
	struct file_check *check = calloc(1, sizeof(*check));

	if (!check || !(check->file = strdup(file))) {
		free(check);
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	check->mgmt = mgmt;
	check->request = request;
	check->job.run = check_file;
	check->done.run = checked;
	mgmt->verbs++;
	store_pool_submit_control(&check->job);
}

void mgmt_check_plugin(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	json_t *body = mgmt_body(request);
	const char *file = json_string_value(json_object_get(body, "file"));

	(void)path;
	if (!body)
		return;
	if (!file || *file != '/' || json_object_size(body) != 1)
		mgmt_answer_error(request, 422, "invalid",
				  "the body must be {\"file\": \"/absolute/path/of/NAME.so\"}");
	else
		start_check(mgmt, request, file);
	json_decref(body);
}
