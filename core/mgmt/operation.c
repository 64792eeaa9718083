/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/operation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "config/restart.h"
#include "config/state.h"
#include "config/tree.h"
#include "mgmt/answer.h"
#include "mgmt/routes.h"
#include "mgmt/secrets.h"
#include "rt/log.h"
#include "target/check.h"

static void start_first(struct mgmt *mgmt);

struct mgmt_operation *mgmt_operation_create(struct mgmt *mgmt, struct mgmt_request *request)
{
	struct mgmt_operation *operation = calloc(1, sizeof(*operation));

	if (!operation) {
		if (request)
			mgmt_answer_error(request, 500, "internal", "out of memory");
		return NULL;
	}
	operation->mgmt = mgmt;
	operation->request = request;
	operation->warnings = json_array();
	rt_list_init(&operation->node);
	config_init(&operation->tree);
	return operation;
}

static void operation_free(struct mgmt_operation *operation)
{
	json_decref(operation->body);
	json_decref(operation->warnings);
	config_destroy(&operation->tree);
	target_configuration_drop(operation->configuration);
	target_configuration_drop(operation->old);
	target_configuration_drop(operation->between);
	free(operation->name);
	free(operation->text);
	free(operation->kept_text);
	free(operation);
}

/* It has been answered: the next one's turn. */
static void end(struct mgmt_operation *operation)
{
	struct mgmt *mgmt = operation->mgmt;

	rt_list_remove(&operation->node);
	operation_free(operation);
	start_first(mgmt);
	mgmt_check_stopped(mgmt);
}

static void answer_and_end(struct mgmt_operation *operation)
{
	if (!operation->outcome.status)
		operation->answer(operation);
	else if (operation->request)
		mgmt_answer_error(operation->request, operation->outcome.status, operation->outcome.code, "%s",
				  operation->outcome.message);
	else
		rt_log(RT_LOG_ERROR, "reload: nothing has changed: %s", operation->outcome.message);
	end(operation);
}

static void swept(struct rt_post *post)
{
	answer_and_end(RT_CONTAINER_OF(post, struct mgmt_operation, swept));
}

/* Secrets that the change brought and that did not come into force, or that it took away. */
static void sweep(struct store_job *job)
{
	struct mgmt_operation *operation = RT_CONTAINER_OF(job, struct mgmt_operation, job);
	const struct target_state_folder *folder = target_model_state_folder(operation->mgmt->model);
	const struct target_configuration *now = operation->outcome.status ? operation->old : operation->configuration;
	const char *texts[] = {now->text, now->base ? now->base->text : NULL};

	if (folder)
		target_secrets_sweep(folder, texts, sizeof(texts) / sizeof(*texts));
	rt_loop_post(operation->mgmt->control, &operation->swept);
}

/* It is over; `outcome` says how. */
static void conclude(struct mgmt_operation *operation)
{
	if (!operation->edit || !operation->old) {
		answer_and_end(operation);
		return;
	}
	operation->job.run = sweep;
	operation->swept.run = swept;
	store_pool_submit_control(&operation->job);
}

void mgmt_operation_fail(struct mgmt_operation *operation, unsigned status, const char *code, const char *message)
{
	operation->outcome.status = status;
	operation->outcome.code = code;
	snprintf(operation->outcome.message, sizeof(operation->outcome.message), "%s", message);
	conclude(operation);
}

void mgmt_operation_applied(struct mgmt_operation *operation)
{
	conclude(operation);
}

static void prepared(struct rt_post *post)
{
	struct mgmt_operation *operation = RT_CONTAINER_OF(post, struct mgmt_operation, prepared);

	if (operation->secret_not_kept)
		mgmt_operation_fail(operation, 500, "state_not_kept", operation->problems);
	else if (operation->problems_length)
		mgmt_operation_fail(operation, 422, "invalid", operation->problems);
	else
		mgmt_operation_apply(operation);
}

/* ---- Read and check, on the pool -------------------------------------------------------------------------------- */

static void take_problem(void *context, const char *line)
{
	struct mgmt_operation *operation = context;
	size_t room = sizeof(operation->problems) - operation->problems_length;
	int length = snprintf(operation->problems + operation->problems_length, room, "%s%s",
			      operation->problems_length ? "; " : "", line);

	if (length > 0)
		operation->problems_length += (size_t)length < room ? (size_t)length : room - 1;
}

