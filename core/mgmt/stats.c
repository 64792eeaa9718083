/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures as JSON.
 */
#include "scsi/figures.h"

#include "iscsi/registry.h"
#include "iscsi/server.h"
#include "mgmt/answer.h"
#include "mgmt/routes.h"
#include "rt/worker.h"

#include <stdlib.h>

/* Bucket i ends at first_bucket_ns * 2^i. */
static json_t *latency_view(const struct scsi_figures *figures)
{
	json_t *buckets = json_array();

	for (unsigned i = 0; i < SCSI_FIGURES_BUCKETS; i++)
		json_array_append_new(buckets, json_integer((json_int_t)figures->latency[i]));
	return json_pack("{sIsIso}", "first_bucket_ns", (json_int_t)1 << SCSI_FIGURES_BUCKET_SHIFT, "total_ns",
			 (json_int_t)figures->latency_ns, "buckets", buckets);
}

static json_t *errors_view(const struct scsi_figures *figures)
{
	json_t *errors = json_object();
	char key[8];

	for (unsigned i = 0; i < SCSI_FIGURES_SENSE_KEYS; i++) {
		if (!figures->errors[i])
			continue;
		snprintf(key, sizeof(key), "%u", i);
		json_object_set_new(errors, key, json_integer((json_int_t)figures->errors[i]));
	}
	return errors;
}

static void set_figures(json_t *view, const struct scsi_figures *figures)
{
	json_t *operations = json_pack("{sIsIsIsI}", "read", (json_int_t)figures->ended[SCSI_FIGURES_READ], "write",
				       (json_int_t)figures->ended[SCSI_FIGURES_WRITE], "flush",
				       (json_int_t)figures->ended[SCSI_FIGURES_FLUSH], "other",
				       (json_int_t)figures->ended[SCSI_FIGURES_OTHER]);

	json_object_set_new(view, "operations", operations);
	json_object_set_new(view, "read_bytes", json_integer((json_int_t)figures->read_bytes));
	json_object_set_new(view, "written_bytes", json_integer((json_int_t)figures->written_bytes));
	json_object_set_new(view, "queue_depth", json_integer((json_int_t)scsi_figures_queue_depth(figures)));
	json_object_set_new(view, "errors", errors_view(figures));
	json_object_set_new(view, "latency", latency_view(figures));
}

static json_t *plugin_counters(const struct target_unit *unit)
{
	const struct tgtkit_counter *counters = unit->spec->plugin->descriptor->counters;
	uint64_t values[STORE_MAXIMUM_COUNTERS] = {0};
	json_t *view = json_object();

	if (counters)
		store_read_counters(unit->store, values);
	for (size_t i = 0; counters && counters[i].name; i++)
		json_object_set_new(view, counters[i].name, json_integer((json_int_t)values[i]));
	return view;
}

static json_t *units_view(struct mgmt *mgmt)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	json_t *list = json_array();

	for (size_t i = 0; i < configuration->unit_count; i++) {
		const struct target_unit *unit = target_model_unit(mgmt->model, configuration->units[i].lun);
		json_t *view = json_pack("{ssso}", "unit", unit->name, "plugin_counters", plugin_counters(unit));
		struct scsi_figures figures = {0};

		for (unsigned worker = 0; worker < rt_workers_count(); worker++)
			scsi_logical_unit_add_figures(unit->logical_unit, worker, &figures);
		if (view)
			set_figures(view, &figures);
		json_array_append_new(list, view);
	}
	return list;
}

/* Of the units that are served now. */
static json_t *workers_view(struct mgmt *mgmt)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	json_t *list = json_array();

	for (unsigned worker = 0; worker < rt_workers_count(); worker++) {
		json_t *view = json_pack("{si}", "worker", (int)worker);
		struct scsi_figures figures = {0};

		for (size_t i = 0; i < configuration->unit_count; i++)
			scsi_logical_unit_add_figures(
			    target_model_unit(mgmt->model, configuration->units[i].lun)->logical_unit, worker,
			    &figures);
		if (view)
			set_figures(view, &figures);
		json_array_append_new(list, view);
	}
	return list;
}

void mgmt_get_stats(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct iscsi_session_view *sessions = NULL;
	size_t count = 0;

	(void)path;
	iscsi_registry_list(&sessions, &count);
	free(sessions);
	mgmt_answer_json(request, 200,
			 json_pack("{sososIsI}", "units", units_view(mgmt), "workers", workers_view(mgmt),
				   "connections", (json_int_t)iscsi_server_connection_count(), "sessions",
				   (json_int_t)count));
}
