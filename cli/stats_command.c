/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkit stats: totals once, or rates between two looks, drawn anew.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "show.h"

#define DEFAULT_INTERVAL_S 1
#define LONGEST_INTERVAL_S 3600

static json_int_t member(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static json_t *find_unit(const json_t *stats, const char *name)
{
	json_t *unit;
	size_t index;

	json_array_foreach(json_object_get(stats, "units"), index,
			   unit) if (!strcmp(json_string_value(json_object_get(unit, "unit")), name)) return unit;
	return NULL;
}

/* What has come since `before`; a unit that was made anew meanwhile starts from nothing. */
static double more(const json_t *now, const json_t *before, const char *key)
{
	json_int_t value = member(now, key), old = before ? member(before, key) : 0;

	return (double)(value >= old ? value - old : value);
}

/* The end of the bucket that the fraction of all lies in, in milliseconds. */
static double percentile(const json_t *now, const json_t *before, double fraction)
{
	const json_t *latency = json_object_get(now, "latency"), *buckets = json_object_get(latency, "buckets");
	const json_t *old = json_object_get(json_object_get(before, "latency"), "buckets");
	double bound_ns = (double)member(latency, "first_bucket_ns"), all = 0, below = 0;
	size_t count = json_array_size(buckets);
	double counts[64] = {0};

	for (size_t i = 0; i < count && i < 64; i++) {
		counts[i] = (double)(json_integer_value(json_array_get(buckets, i)) -
				     json_integer_value(json_array_get(old, i)));
		all += counts[i];
	}
	for (size_t i = 0; i < count && i < 64 && all > 0; i++, bound_ns *= 2) {
		below += counts[i];
		if (below >= all * fraction)
			return bound_ns / 1e6;
	}
	return 0;
}

static double sum(const json_t *now, const json_t *before)
{
	double all = 0;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)now, key, value) all += more(now, before, key);
	return all;
}

/* What stands behind one LUN: figures are counted by unit, of which several LUNs may be views. */
static json_t *line_of(const json_t *lun, const json_t *now, const json_t *before, double seconds)
{
	const json_t *operations = json_object_get(now, "operations"), *old = json_object_get(before, "operations");

	return json_pack("{sOsOsfsfsfsfsfsfsfsOsO}", "target", json_object_get(lun, "target"), "lun",
			 json_object_get(lun, "lun"), "iops", sum(operations, old) / seconds, "reads",
			 more(operations, old, "read") / seconds, "writes", more(operations, old, "write") / seconds,
			 "read_mb", more(now, before, "read_bytes") / seconds / 1e6, "written_mb",
			 more(now, before, "written_bytes") / seconds / 1e6, "p50_ms", percentile(now, before, 0.5),
			 "p99_ms", percentile(now, before, 0.99), "queue_depth", json_object_get(now, "queue_depth"),
			 "unit", json_object_get(lun, "unit"));
}

static void format_whole(const json_t *value, char text[static 256])
{
	snprintf(text, 256, "%.0f", json_number_value(value));
}

static void format_tenths(const json_t *value, char text[static 256])
{
	snprintf(text, 256, "%.1f", json_number_value(value));
}

static void format_thousandths(const json_t *value, char text[static 256])
{
	snprintf(text, 256, "%.3f", json_number_value(value));
}

static const struct table_column rate_columns[] = {
    {"TARGET", "target", false, NULL},
    {"LUN", "lun", true, NULL},
    {"IOPS", "iops", true, format_whole},
    {"R/S", "reads", true, format_whole},
    {"W/S", "writes", true, format_whole},
    {"RMB/S", "read_mb", true, format_tenths},
    {"WMB/S", "written_mb", true, format_tenths},
    {"P50 MS", "p50_ms", true, format_thousandths},
    {"P99 MS", "p99_ms", true, format_thousandths},
    {"QUEUE", "queue_depth", true, NULL},
    {"UNIT", "unit", false, NULL},
    {0},
};

static const struct table_column total_columns[] = {
    {"TARGET", "target", false, NULL},
    {"LUN", "lun", true, NULL},
    {"COMMANDS", "iops", true, format_whole},
    {"READS", "reads", true, format_whole},
    {"WRITES", "writes", true, format_whole},
    {"READ MB", "read_mb", true, format_tenths},
    {"WRITTEN MB", "written_mb", true, format_tenths},
    {"P50 MS", "p50_ms", true, format_thousandths},
    {"P99 MS", "p99_ms", true, format_thousandths},
    {"QUEUE", "queue_depth", true, NULL},
    {"UNIT", "unit", false, NULL},
    {0},
};

static json_t *lines_of(const json_t *now, const json_t *before, double seconds)
{
	json_t *lines = json_array(), *lun, *unit;
	size_t index;

	json_array_foreach(json_object_get(now, "luns"), index, lun)
	{
		const char *name = json_string_value(json_object_get(lun, "unit"));

		unit = find_unit(now, name);
		if (unit)
			json_array_append_new(lines,
					      line_of(lun, unit, before ? find_unit(before, name) : NULL, seconds));
	}
	return lines;
}

/* One line of text for each look, so that a program may read it line by line. */
static void print_json_line(json_t *lines, double seconds)
{
	json_t *line = json_pack("{sIsfsO}", "time", (json_int_t)time(NULL), "seconds", seconds, "luns", lines);

	json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(line);
}

static void print_rates(const struct arguments *arguments, const json_t *now, const json_t *before, double seconds)
{
	json_t *lines = lines_of(now, before, seconds);

	if (arguments->json) {
		print_json_line(lines, seconds);
	} else {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		table_print(lines, rate_columns);
	}
	fflush(stdout);
	json_decref(lines);
}

static void print_totals(const json_t *now)
{
	json_t *lines = lines_of(now, NULL, 1);

	table_print(lines, total_columns);
	json_decref(lines);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void watch(const struct arguments *arguments)
{
	json_int_t interval_s = DEFAULT_INTERVAL_S, rounds = 0;
	json_t *before = client_request("GET", NULL, "/v1/stats"), *now;
	double then_s = now_s();

	if (arguments->interval)
		interval_s = arguments_number(arguments->interval, "--interval", LONGEST_INTERVAL_S);
	if (arguments->rounds)
		rounds = arguments_number(arguments->rounds, "--rounds", INT32_MAX);
	for (json_int_t round = 0; !rounds || round < rounds; round++) {
		double taken_s;

		sleep(interval_s ? (unsigned)interval_s : 1);
		now = client_request("GET", NULL, "/v1/stats");
		taken_s = now_s();
		print_rates(arguments, now, before, taken_s - then_s);
		json_decref(before);
		before = now;
		then_s = taken_s;
	}
	json_decref(before);
}

int stats_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *stats;

	(void)words;
	(void)count;
	if (arguments->watch) {
		watch(arguments);
		return EXIT_SUCCESS;
	}
	stats = client_request("GET", NULL, "/v1/stats");
	if (arguments->json)
		return show_object(arguments, stats);
	print_totals(stats);
	json_decref(stats);
	return EXIT_SUCCESS;
}
