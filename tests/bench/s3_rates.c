/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates of the s3 plugin beside those of plain GETs and PUTs of the same engine, on one server in one run.
 *
 *     s3_rates PLUGIN ENDPOINT ACCESS-KEY SECRET-KEY-FILE BUCKET MIB CHUNK-SIZE [raw]
 *
 * With "raw" the plain ones only.  Prints one line per figure.  "moved" is bytes over the wire per byte asked for.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fake_host.h"
#include "s3/clock.h"
#include "s3/objects.h"

#define MIB	    (1u << 20)
#define RAW_BYTES   (4u * MIB)
#define PARALLEL    16u
#define DEPTH	    32u
#define SMALL	    4096u
#define SMALL_COUNT 8192u
#define FLUSH_EVERY 256u

static struct s3_client client;
static struct s3_http *http;
static char path[128];
static struct fh_option options[8];
static const struct tgtkit_plugin *plugin;
static uint64_t volume_bytes;

static void check(int status, const char *what)
{
	if (status == 0)
		return;
	fprintf(stderr, "s3_rates: %s: %s: %s\n", what, strerror(-status), fh_error());
	exit(1);
}

static double seconds_since(uint64_t start_ns)
{
	return (double)(s3_now_ns() - start_ns) / (double)S3_SECOND_NS;
}

/* ---- Plain requests
 * ------------------------------------------------------------------------------------------------------ */

struct raw {
	struct s3_call call;
	struct iovec body;
};

static unsigned raw_started, raw_total;
static bool raw_is_put;
static uint64_t raw_range_bytes;
static unsigned char *raw_data;

static void raw_start(struct raw *raw);

static void raw_done(struct s3_call *call)
{
	check(call->status, "a plain request");
	s3_call_free(call);
	if (raw_started < raw_total)
		raw_start(call->context);
}

static void drop(struct s3_call *call, uint64_t offset, const void *bytes, size_t length)
{
	(void)call;
	(void)offset;
	(void)bytes;
	(void)length;
}

static void raw_start(struct raw *raw)
{
	const unsigned number = raw_started++;
	char name[32];

	snprintf(name, sizeof(name), "raw/%u", raw_range_bytes == 0 ? number : number % 16);
	s3_call_init(&raw->call, &client, raw_is_put ? "PUT" : "GET", name);
	raw->call.context = raw;
	raw->call.done = raw_done;
	raw->call.body_part = drop;
	if (raw_is_put) {
		raw->body = (struct iovec){raw_data, RAW_BYTES};
		raw->call.body = &raw->body;
		raw->call.body_count = 1;
		raw->call.body_bytes = RAW_BYTES;
	} else if (raw_range_bytes != 0) {
		raw->call.range_first = (uint64_t)(rand() % (int)(RAW_BYTES / SMALL)) * SMALL;
		raw->call.range_bytes = raw_range_bytes;
	}
	s3_http_start(http, &raw->call);
}

static double raw_run(bool is_put, uint64_t range_bytes, unsigned total, unsigned parallel)
{
	static struct raw raws[DEPTH];
	const uint64_t start_ns = s3_now_ns();

	raw_is_put = is_put;
	raw_range_bytes = range_bytes;
	raw_started = 0;
	raw_total = total;
	for (unsigned i = 0; i < parallel; i++)
		raw_start(&raws[i]);
	s3_http_run_until(http, NULL, NULL, 0);
	return seconds_since(start_ns);
}

/* ---- The plugin
 * ------------------------------------------------------------------------------------------------------------ */

struct load {
	struct fh_unit *unit;
	uint32_t operation, length;
	uint64_t started, total, done;
	bool is_random;
};

static unsigned char *data;

static void submit_next(struct fh_io *io)
{
	struct load *load = io->context;
	const uint64_t number = load->started++;

	io->request.operation = load->operation;
	io->request.length = load->length;
	io->request.offset = load->is_random ? (uint64_t)(rand() % (int)(volume_bytes / load->length)) * load->length
					     : number * load->length;
	io->segments[0] = (struct tgtkit_segment){
	    .address = data + (number % 64) * load->length, .length = load->length, .region = TGTKIT_NO_REGION};
	io->request.segments = io->segments;
	io->request.segment_count = 1;
	fh_io_submit(io);
}

static void one_done(struct fh_io *io)
{
	struct load *load = io->context;

	check(io->status, "a request");
	load->done++;
	if (load->started < load->total)
		submit_next(io);
}

static bool is_over(void *context)
{
	const struct load *load = context;

	return load->done == load->total;
}

static void run_load(struct load *load, unsigned depth)
{
	struct fh_io *ios[DEPTH];

	load->started = load->done = 0;
	for (unsigned i = 0; i < depth; i++) {
		ios[i] = fh_io_new(load->unit);
		ios[i]->done = one_done;
		ios[i]->context = load;
	}
	for (unsigned i = 0; i < depth && load->started < load->total; i++)
		submit_next(ios[i]);
	fh_run_until(is_over, load);
	for (unsigned i = 0; i < depth; i++)
		fh_io_free(ios[i]);
}

