/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/mgmt.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mgmt/answer.h"
#include "mgmt/mgmt_private.h"
#include "mgmt/operation.h"
#include "mgmt/routes.h"
#include "rt/log.h"
#include "target/secret_folder.h"

/* A daemon that was killed may have left some of a change that never was. */
static void sweep_secrets(const struct target_model *model)
{
	const struct target_state_folder *folder = target_model_state_folder(model);
	const struct target_configuration *configuration = target_model_configuration(model);
	const char *texts[] = {configuration->text, configuration->base ? configuration->base->text : NULL};

	if (folder)
		target_secrets_sweep(folder, texts, sizeof(texts) / sizeof(*texts));
}

int mgmt_create(const struct mgmt_options *options, struct mgmt **created, char error[static MGMT_ERROR_BYTES])
{
	const struct daemon_spec *daemon = &target_model_configuration(options->model)->daemon;
	struct mgmt *mgmt = calloc(1, sizeof(*mgmt));

	if (!mgmt || !(mgmt->socket_path = strdup(daemon->api.socket))) {
		free(mgmt);
		snprintf(error, MGMT_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	mgmt->options = *options;
	mgmt->model = options->model;
	mgmt->control = options->control;
	mgmt->started_ns = rt_clock_ns();
	mgmt->fd = -1;
	rt_list_init(&mgmt->operations);
	sweep_secrets(mgmt->model);
	if (*mgmt->socket_path) {
		mgmt->fd = mgmt_socket_open(mgmt->socket_path, daemon->api.mode, error);
		if (mgmt->fd < 0) {
			int status = mgmt->fd;

			mgmt_free(mgmt);
			return status;
		}
	}
	*created = mgmt;
	return 0;
}

void mgmt_check_stopped(struct mgmt *mgmt)
{
	void (*stopped)(void *context) = mgmt->stopped;

	if (!stopped || mgmt->verbs || !rt_list_is_empty(&mgmt->operations) ||
	    (mgmt->http && mgmt_http_is_busy(mgmt->http)))
		return;
	mgmt->stopped = NULL;
	stopped(mgmt->stopped_context);
}

static void answer_sent(void *context)
{
	mgmt_check_stopped(context);
}

int mgmt_serve(struct mgmt *mgmt)
{
	int status;

	if (mgmt->fd < 0)
		return 0;
	status = mgmt_http_start(mgmt->control, mgmt->fd, mgmt_route, answer_sent, mgmt, &mgmt->http);
	if (status)
		rt_log(RT_LOG_ERROR, "the API on %s cannot start: %s", mgmt->socket_path, strerror(-status));
	else
		rt_log(RT_LOG_INFO, "the API listens on %s", mgmt->socket_path);
	return status;
}

static void close_socket(struct mgmt *mgmt)
{
	if (mgmt->http && mgmt->fd >= 0)
		mgmt_http_quiesce(mgmt->http);
	if (mgmt->fd >= 0)
		mgmt_socket_close(mgmt->fd, mgmt->socket_path);
	mgmt->fd = -1;
}

void mgmt_stop(struct mgmt *mgmt, void (*stopped)(void *context), void *context)
{
	mgmt->stopped = stopped;
	mgmt->stopped_context = context;
	mgmt->is_stopping = true;
	mgmt_operations_forget(mgmt);
	mgmt_resizes_forget(mgmt);
	close_socket(mgmt);
	mgmt_check_stopped(mgmt);
}

void mgmt_free(struct mgmt *mgmt)
{
	if (!mgmt)
		return;
	close_socket(mgmt);
	if (mgmt->http)
		mgmt_http_stop(mgmt->http);
	free(mgmt->socket_path);
	free(mgmt);
}

static pthread_mutex_t plugins_lock = PTHREAD_MUTEX_INITIALIZER;

void mgmt_plugins_lock(void)
{
	pthread_mutex_lock(&plugins_lock);
}

void mgmt_plugins_unlock(void)
{
	pthread_mutex_unlock(&plugins_lock);
}

/* ---- Objects of a request --------------------------------------------------------------------------------------- */

struct target_spec *mgmt_find_target(struct mgmt *mgmt, struct mgmt_request *request, const char *name)
{
	struct target_configuration *configuration = target_model_configuration(mgmt->model);

	for (size_t i = 0; i < configuration->target_count; i++)
		if (!strcasecmp(configuration->targets[i].name, name))
			return &configuration->targets[i];
	mgmt_answer_error(request, 404, "not_found", "there is no target %s", name);
	return NULL;
}

struct lun_spec *mgmt_find_lun(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path,
			       struct target_spec **owner)
{
	struct target_spec *target = mgmt_find_target(mgmt, request, path->parts[2]);
	uint32_t number;

	if (!target)
		return NULL;
	*owner = target;
	if (mgmt_path_number(path->parts[4], SCSI_MAXIMUM_LUN, &number))
		for (size_t i = 0; i < target->lun_count; i++)
			if (target->luns[i].lun == number)
				return &target->luns[i];
	mgmt_answer_error(request, 404, "not_found", "target %s has no LUN %s", target->name, path->parts[4]);
	return NULL;
}

struct portal_group_spec *mgmt_find_group(struct mgmt *mgmt, struct mgmt_request *request, const char *tag)
{
	struct target_configuration *configuration = target_model_configuration(mgmt->model);
	uint32_t number;

	if (mgmt_path_number(tag, UINT16_MAX, &number))
		for (size_t i = 0; i < configuration->group_count; i++)
			if (configuration->groups[i].tag == number)
				return &configuration->groups[i];
	mgmt_answer_error(request, 404, "not_found", "there is no portal group %s", tag);
	return NULL;
}

bool mgmt_refuse_if_defined(struct mgmt_request *request, bool made_by_api, const struct spec_origin *origin,
			    const char *what)
{
	char place[512];

	if (made_by_api)
		return false;
	spec_origin_format(origin, place, sizeof(place));
	mgmt_answer_error(request, 409, "defined_in_file",
			  "%s is defined in %s; change it there and reload ('tgtkit config reload')", what, place);
	return true;
}
