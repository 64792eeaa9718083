/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures in the Prometheus text format, version 0.0.4.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/registry.h"
#include "iscsi/server.h"
#include "mgmt/answer.h"
#include "mgmt/metrics_scopes.h"
#include "mgmt/routes.h"
#include "rt/worker.h"
#include "target/figures.h"

/* More sessions are counted by portal only: each is about fifty lines, which this thread has to write. */
#define MOST_SESSIONS 500u

static void free_rows(struct metrics_row *rows, size_t count)
{
	for (size_t i = 0; rows && i < count; i++)
		free(rows[i].labels);
	free(rows);
}

/* ---- Units ------------------------------------------------------------------------------------------------------ */

/* All samples of one name stand together: for each plugin and counter, its units. */
static void write_plugin_counter(FILE *out, struct mgmt *mgmt, const struct store_plugin *plugin, size_t index,
				 const struct metrics_row *rows)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	const struct tgtkit_counter *counter = &plugin->descriptor->counters[index];
	uint64_t values[STORE_MAXIMUM_COUNTERS] = {0};
	char name[256];

	snprintf(name, sizeof(name), "tgtkit_plugin_%s_%s%s", plugin->descriptor->name, counter->name,
		 counter->is_gauge ? "" : "_total");
	/* A plugin's name may have what a metric's may not. */
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	metrics_family(out, name, counter->is_gauge ? "gauge" : "counter", counter->help);
	for (size_t i = 0; i < configuration->unit_count; i++) {
		const struct target_unit *unit = target_model_unit(mgmt->model, configuration->units[i].lun);

		if (configuration->units[i].plugin != plugin || !rows[i].labels || !unit->logical_unit)
			continue;
		store_read_counters(unit->store, values);
		metrics_sample(out, name, rows[i].labels, NULL, values[index]);
	}
}

static uint64_t unit_size(const struct target_unit *unit)
{
	return unit->logical_unit ? store_size_bytes(unit->store) : 0;
}

static uint64_t unit_is_online(const struct target_unit *unit)
{
	return unit->logical_unit && unit->online;
}

static uint64_t unit_is_waiting(const struct target_unit *unit)
{
	return target_unit_is_waiting(unit);
}

static void write_unit_gauge(FILE *out, struct mgmt *mgmt, const struct metrics_row *rows, const char *name,
			     const char *help, uint64_t (*value)(const struct target_unit *unit))
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);

	metrics_family(out, name, "gauge", help);
	for (size_t i = 0; i < configuration->unit_count; i++)
		if (rows[i].labels)
			metrics_sample(out, name, rows[i].labels, NULL,
				       value(target_model_unit(mgmt->model, configuration->units[i].lun)));
}

static void write_unit_gauges(FILE *out, struct mgmt *mgmt, const struct metrics_row *rows)
{
	write_unit_gauge(out, mgmt, rows, "tgtkit_unit_size_bytes", "Size of the backing store", unit_size);
	write_unit_gauge(out, mgmt, rows, "tgtkit_unit_online",
			 "1: the administrator has it online, and its store is open", unit_is_online);
	write_unit_gauge(out, mgmt, rows, "tgtkit_unit_waiting",
			 "1: its store could not be opened yet, and is tried again", unit_is_waiting);
}

static void write_units(FILE *out, struct mgmt *mgmt)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	struct metrics_row *rows = calloc(configuration->unit_count + 1, sizeof(*rows));

	for (size_t i = 0; rows && i < configuration->unit_count; i++) {
		const struct target_unit *unit = target_model_unit(mgmt->model, configuration->units[i].lun);

		rows[i].labels = metrics_label(NULL, "unit", unit->name);
		for (unsigned worker = 0; unit->logical_unit && worker < rt_workers_count(); worker++)
			scsi_logical_unit_add_figures(unit->logical_unit, worker, &rows[i].figures);
	}
	if (!rows)
		return;
	metrics_write_scope(out, "tgtkit_unit", "a logical unit", rows, configuration->unit_count);
	write_unit_gauges(out, mgmt, rows);
	for (size_t i = 0; i < store_plugins_count(); i++) {
		const struct store_plugin *plugin = store_plugins_get(i);

		for (size_t k = 0; plugin->descriptor->counters && plugin->descriptor->counters[k].name; k++)
			write_plugin_counter(out, mgmt, plugin, k, rows);
	}
	free_rows(rows, configuration->unit_count);
}

/* ---- Workers and plugins ---------------------------------------------------------------------------------------- */

static void write_workers(FILE *out, struct mgmt *mgmt)
{
	unsigned count = rt_workers_count();
	struct metrics_row *rows = calloc(count + 1, sizeof(*rows));
	char number[16];

	for (unsigned i = 0; rows && i < count; i++) {
		snprintf(number, sizeof(number), "%u", i);
		rows[i].labels = metrics_label(NULL, "worker", number);
		target_figures_of_worker(mgmt->model, i, &rows[i].figures);
	}
	if (rows)
		metrics_write_scope(out, "tgtkit_worker", "a worker thread", rows, count);
	free_rows(rows, count);
}

static void write_plugins(FILE *out, struct mgmt *mgmt)
{
	size_t count = store_plugins_count();
	struct metrics_row *rows = calloc(count + 1, sizeof(*rows));

	for (size_t i = 0; rows && i < count; i++) {
		rows[i].labels = metrics_label(NULL, "plugin", store_plugins_get(i)->descriptor->name);
		target_figures_of_plugin(mgmt->model, store_plugins_get(i), &rows[i].figures);
	}
	if (rows)
		metrics_write_scope(out, "tgtkit_backend", "a plugin's units", rows, count);
	free_rows(rows, count);
}