static struct fh_unit *open_volume(void)
{
	const struct fh_spec spec = {.plugin = plugin,
				     .path = path,
				     .options = options,
				     .flags = TGTKIT_OPEN_CREATE,
				     .size_bytes = volume_bytes};
	struct fh_unit *unit;

	check(fh_open(&spec, &unit), "open");
	return unit;
}

static double moved(struct fh_unit *unit, uint64_t asked)
{
	uint64_t values[16];

	plugin->read_counters(fh_handle(unit), values);
	return (double)(values[2] + values[3]) / (double)asked;
}

static void sequential(void)
{
	struct load load = {
	    .unit = open_volume(), .operation = TGTKIT_WRITE, .length = MIB / 4, .total = volume_bytes / (MIB / 4)};
	uint64_t start_ns = s3_now_ns();

	run_load(&load, 8);
	check(fh_flush(load.unit), "flush");
	printf("sequential write + flush   %8.1f MB/s, moved %.2f\n",
	       (double)volume_bytes / 1e6 / seconds_since(start_ns), moved(load.unit, volume_bytes));
	fh_close(load.unit);
	load.unit = open_volume();
	load.operation = TGTKIT_READ;
	start_ns = s3_now_ns();
	run_load(&load, 8);
	printf("cold sequential read       %8.1f MB/s, moved %.2f\n",
	       (double)volume_bytes / 1e6 / seconds_since(start_ns), moved(load.unit, volume_bytes));
	fh_close(load.unit);
}

static void random_4k(void)
{
	struct load load = {
	    .unit = open_volume(), .operation = TGTKIT_READ, .length = SMALL, .total = SMALL_COUNT, .is_random = true};
	uint64_t start_ns = s3_now_ns();

	run_load(&load, DEPTH);
	printf("4 KiB random read, depth 32 %7.0f /s,   moved %.2f\n", SMALL_COUNT / seconds_since(start_ns),
	       moved(load.unit, (uint64_t)SMALL_COUNT * SMALL));
	fh_close(load.unit);
	load.unit = open_volume();
	load.operation = TGTKIT_WRITE;
	load.total = FLUSH_EVERY;
	start_ns = s3_now_ns();
	for (unsigned i = 0; i < 8; i++) {
		run_load(&load, DEPTH);
		check(fh_flush(load.unit), "flush");
	}
	printf("4 KiB random write, flush every 256 %7.0f /s, moved %.1f\n", 8 * FLUSH_EVERY / seconds_since(start_ns),
	       moved(load.unit, (uint64_t)8 * FLUSH_EVERY * SMALL));
	fh_close(load.unit);
}

static char *read_line(const char *file_path)
{
	static char line[256];
	FILE *file = fopen(file_path, "r");

	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		exit(2);
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	return line;
}

int main(int argc, char **argv)
{
	const char *reason;
	double seconds;

	if (argc != 8 && (argc != 9 || strcmp(argv[8], "raw") != 0)) {
		fprintf(stderr,
			"usage: s3_rates PLUGIN ENDPOINT ACCESS-KEY SECRET-KEY-FILE BUCKET MIB CHUNK-SIZE [raw]\n");
		return 2;
	}
	plugin = fh_load(argv[1]);
	volume_bytes = strtoull(argv[6], NULL, 10) * MIB;
	snprintf(path, sizeof(path), "%s/rates-%ld", argv[5], (long)getpid());
	options[0] = (struct fh_option){"endpoint", argv[2]};
	options[1] = (struct fh_option){"access_key", argv[3]};
	options[2] = (struct fh_option){"secret_key_file", argv[4]};
	options[3] = (struct fh_option){"chunk_size", argv[7]};
	data = calloc(64, MIB / 4);
	raw_data = malloc(RAW_BYTES);
	for (unsigned i = 0; i < 16 * MIB; i++)
		data[i] = (unsigned char)rand();
	memcpy(raw_data, data, RAW_BYTES);
	s3_client_init(&client);
	client.region = strdup("us-east-1");
	check(s3_address_parse(path, argv[2], "us-east-1", true, &client.address, &reason), "the endpoint");
	s3_client_set_credentials(&client, s3_credentials_new(argv[3], read_line(argv[4]), NULL, 0));
	http = s3_http_new(NULL);
	seconds = raw_run(true, 0, (unsigned)(volume_bytes / RAW_BYTES), PARALLEL);
	printf("plain PUT, 4 MiB, 16 at a time %4.1f MB/s\n", (double)volume_bytes / 1e6 / seconds);
	seconds = raw_run(false, 0, (unsigned)(volume_bytes / RAW_BYTES), PARALLEL);
	printf("plain GET, 4 MiB, 16 at a time %4.1f MB/s\n", (double)volume_bytes / 1e6 / seconds);
	seconds = raw_run(false, SMALL, SMALL_COUNT, DEPTH);
	printf("plain GET, 4 KiB, 32 at a time %4.0f /s\n", SMALL_COUNT / seconds);
	if (argc == 8) {
		sequential();
		random_4k();
	}
	s3_http_free(http);
	s3_client_free(&client);
	return 0;
}
