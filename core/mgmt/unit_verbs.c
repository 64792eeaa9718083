/* SPDX-License-Identifier: Apache-2.0
 *
 * PATCH of a LUN: its size, online or offline, read-only.  One thing at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "mgmt/answer.h"
#include "mgmt/convert.h"
#include "mgmt/edits.h"
#include "mgmt/operation.h"
#include "mgmt/routes.h"
#include "mgmt/take_over.h"
#include "mgmt/views.h"

/* ---- Size ------------------------------------------------------------------------------------------------------- */

/* Units have no place for their requests: one that is resized has one request, found by the unit. */
struct resize {
	struct rt_list node;
	struct mgmt *mgmt;
	struct mgmt_request *request;
	struct target_unit *unit;
};

static struct rt_list resizes = {&resizes, &resizes};

static unsigned status_of(int status)
{
	if (status == -EINVAL || status == -EOPNOTSUPP || status == -EROFS || status == -EFBIG)
		return 422;
	return status == -EBUSY ? 409 : 500;
}

static void resized(struct target_unit *unit)
{
	RT_LIST_FOR_EACH (node, &resizes) {
		struct resize *resize = RT_CONTAINER_OF(node, struct resize, node);
		struct mgmt *mgmt = resize->mgmt;

		if (resize->unit != unit)
			continue;
		rt_list_remove(&resize->node);
		if (!resize->request) {
			free(resize);
			return;
		}
		if (unit->status)
			mgmt_answer_error(resize->request, status_of(unit->status), "resize_failed", "%s",
					  *unit->error ? unit->error : strerror(-unit->status));
		else
			mgmt_answer_json(
			    resize->request, 200,
			    json_pack("{sssI}", "unit", unit->name, "size", (json_int_t)store_size_bytes(unit->store)));
		free(resize);
		mgmt->verbs--;
		mgmt_check_stopped(mgmt);
		return;
	}
}

void mgmt_resizes_forget(struct mgmt *mgmt)
{
	RT_LIST_FOR_EACH (node, &resizes) {
		struct resize *resize = RT_CONTAINER_OF(node, struct resize, node);

		if (!resize->request)
			continue;
		mgmt_answer_error(resize->request, 503, "stopping", "the daemon is stopping");
		resize->request = NULL;
		mgmt->verbs--;
	}
}

static void start_resize(struct mgmt *mgmt, struct mgmt_request *request, struct target_unit *unit, uint64_t size_bytes,
			 bool shrink)
{
	struct resize *resize = calloc(1, sizeof(*resize));
	int status = -ENOMEM;

	if (resize) {
		*resize = (struct resize){.mgmt = mgmt, .request = request, .unit = unit};
		rt_list_append(&resizes, &resize->node);
		mgmt->verbs++;
		status = target_unit_resize(unit, size_bytes, shrink, resized);
	}
	if (!status)
		return;
	if (resize) {
		rt_list_remove(&resize->node);
		mgmt->verbs--;
	}
	free(resize);
	mgmt_answer_error(request, status_of(status), "busy", "%s: another change of its size is under way",
			  unit->name);
}

static bool read_size(json_t *value, uint64_t *size_bytes)
{
	if (json_is_string(value))
		return !store_parse_size(json_string_value(value), size_bytes) && *size_bytes > 0;
	*size_bytes = (uint64_t)json_integer_value(value);
	return json_is_integer(value) && json_integer_value(value) > 0;
}

static void resize_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct lun_spec *lun, json_t *body)
{
	struct target_unit *unit = target_model_unit(mgmt->model, lun);
	json_t *shrink = json_object_get(body, "shrink");
	uint64_t size_bytes, now_bytes = unit->logical_unit ? store_size_bytes(unit->store) : 0;

	if (!unit->logical_unit)
		mgmt_answer_error(request, 409, "waiting", "%s: its store could not be opened yet: %s", unit->name,
				  unit->last_error);
	else if (!read_size(json_object_get(body, "size"), &size_bytes) || (shrink && !json_is_boolean(shrink)))
		mgmt_answer_error(request, 422, "invalid",
				  "size must be a number of bytes or a string like \"10G\", and shrink true or false");
	else if (size_bytes < now_bytes && !json_is_true(shrink))
		mgmt_answer_error(request, 422, "would_shrink",
				  "%s has %" PRIu64 " bytes; to cut off its end, ask for it (--shrink)", unit->name,
				  now_bytes);
	else if (size_bytes < now_bytes && unit->online)
		mgmt_answer_error(request, 409, "online", "%s is online; take it offline before it shrinks",
				  unit->name);
	else
		start_resize(mgmt, request, unit, size_bytes, size_bytes < now_bytes);
}

/* ---- Online and read-only --------------------------------------------------------------------------------------- */

