/* SPDX-License-Identifier: Apache-2.0
 *
 * How much the log says, until the next start or until the configuration file asks for another level.
 */
#include <string.h>

#include "mgmt/access.h"
#include "mgmt/answer.h"
#include "mgmt/routes.h"
#include "rt/log.h"

static void answer_level(struct mgmt_request *request)
{
	mgmt_answer_json(request, 200, json_pack("{ss}", "level", rt_log_level_name(rt_log_level())));
}

void mgmt_get_log(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	(void)mgmt;
	(void)path;
	answer_level(request);
}

static void change(struct mgmt_request *request, const json_t *body)
{
	const char *name = json_string_value(json_object_get(body, "level"));
	enum rt_log_level level;

	if (!name || rt_log_level_parse(name, &level)) {
		mgmt_answer_error(request, 422, "invalid", "level must be error, warning, info or debug");
		return;
	}
	rt_log_set_level(level);
	rt_log(level, "the log level is %s now", name);
	answer_level(request);
}

void mgmt_change_log(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	static const char *const keys[] = {"level", NULL};
	json_t *body = mgmt_access_body(request, keys);

	(void)mgmt;
	(void)path;
	if (body)
		change(request, body);
	json_decref(body);
}
