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
#include "mgmt/routes.h"
#include "rt/worker.h"
#include "scsi/figures.h"

struct unit_figures {
	const struct target_unit *unit;
	struct scsi_figures sum;
};

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value; backslash, quote and line feed are escaped. */
static void label(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
	fputc('"', out);
}

static void sample(FILE *out, const char *name, const struct unit_figures *figures, const char *key, const char *value,
		   uint64_t number)
{
	fprintf(out, "%s{", name);
	label(out, "unit", figures->unit->name);
	if (key) {
		fputc(',', out);
		label(out, key, value);
	}
	fprintf(out, "} %" PRIu64 "\n", number);
}

static void write_operations(FILE *out, const struct unit_figures *all, size_t count)
{
	static const char *const kinds[] = {"read", "write", "flush", "other"};

	family(out, "tgtkit_unit_operations_total", "counter", "SCSI commands that have ended");
	for (size_t i = 0; i < count; i++)
		for (unsigned kind = 0; kind < SCSI_FIGURES_KINDS; kind++)
			sample(out, "tgtkit_unit_operations_total", &all[i], "kind", kinds[kind],
			       all[i].sum.ended[kind]);
	family(out, "tgtkit_unit_bytes_total", "counter", "Bytes moved by reads and writes");
	for (size_t i = 0; i < count; i++) {
		sample(out, "tgtkit_unit_bytes_total", &all[i], "direction", "read", all[i].sum.read_bytes);
		sample(out, "tgtkit_unit_bytes_total", &all[i], "direction", "written", all[i].sum.written_bytes);
	}
}

static void write_errors(FILE *out, const struct unit_figures *all, size_t count)
{
	char key[8];

	family(out, "tgtkit_unit_errors_total", "counter", "Commands answered by CHECK CONDITION, by sense key");
	for (size_t i = 0; i < count; i++)
		for (unsigned sense = 0; sense < SCSI_FIGURES_SENSE_KEYS; sense++) {
			snprintf(key, sizeof(key), "%u", sense);
			if (all[i].sum.errors[sense])
				sample(out, "tgtkit_unit_errors_total", &all[i], "sense_key", key,
				       all[i].sum.errors[sense]);
		}
}

static void write_latency(FILE *out, const struct unit_figures *figures)
{
	uint64_t below = 0;
	char bound[32];

	for (unsigned i = 0; i < SCSI_FIGURES_BUCKETS; i++) {
		below += figures->sum.latency[i];
		if (i + 1 < SCSI_FIGURES_BUCKETS)
			snprintf(bound, sizeof(bound), "%.9f",
				 (double)(UINT64_C(1) << (i + SCSI_FIGURES_BUCKET_SHIFT)) / 1e9);
		else
			snprintf(bound, sizeof(bound), "+Inf");
		sample(out, "tgtkit_unit_latency_seconds_bucket", figures, "le", bound, below);
	}
	fputs("tgtkit_unit_latency_seconds_sum{", out);
	label(out, "unit", figures->unit->name);
	fprintf(out, "} %.9f\n", (double)figures->sum.latency_ns / 1e9);
	sample(out, "tgtkit_unit_latency_seconds_count", figures, NULL, NULL, below);
}

static void write_gauges(FILE *out, const struct unit_figures *all, size_t count)
{
	family(out, "tgtkit_unit_queue_depth", "gauge", "Commands that run now");
	for (size_t i = 0; i < count; i++)
		sample(out, "tgtkit_unit_queue_depth", &all[i], NULL, NULL, scsi_figures_queue_depth(&all[i].sum));
	family(out, "tgtkit_unit_size_bytes", "gauge", "Size of the backing store");
	for (size_t i = 0; i < count; i++)
		sample(out, "tgtkit_unit_size_bytes", &all[i], NULL, NULL, store_size_bytes(all[i].unit->store));
	family(out, "tgtkit_unit_online", "gauge", "1: the administrator has it online");
	for (size_t i = 0; i < count; i++)
		sample(out, "tgtkit_unit_online", &all[i], NULL, NULL, all[i].unit->online);
}

/* All samples of one name stand together: for each plugin and counter, its units. */
static void write_plugin_counter(FILE *out, const struct store_plugin *plugin, size_t index,
				 const struct unit_figures *all, size_t count)
{
	const struct tgtkit_counter *counter = &plugin->descriptor->counters[index];
	uint64_t values[STORE_MAXIMUM_COUNTERS] = {0};
	char name[256];

	snprintf(name, sizeof(name), "tgtkit_plugin_%s_%s%s", plugin->descriptor->name, counter->name,
		 counter->is_gauge ? "" : "_total");
	/* A plugin's name may have what a metric's may not. */
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	family(out, name, counter->is_gauge ? "gauge" : "counter", counter->help);
	for (size_t i = 0; i < count; i++) {
		if (all[i].unit->spec->plugin != plugin)
			continue;
		store_read_counters(all[i].unit->store, values);
		sample(out, name, &all[i], NULL, NULL, values[index]);
	}
}

static void write_plugins(FILE *out, const struct unit_figures *all, size_t count)
{
	for (size_t i = 0; i < store_plugins_count(); i++) {
		const struct store_plugin *plugin = store_plugins_get(i);
		const struct tgtkit_counter *counters = plugin->descriptor->counters;

		for (size_t k = 0; counters && counters[k].name; k++)
			write_plugin_counter(out, plugin, k, all, count);
	}
}

static void write_daemon(FILE *out)
{
	struct iscsi_session_view *sessions = NULL;
	size_t count = 0;

	iscsi_registry_list(&sessions, &count);
	free(sessions);
	family(out, "tgtkit_build_info", "gauge", "Always 1; the version is in the label");
	fputs("tgtkit_build_info{version=\"" PACKAGE_VERSION "\"} 1\n", out);
	family(out, "tgtkit_sessions", "gauge", "Sessions in the full feature phase");
	fprintf(out, "tgtkit_sessions %zu\n", count);
	family(out, "tgtkit_connections", "gauge", "TCP connections to portals");
	fprintf(out, "tgtkit_connections %u\n", iscsi_server_connection_count());
}

static void write_all(FILE *out, const struct unit_figures *all, size_t count)
{
	write_daemon(out);
	write_operations(out, all, count);
	write_errors(out, all, count);
	family(out, "tgtkit_unit_latency_seconds", "histogram", "From the execution of a command to its end");
	for (size_t i = 0; i < count; i++)
		write_latency(out, &all[i]);
	write_gauges(out, all, count);
	write_plugins(out, all, count);
}

void mgmt_get_metrics(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	const struct target_configuration *configuration = target_model_configuration(mgmt->model);
	struct unit_figures *all = calloc(configuration->unit_count + 1, sizeof(*all));
	char *text = NULL;
	size_t length = 0;
	FILE *out = all ? open_memstream(&text, &length) : NULL;

	(void)path;
	if (!out) {
		free(all);
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	for (size_t i = 0; i < configuration->unit_count; i++) {
		all[i].unit = target_model_unit(mgmt->model, configuration->units[i].lun);
		for (unsigned worker = 0; worker < rt_workers_count(); worker++)
			scsi_logical_unit_add_figures(all[i].unit->logical_unit, worker, &all[i].sum);
	}
	write_all(out, all, configuration->unit_count);
	free(all);
	if (fclose(out)) {
		free(text);
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	mgmt_request_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
