/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures as JSON.
 */
#include "scsi/figures.h"

#include "iscsi/registry.h"
#include "iscsi/server.h"
#include "mgmt/answer.h"
#include "mgmt/figures_view.h"
#include "mgmt/routes.h"
#include "rt/worker.h"
#include "target/figures.h"

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

void mgmt_set_figures(json_t *view, const struct scsi_figures *figures)
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

	if (counters && unit->logical_unit)
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

		for (unsigned worker = 0; unit->logical_unit && worker < rt_workers_count(); worker++)
			scsi_logical_unit_add_figures(unit->logical_unit, worker, &figures);
		if (view)
			mgmt_set_figures(view, &figures);
		json_array_append_new(list, view);
	}
	return list;
}

/* Which unit stands behind which LUN, for those who look for LUNs. */
static json_t *luns_view(struct mgmt *mgmt)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	json_t *list = json_array();

	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].lun_count; k++) {
			const struct lun_spec *lun = &configuration->targets[i].luns[k];

			json_array_append_new(list, json_pack("{sssiss}", "target", configuration->targets[i].name,
							      "lun", (int)lun->lun, "unit",
							      target_model_unit(mgmt->model, lun)->name));
		}
	return list;
}

static json_t *workers_view(struct mgmt *mgmt)
{
	json_t *list = json_array();

	for (unsigned worker = 0; worker < rt_workers_count(); worker++) {
		json_t *view = json_pack("{si}", "worker", (int)worker);
		struct scsi_figures figures = {0};

		target_figures_of_worker(mgmt->model, worker, &figures);
		if (view)
			mgmt_set_figures(view, &figures);
		json_array_append_new(list, view);
	}
	return list;
}

static json_t *plugins_view(struct mgmt *mgmt)
{
	json_t *list = json_array();

	for (size_t i = 0; i < store_plugins_count(); i++) {
		const struct store_plugin *plugin = store_plugins_get(i);
		json_t *view = json_pack("{ss}", "plugin", plugin->descriptor->name);
		struct scsi_figures figures = {0};

		target_figures_of_plugin(mgmt->model, plugin, &figures);
		if (view)
			mgmt_set_figures(view, &figures);
		json_array_append_new(list, view);
	}
	return list;
}

void mgmt_set_traffic(json_t *view, uint64_t r2ts, uint64_t received_bytes, uint64_t sent_bytes)
{
	json_object_set_new(view, "r2ts", json_integer((json_int_t)r2ts));
	json_object_set_new(view, "received_bytes", json_integer((json_int_t)received_bytes));
	json_object_set_new(view, "sent_bytes", json_integer((json_int_t)sent_bytes));
}

static json_t *portals_view(void)
{
	struct iscsi_portal_view *portals = NULL;
	json_t *list = json_array();
	size_t count = 0;

	if (iscsi_registry_list_portals(&portals, &count))
		return list;
	for (size_t i = 0; i < count; i++) {
		const struct iscsi_portal_view *portal = &portals[i];
		json_t *view = json_pack("{sssisIsIsi}", "portal", portal->address, "portal_group", (int)portal->tag,
					 "connections_total", (json_int_t)portal->connections, "sessions_total",
					 (json_int_t)portal->sessions, "sessions", (int)portal->open_sessions);

		if (view) {
			mgmt_set_figures(view, &portal->figures);
			mgmt_set_traffic(view, portal->r2ts, portal->received_bytes, portal->sent_bytes);
		}
		json_array_append_new(list, view);
	}
	free(portals);
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
			 json_pack("{sosososososIsI}", "units", units_view(mgmt), "workers", workers_view(mgmt),
				   "plugins", plugins_view(mgmt), "portals", portals_view(), "luns", luns_view(mgmt),
				   "connections", (json_int_t)iscsi_server_connection_count(), "sessions",
				   (json_int_t)count));
}