static bool edit_lun(struct mgmt_operation *operation)
{
	const struct target_spec *target = mgmt_find_target(operation->mgmt, operation->request, operation->name);
	const char *key = json_object_iter_key(json_object_iter(operation->body));
	char error[MGMT_CONVERT_ERROR_BYTES] = "out of memory";
	config_setting_t *lun =
	    target ? conf_state_lun(conf_state_target(&operation->tree, target->name), (uint16_t)operation->number)
		   : NULL;

	if (!target)
		return false;
	if (!lun) {
		mgmt_answer_error(operation->request, 404, "not_found", "target %s has no LUN %u", target->name,
				  operation->number);
		return false;
	}
	config_setting_remove(lun, key);
	if (mgmt_json_to_setting(lun, key, json_object_get(operation->body, key), error))
		return true;
	mgmt_answer_error(operation->request, 422, "invalid", "%s", error);
	return false;
}

static const struct lun_spec *find_lun(const struct target_configuration *configuration, const char *name,
				       uint32_t number)
{
	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].lun_count; k++)
			if (!strcmp(configuration->targets[i].name, name) &&
			    configuration->targets[i].luns[k].lun == number)
				return &configuration->targets[i].luns[k];
	return NULL;
}

static void answer_lun(struct mgmt_operation *operation)
{
	const struct target_configuration *configuration = target_model_configuration(operation->mgmt->model);
	const struct lun_spec *lun = find_lun(configuration, operation->name, operation->number);

	mgmt_answer_json(operation->request, 200, mgmt_lun_view(operation->mgmt, lun));
}

static void keep_change(struct mgmt *mgmt, struct mgmt_request *request, const struct target_spec *target,
			const struct lun_spec *lun, json_t *body)
{
	struct mgmt_operation *operation = mgmt_operation_create(mgmt, request);

	if (!operation)
		return;
	operation->body = json_incref(body);
	operation->name = strdup(target->name);
	operation->number = lun->lun;
	operation->may_reopen = true;
	operation->edit = edit_lun;
	operation->answer = answer_lun;
	mgmt_operation_start(operation);
}

/* The administrator's file says what is true at the next start; until then, this. */
static void set_online(struct mgmt *mgmt, struct mgmt_request *request, const struct lun_spec *lun, bool online)
{
	target_unit_set_online(target_model_unit(mgmt->model, lun), online);
	mgmt_answer_json(request, 200, mgmt_lun_view(mgmt, lun));
}

/* Its store has been taken over: now that the unit can serve, it is to be online as for any other. */
static void go_online(struct mgmt *mgmt, struct mgmt_request *request, const char *name, uint16_t number)
{
	struct target_configuration *configuration = target_model_configuration(mgmt->model);
	const struct target_spec *target = mgmt_find_target(mgmt, request, name);
	const struct lun_spec *lun = find_lun(configuration, name, number);
	json_t *body;

	if (!target)
		return;
	if (!lun) {
		mgmt_answer_error(request, 404, "not_found", "target %s has no LUN %u", name, number);
	} else if (target_model_unit(mgmt->model, lun)->online || !target->made_by_api) {
		set_online(mgmt, request, lun, true);
	} else {
		body = json_pack("{sb}", "online", 1);
		keep_change(mgmt, request, target, lun, body);
		json_decref(body);
	}
}

static void change_flag(struct mgmt *mgmt, struct mgmt_request *request, const struct target_spec *target,
			const struct lun_spec *lun, json_t *body)
{
	json_t *online = json_object_get(body, "online"), *value = online ? online : json_object_get(body, "read_only");

	/* Whoever wants it online has mended what was wrong, maybe. */
	if (json_is_true(online))
		target_unit_retry_now(target_model_unit(mgmt->model, lun));

	if (!json_is_boolean(value))
		mgmt_answer_error(request, 422, "invalid", "%s must be true or false", online ? "online" : "read_only");
	else if (json_is_true(online) && mgmt_may_take_over(target_model_unit(mgmt->model, lun)))
		mgmt_take_over(mgmt, request, target_model_unit(mgmt->model, lun), target->name, lun->lun, go_online);
	else if (target->made_by_api)
		keep_change(mgmt, request, target, lun, body);
	else if (online)
		set_online(mgmt, request, lun, json_is_true(online));
	else
		mgmt_refuse_if_defined(request, false, &lun->origin, target->name);
}

/* ---- The request ------------------------------------------------------------------------------------------------ */

static void change_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path, json_t *body)
{
	bool has_size = json_object_get(body, "size"), has_shrink = json_object_get(body, "shrink");
	bool has_flag = json_object_get(body, "online") || json_object_get(body, "read_only");
	size_t known = (size_t)(has_size + has_shrink + has_flag);
	struct target_spec *target;
	const struct lun_spec *lun = mgmt_find_lun(mgmt, request, path, &target);

	if (!lun)
		return;
	if (json_object_size(body) != known || has_size == has_flag || (has_shrink && !has_size))
		mgmt_answer_error(request, 422, "invalid",
				  "a change of a LUN is one of: size (with or without shrink), online, read_only");
	else if (has_size)
		resize_lun(mgmt, request, lun, body);
	else
		change_flag(mgmt, request, target, lun, body);
}

void mgmt_change_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	json_t *body = mgmt_body(request);

	if (body)
		change_lun(mgmt, request, path, body);
	json_decref(body);
}
