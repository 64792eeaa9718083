/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

#include "load.h"

#define HISTOGRAM_MANTISSA 5 /* bits: 3 % resolution */
#define HISTOGRAM_BUCKETS  (64u << HISTOGRAM_MANTISSA)

static struct {
	uint64_t ios, errors, latencies[HISTOGRAM_BUCKETS];
	bool running;
} measured;

void load_start_measuring(void)
{
	measured.running = true;
}

uint64_t load_errors(void)
{
	return measured.errors;
}

static unsigned latency_bucket(uint64_t ns)
{
	if (ns >> HISTOGRAM_MANTISSA == 0)
		return (unsigned)ns;
	unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_MANTISSA;

	return ((shift + 1) << HISTOGRAM_MANTISSA) + (unsigned)((ns >> shift) & ((1u << HISTOGRAM_MANTISSA) - 1));
}

void load_count(uint64_t latency_ns, bool failed)
{
	if (!measured.running)
		return;
	measured.ios++;
	measured.errors += failed;
	measured.latencies[latency_bucket(latency_ns)]++;
}

static double bucket_us(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_MANTISSA, mantissa = bucket & ((1u << HISTOGRAM_MANTISSA) - 1);

	if (shift == 0)
		return mantissa / 1e3;
	return (double)((uint64_t)(mantissa | 1u << HISTOGRAM_MANTISSA) << (shift - 1)) / 1e3;
}

static double percentile_us(double fraction)
{
	uint64_t seen = 0;

	for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		seen += measured.latencies[bucket];
		if (seen > 0 && (double)seen >= fraction * (double)measured.ios)
			return bucket_us(bucket);
	}
	return 0;
}

uint64_t load_target_cpu_ns(void)
{
	char path[512];
	uint64_t total = 0, of_thread;
	struct dirent *entry;
	DIR *tasks;

	if (!load_options.pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%u/task", load_options.pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		snprintf(path, sizeof(path), "/proc/%u/task/%s/schedstat", load_options.pid, entry->d_name);
		FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");

		if (file && fscanf(file, "%" SCNu64, &of_thread) == 1)
			total += of_thread;
		if (file)
			fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return total;
}

void load_print_figures(double seconds, uint64_t cpu_ns)
{
	double ios = (double)measured.ios;

	printf("iops=%.0f mb_per_s=%.1f p50_us=%.1f p99_us=%.1f cpu_us_per_io=%.2f errors=%" PRIu64 "\n", ios / seconds,
	       ios * load_options.io_bytes / seconds / 1e6, percentile_us(0.5), percentile_us(0.99),
	       ios > 0 ? (double)cpu_ns / ios / 1e3 : 0, measured.errors);
}
