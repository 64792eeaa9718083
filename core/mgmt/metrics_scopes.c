/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/metrics_scopes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 256

void metrics_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_escaped(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
}

char *metrics_label(char *labels, const char *key, const char *value)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (out) {
		fprintf(out, "%s%s%s=\"", labels ? labels : "", labels ? "," : "", key);
		put_escaped(out, value);
		fputc('"', out);
		fclose(out);
	}
	free(labels);
	return text;
}

void metrics_sample(FILE *out, const char *name, const char *labels, const char *more, uint64_t number)
{
	fprintf(out, "%s{%s%s%s} %" PRIu64 "\n", name, labels, more ? "," : "", more ? more : "", number);
}

static void write_operations(FILE *out, const char *name, const struct metrics_row *row)
{
	static const char *const kinds[] = {"kind=\"read\"", "kind=\"write\"", "kind=\"flush\"", "kind=\"other\""};

	for (unsigned kind = 0; kind < SCSI_FIGURES_KINDS; kind++)
		metrics_sample(out, name, row->labels, kinds[kind], row->figures.ended[kind]);
}

static void write_bytes(FILE *out, const char *name, const struct metrics_row *row)
{
	metrics_sample(out, name, row->labels, "direction=\"read\"", row->figures.read_bytes);
	metrics_sample(out, name, row->labels, "direction=\"written\"", row->figures.written_bytes);
}

static void write_errors(FILE *out, const char *name, const struct metrics_row *row)
{
	char key[32];

	for (unsigned sense = 0; sense < SCSI_FIGURES_SENSE_KEYS; sense++) {
		snprintf(key, sizeof(key), "sense_key=\"%u\"", sense);
		if (row->figures.errors[sense])
			metrics_sample(out, name, row->labels, key, row->figures.errors[sense]);
	}
}

static void write_latency(FILE *out, const char *name, const struct metrics_row *row)
{
	char part[NAME_BYTES], bound[64];
	uint64_t below = 0;

	snprintf(part, sizeof(part), "%s_bucket", name);
	for (unsigned i = 0; i < SCSI_FIGURES_BUCKETS; i++) {
		below += row->figures.latency[i];
		if (i + 1 < SCSI_FIGURES_BUCKETS)
			snprintf(bound, sizeof(bound), "le=\"%.9f\"",
				 (double)(UINT64_C(1) << (i + SCSI_FIGURES_BUCKET_SHIFT)) / 1e9);
		else
			snprintf(bound, sizeof(bound), "le=\"+Inf\"");
		metrics_sample(out, part, row->labels, bound, below);
	}
	fprintf(out, "%s_sum{%s} %.9f\n", name, row->labels, (double)row->figures.latency_ns / 1e9);
	snprintf(part, sizeof(part), "%s_count", name);
	metrics_sample(out, part, row->labels, NULL, below);
}

static void write_depth(FILE *out, const char *name, const struct metrics_row *row)
{
	metrics_sample(out, name, row->labels, NULL, scsi_figures_queue_depth(&row->figures));
}

void metrics_write_scope(FILE *out, const char *prefix, const char *of, const struct metrics_row *rows, size_t count)
{
	static const struct {
		const char *suffix, *type, *help;
		void (*write)(FILE *out, const char *name, const struct metrics_row *row);
	} families[] = {
	    {"operations_total", "counter", "SCSI commands that have ended", write_operations},
	    {"bytes_total", "counter", "Bytes moved by reads and writes", write_bytes},
	    {"errors_total", "counter", "Commands answered by CHECK CONDITION, by sense key", write_errors},
	    {"latency_seconds", "histogram", "From the execution of a command to its end", write_latency},
	    {"queue_depth", "gauge", "Commands that run now", write_depth},
	};
	char name[NAME_BYTES], help[NAME_BYTES];

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		snprintf(name, sizeof(name), "%s_%s", prefix, families[i].suffix);
		snprintf(help, sizeof(help), "%s, of %s", families[i].help, of);
		metrics_family(out, name, families[i].type, help);
		for (size_t k = 0; k < count; k++)
			if (rows[k].labels)
				families[i].write(out, name, &rows[k]);
	}
}