static void take_warning(void *context, const char *line)
{
	struct mgmt_operation *operation = context;

	rt_log(RT_LOG_WARNING, "%s", line);
	json_array_append_new(operation->warnings, json_string(line));
}

/* Only a reload reads the administrator's configuration anew. */
static struct target_configuration *base_of(struct mgmt_operation *operation, struct spec_problems *problems)
{
	const struct mgmt_options *options = &operation->mgmt->options;
	struct spec_problems warnings = {.report = take_warning, .context = operation};
	struct target_configuration *base;

	if (operation->edit)
		return target_configuration_hold(operation->old->base);
	base = target_configuration_new();
	options->read_configuration(options->context, base, problems);
	if (!problems->count)
		conf_keep_until_restart(&operation->old->daemon, base, &warnings);
	return base;
}

static void scan_plugins(const struct daemon_spec *daemon)
{
	mgmt_plugins_lock();
	store_plugins_scan(daemon->plugin_dirs, daemon->plugin_dir_count);
	mgmt_plugins_unlock();
}

static bool make_texts(struct mgmt_operation *operation)
{
	operation->text = conf_tree_text(&operation->tree, NULL);
	if (operation->edit && operation->text) {
		conf_state_forget_creation(&operation->tree);
		operation->kept_text = conf_tree_text(&operation->tree, NULL);
	}
	return operation->text && (operation->kept_text || !operation->edit);
}

/* The texts, in which no secret stands any more. */
static void write_texts(struct mgmt_operation *operation, struct spec_problems *problems)
{
	const struct target_state_folder *folder = target_model_state_folder(operation->mgmt->model);

	if (operation->edit)
		operation->secret_not_kept = mgmt_secrets_move(&operation->tree, folder, problems) != 0;
	if (make_texts(operation))
		return;
	problems->report(problems->context, "out of memory");
	problems->count++;
}

static void prepare(struct store_job *job)
{
	struct mgmt_operation *operation = RT_CONTAINER_OF(job, struct mgmt_operation, job);
	struct spec_problems problems = {.report = take_problem, .context = operation};
	struct spec_problems warnings = {.report = take_warning, .context = operation};
	struct target_configuration *own = target_configuration_new();
	struct target_configuration *base = base_of(operation, &problems);

	conf_init(own);
	write_texts(operation, &problems);
	if (!problems.count)
		conf_read_text(operation->edit ? "request" : TARGET_STATE_FILE, operation->text, own, &problems);
	operation->configuration = own;
	if (!problems.count) {
		target_configuration_merge(own, base, &warnings);
		if (!operation->edit)
			scan_plugins(&own->daemon);
		target_check(own, &problems);
	}
	/* What is in force from now on is what would be read at the next start. */
	if (!problems.count && operation->kept_text)
		own->text = target_arena_strdup(&own->arena, operation->kept_text);
	target_configuration_drop(base);
	rt_loop_post(operation->mgmt->control, &operation->prepared);
}

/* ---- Edit ------------------------------------------------------------------------------------------------------- */

static void begin(struct mgmt_operation *operation)
{
	struct target_configuration *configuration = target_model_configuration(operation->mgmt->model);

	if (!config_read_string(&operation->tree, configuration->text)) {
		mgmt_operation_fail(operation, 500, "internal", "what the API made cannot be read");
		return;
	}
	if (operation->edit && !operation->edit(operation)) {
		end(operation);
		return;
	}
	operation->old = target_configuration_hold(configuration);
	operation->job.run = prepare;
	operation->prepared.run = prepared;
	store_pool_submit_control(&operation->job);
}

static void start_first(struct mgmt *mgmt)
{
	if (!rt_list_is_empty(&mgmt->operations))
		begin(RT_CONTAINER_OF(mgmt->operations.next, struct mgmt_operation, node));
}

void mgmt_operation_start(struct mgmt_operation *operation)
{
	struct mgmt *mgmt = operation->mgmt;
	bool is_first = rt_list_is_empty(&mgmt->operations);

	rt_list_append(&mgmt->operations, &operation->node);
	if (is_first)
		begin(operation);
}

void mgmt_operations_forget(struct mgmt *mgmt)
{
	while (!rt_list_is_empty(&mgmt->operations) && mgmt->operations.previous != mgmt->operations.next) {
		struct mgmt_operation *last = RT_CONTAINER_OF(mgmt->operations.previous, struct mgmt_operation, node);

		rt_list_remove(&last->node);
		if (last->request)
			mgmt_answer_error(last->request, 503, "stopping", "the daemon is stopping");
		operation_free(last);
	}
}
