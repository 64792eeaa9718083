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

static void set_number(json_t *line, const char *key, const char *format, double value)
{
	char text[64];

	snprintf(text, sizeof(text), format, value);
	json_object_set_new(line, key, json_string(text));
}

static json_t *line_of(const json_t *now, const json_t *before, double seconds)
{
	const json_t *operations = json_object_get(now, "operations"), *old = json_object_get(before, "operations");
	json_t *line = json_object();

	json_object_set(line, "unit", json_object_get(now, "unit"));
	set_number(line, "reads", "%.0f", more(operations, old, "read") / seconds);
	set_number(line, "writes", "%.0f", more(operations, old, "write") / seconds);
	set_number(line, "read_mb", "%.1f", more(now, before, "read_bytes") / seconds / 1e6);
	set_number(line, "written_mb", "%.1f", more(now, before, "written_bytes") / seconds / 1e6);
	set_number(line, "p50", "%.3f", percentile(now, before, 0.5));
	set_number(line, "p99", "%.3f", percentile(now, before, 0.99));
	json_object_set(line, "queue", json_object_get(now, "queue_depth"));
	return line;
}

static const struct table_column rate_columns[] = {
    {"UNIT", "unit", false, NULL},    {"R/S", "reads", true, NULL},	   {"W/S", "writes", true, NULL},
    {"RMB/S", "read_mb", true, NULL}, {"WMB/S", "written_mb", true, NULL}, {"P50 MS", "p50", true, NULL},
    {"P99 MS", "p99", true, NULL},    {"QUEUE", "queue", true, NULL},	   {0},
};

static const struct table_column total_columns[] = {
    {"UNIT", "unit", false, NULL},	{"READS", "reads", true, NULL},		  {"WRITES", "writes", true, NULL},
    {"READ MB", "read_mb", true, NULL}, {"WRITTEN MB", "written_mb", true, NULL}, {"P50 MS", "p50", true, NULL},
    {"P99 MS", "p99", true, NULL},	{"QUEUE", "queue", true, NULL},		  {0},
};

static void print_lines(const json_t *now, const json_t *before, double seconds, const struct table_column *columns)
{
	json_t *lines = json_array(), *unit;
	size_t index;

	json_array_foreach(json_object_get(now, "units"), index, unit)
	{
		const char *name = json_string_value(json_object_get(unit, "unit"));

		json_array_append_new(lines, line_of(unit, before ? find_unit(before, name) : NULL, seconds));
	}
	table_print(lines, columns);
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
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		print_lines(now, before, taken_s - then_s, rate_columns);
		fflush(stdout);
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
	print_lines(stats, NULL, 1, total_columns);
	json_decref(stats);
	return EXIT_SUCCESS;
}
