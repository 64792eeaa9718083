/* SPDX-License-Identifier: Apache-2.0
 *
 * The administrator's configuration, read anew: what became of each object.
 */
#include <stdlib.h>
#include <string.h>

#include "config/state.h"
#include "config/tree.h"
#include "mgmt/answer.h"
#include "mgmt/compare.h"
#include "mgmt/operation.h"
#include "mgmt/routes.h"
#include "rt/log.h"

/* ---- What could not be had is not in force ---------------------------------------------------------------------- */

/* The LUN in the text of the new configuration becomes what it is in that of the old one, or goes. */
static void correct_lun(config_t *tree, const config_t *old_tree, const struct target_change_failure *failure)
{
	config_setting_t *target = conf_state_target(tree, failure->target), *old_target, *lun, *before = NULL;

	lun = target ? conf_state_lun(target, failure->lun) : NULL;
	if (!lun)
		return;
	old_target = failure->as_before ? conf_state_target(old_tree, failure->target) : NULL;
	if (old_target)
		before = conf_state_lun(old_target, failure->lun);
	if (before)
		conf_tree_copy(config_setting_parent(lun), before);
	conf_state_remove(lun);
}

/* So that "config show" shows what there is, and the next reload tries again. */
static void correct_text(struct target_configuration *base, const struct target_configuration *old_base,
			 const struct target_change *change)
{
	config_t tree, old_tree;
	char *text = NULL;

	config_init(&tree);
	config_init(&old_tree);
	if (config_read_string(&tree, base->text) && config_read_string(&old_tree, old_base->text)) {
		for (size_t i = 0; i < change->failure_count; i++)
			if (change->failures[i].target && !change->failures[i].awaited)
				correct_lun(&tree, &old_tree, &change->failures[i]);
		text = conf_tree_text(&tree, &base->arena);
	}
	if (text)
		base->text = text;
	config_destroy(&tree);
	config_destroy(&old_tree);
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

/* A level that was set at run time stays as long as the file says what it said. */
static void take_log_level(const struct daemon_spec *old, const struct daemon_spec *wanted)
{
	enum rt_log_level level;

	if (strcmp(old->log_level, wanted->log_level) && !rt_log_level_parse(wanted->log_level, &level))
		rt_log_set_level(level);
}

/* What waits for its store is in force. */
static size_t count_failed(const struct target_change *change)
{
	size_t count = 0;

	for (size_t i = 0; i < change->failure_count; i++)
		count += !change->failures[i].awaited;
	return count;
}

static void reloaded(struct mgmt_operation *operation)
{
	const struct target_change *change = &operation->change;
	size_t failed = count_failed(change);
	const struct target_configuration *old = operation->old;
	struct target_configuration *now = target_model_configuration(operation->mgmt->model);
	json_t *results = mgmt_compare(old, now, change->failures, change->failure_count);

	if (change->failure_count && now->base && now->base->text && old->base && old->base->text)
		correct_text(now->base, old->base, change);
	take_log_level(&old->daemon, &now->daemon);
	rt_log(RT_LOG_INFO, "reload: done, %zu objects differ", json_array_size(results) - change->failure_count);
	if (failed)
		rt_log(RT_LOG_ERROR, "reload: %zu objects could not be changed", failed);
	if (operation->request)
		mgmt_answer_json(operation->request, 200,
				 json_pack("{sOsOsI}", "results", results, "warnings", operation->warnings, "failed",
					   (json_int_t)failed));
	json_decref(results);
}

static void start(struct mgmt *mgmt, struct mgmt_request *request)
{
	struct mgmt_operation *operation = mgmt_operation_create(mgmt, request);

	if (!operation)
		return;
	operation->may_reopen = true;
	operation->answer = reloaded;
	mgmt_operation_start(operation);
}

void mgmt_reload(struct mgmt *mgmt)
{
	start(mgmt, NULL);
}

void mgmt_post_config(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	(void)path;
	if (mgmt_request_query(request, "reload"))
		start(mgmt, request);
	else
		mgmt_answer_error(request, 400, "bad_query", "what is to be done is missing: POST /v1/config?reload");
}