/* ---- Portals and sessions --------------------------------------------------------------------------------------- */

static void write_numbers(FILE *out, const char *name, const char *type, const char *help,
			  const struct metrics_row *rows, size_t count, const uint64_t *(*find)(const void *, size_t),
			  const void *views)
{
	metrics_family(out, name, type, help);
	for (size_t i = 0; i < count; i++)
		if (rows[i].labels)
			metrics_sample(out, name, rows[i].labels, NULL, *find(views, i));
}

#define FINDER(function, type, member)                                                                                 \
	static const uint64_t *function(const void *views, size_t index)                                               \
	{                                                                                                              \
		return &((const struct type *)views)[index].member;                                                    \
	}
FINDER(portal_connections, iscsi_portal_view, connections)
FINDER(portal_sessions, iscsi_portal_view, sessions)
FINDER(portal_r2ts, iscsi_portal_view, r2ts)
FINDER(portal_received, iscsi_portal_view, received_bytes)
FINDER(portal_sent, iscsi_portal_view, sent_bytes)
FINDER(session_r2ts, iscsi_session_view, r2ts)
FINDER(session_received, iscsi_session_view, received_bytes)
FINDER(session_sent, iscsi_session_view, sent_bytes)

static void write_portals(FILE *out)
{
	struct iscsi_portal_view *views = NULL;
	struct metrics_row *rows;
	char tag[16];
	size_t count;

	if (iscsi_registry_list_portals(&views, &count))
		return;
	rows = calloc(count + 1, sizeof(*rows));
	for (size_t i = 0; rows && i < count; i++) {
		snprintf(tag, sizeof(tag), "%u", views[i].tag);
		rows[i].labels = metrics_label(metrics_label(NULL, "portal", views[i].address), "portal_group", tag);
		rows[i].figures = views[i].figures;
	}
	if (rows) {
		metrics_write_scope(out, "tgtkit_portal", "the sessions through a portal", rows, count);
		write_numbers(out, "tgtkit_portal_connections_total", "counter", "TCP connections accepted", rows,
			      count, portal_connections, views);
		write_numbers(out, "tgtkit_portal_sessions_total", "counter", "Sessions begun", rows, count,
			      portal_sessions, views);
		write_numbers(out, "tgtkit_portal_r2ts_total", "counter", "R2Ts sent", rows, count, portal_r2ts, views);
		write_numbers(out, "tgtkit_portal_received_bytes_total", "counter", "Bytes received in sessions", rows,
			      count, portal_received, views);
		write_numbers(out, "tgtkit_portal_sent_bytes_total", "counter", "Bytes sent in sessions", rows, count,
			      portal_sent, views);
	}
	free_rows(rows, count);
	free(views);
}

static char *session_labels(const struct iscsi_session_view *view)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", view->tsih);
	return metrics_label(metrics_label(metrics_label(NULL, "session", id), "initiator", view->initiator_name),
			     "target", view->target_name);
}

static void write_sessions(FILE *out)
{
	struct iscsi_session_view *views = NULL;
	struct metrics_row *rows;
	size_t all, count;

	if (iscsi_registry_list(&views, &all))
		return;
	count = all < MOST_SESSIONS ? all : MOST_SESSIONS;
	rows = calloc(count + 1, sizeof(*rows));
	for (size_t i = 0; rows && i < count; i++) {
		rows[i].labels = session_labels(&views[i]);
		rows[i].figures = views[i].figures;
	}
	metrics_family(out, "tgtkit_sessions", "gauge", "Sessions in the full feature phase");
	fprintf(out, "tgtkit_sessions %zu\n", all);
	metrics_family(out, "tgtkit_sessions_left_out", "gauge",
		       "Sessions that have no metrics of their own here, as there are too many");
	fprintf(out, "tgtkit_sessions_left_out %zu\n", all - count);
	if (rows) {
		metrics_write_scope(out, "tgtkit_session", "a session", rows, count);
		write_numbers(out, "tgtkit_session_r2ts_total", "counter", "R2Ts sent", rows, count, session_r2ts,
			      views);
		write_numbers(out, "tgtkit_session_received_bytes_total", "counter", "Bytes received", rows, count,
			      session_received, views);
		write_numbers(out, "tgtkit_session_sent_bytes_total", "counter", "Bytes sent", rows, count,
			      session_sent, views);
	}
	free_rows(rows, count);
	free(views);
}

/* ---- The request ------------------------------------------------------------------------------------------------ */

static void write_all(FILE *out, struct mgmt *mgmt)
{
	metrics_family(out, "tgtkit_build_info", "gauge", "Always 1; the version is in the label");
	fputs("tgtkit_build_info{version=\"" PACKAGE_VERSION "\"} 1\n", out);
	metrics_family(out, "tgtkit_connections", "gauge", "TCP connections to portals");
	fprintf(out, "tgtkit_connections %u\n", iscsi_server_connection_count());
	write_units(out, mgmt);
	write_workers(out, mgmt);
	write_plugins(out, mgmt);
	write_portals(out);
	write_sessions(out);
}

void mgmt_get_metrics(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	(void)path;
	if (out)
		write_all(out, mgmt);
	if (!out || fclose(out)) {
		free(text);
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	mgmt_request_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
