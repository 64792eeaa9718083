/* SPDX-License-Identifier: Apache-2.0
 *
 * Times each store through the fake host, with no iSCSI above it: what is left to win, or lost, in a plugin.
 *
 *     store-bench [-d FOLDER] [-t SECONDS] [-s STORE]
 *     store-bench [-t SECONDS] PLUGIN.so PATH [KEY=VALUE]...
 *
 * Without a plugin, those are timed that need nothing else on the machine, or with -s the one of that name in the
 * table; PATH is without the prefix, and holds at least 256 MiB, which are overwritten.  Files are made in FOLDER
 * (/var/tmp) and removed.  A store of the async tier is driven from one loop; one of the blocking tier from as many
 * threads as requests are to be in flight, trying its nowait hooks first as the core's workers do.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/fake_host.h"

#define STORE_BYTES  "268435456"
#define STORE_SIZE   268435456ull
#define DEPTH_LIMIT  32
#define MEMORY_BYTES (8u << 20)

static const struct load {
	const char *title;
	uint32_t operation, bytes;
	unsigned depth;
	bool in_megabytes;
} loads[] = {
    {"4K read qd1", TGTKIT_READ, 4096, 1, false},    {"4K write qd1", TGTKIT_WRITE, 4096, 1, false},
    {"4K read qd32", TGTKIT_READ, 4096, 32, false},  {"4K write qd32", TGTKIT_WRITE, 4096, 32, false},
    {"256K read qd8", TGTKIT_READ, 262144, 8, true}, {"256K write qd8", TGTKIT_WRITE, 262144, 8, true},
};

#define LOADS (sizeof(loads) / sizeof(loads[0]))

struct store {
	const char *name, *plugin, *path; /* NULL: a file */
	struct fh_option options[8];
};

static const struct store stores[] = {
    {"null", NULL_PLUGIN, "1T", {{NULL, NULL}}},
    {"ramdisk", RAMDISK_PLUGIN, STORE_BYTES, {{NULL, NULL}}},
    {"rig", RIG_PLUGIN, STORE_BYTES, {{NULL, NULL}}},
    {"file", FILE_PLUGIN, NULL, {{"max_parallel", "32"}}},
    {"file, direct", FILE_PLUGIN, NULL, {{"max_parallel", "32"}, {"direct", "true"}}},
#ifdef IOURING_PLUGIN
    {"iouring", IOURING_PLUGIN, NULL, {{NULL, NULL}}},
    {"iouring, buffered", IOURING_PLUGIN, NULL, {{"buffered", "true"}}},
#endif
};

static double seconds_per_load = 1;
static uint64_t end_ns;

/* One request's worth of work: a thread, or a request in flight. */
struct lane {
	struct fh_unit *unit;
	const struct tgtkit_plugin *plugin;
	const struct load *load;
	char *buffer;
	struct fh_io *io;
	pthread_t thread;
	uint64_t state, done;
	bool is_running;
	int failed;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t next_offset(struct lane *lane)
{
	lane->state = lane->state * 6364136223846793005ull + 1442695040888963407ull;
	return (lane->state >> 33) % (STORE_SIZE / lane->load->bytes) * lane->load->bytes;
}

/* ---- Async tier ----------------------------------------------------------------------------------------------------
 */

static unsigned running;

static bool all_are_done(void *context)
{
	(void)context;
	return running == 0;
}

static void submit_next(struct lane *lane)
{
	lane->io->request.offset = next_offset(lane);
	fh_io_submit(lane->io);
}

static void io_is_done(struct fh_io *io)
{
	struct lane *lane = io->context;

	lane->done++;
	if (io->status != 0)
		lane->failed = io->status;
	if (io->status == 0 && now_ns() < end_ns)
		submit_next(lane);
	else
		running--;
}

static void start_lane(struct lane *lane)
{
	lane->io = fh_io_new(lane->unit);
	lane->io->request.operation = lane->load->operation;
	lane->io->request.length = lane->load->bytes;
	lane->io->request.segment_count = 1;
	lane->io->segments[0] =
	    (struct tgtkit_segment){.address = lane->buffer, .length = lane->load->bytes, .region = 0};
	lane->io->done = io_is_done;
	lane->io->context = lane;
	running++;
	submit_next(lane);
}

static void run_async(struct lane *lanes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		start_lane(&lanes[i]);
	fh_run_until(all_are_done, NULL);
	for (unsigned i = 0; i < count; i++)
		fh_io_free(lanes[i].io);
}

/* ---- Blocking tier
 * --------------------------------------------------------------------------------------------------- */

static int transfer(const struct lane *lane, uint64_t offset)
{
	const struct tgtkit_blocking *blocking = lane->plugin->blocking;
	void *handle = fh_handle(lane->unit);
	const bool reads = lane->load->operation == TGTKIT_READ;
	ssize_t (*nowait)(void *, const struct iovec *, int, uint64_t) =
	    reads ? blocking->preadv_nowait : blocking->pwritev_nowait;
	const struct iovec piece = {lane->buffer, lane->load->bytes};

	if (nowait != NULL && nowait(handle, &piece, 1, offset) == (ssize_t)lane->load->bytes)
		return 0;
	return reads ? blocking->pread(handle, lane->buffer, lane->load->bytes, offset)
		     : blocking->pwrite(handle, lane->buffer, lane->load->bytes, offset, 0);
}

static void *run_thread(void *context)
{
	struct lane *lane = context;

	while (lane->failed == 0 && now_ns() < end_ns) {
		lane->failed = transfer(lane, next_offset(lane));
		lane->done++;
	}
	return NULL;
}

static void run_blocking(struct lane *lanes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		lanes[i].is_running = pthread_create(&lanes[i].thread, NULL, run_thread, &lanes[i]) == 0;
	for (unsigned i = 0; i < count; i++)
		if (lanes[i].is_running)
			pthread_join(lanes[i].thread, NULL);
}

/* ---- Table
 * --------------------------------------------------------------------------------------------------------------- */

static void run_load(const struct tgtkit_plugin *plugin, struct fh_unit *unit, const struct load *load, char *memory)
{
	struct lane lanes[DEPTH_LIMIT];
	const uint64_t start_ns = now_ns();
	uint64_t done = 0;
	int failed = 0;
	double per_second;

	end_ns = start_ns + (uint64_t)(seconds_per_load * 1e9);
	for (unsigned i = 0; i < load->depth; i++)
		lanes[i] = (struct lane){.unit = unit,
					 .plugin = plugin,
					 .load = load,
					 .buffer = memory + (size_t)i * load->bytes,
					 .state = i + 1};
	if (plugin->async != NULL)
		run_async(lanes, load->depth);
	else
		run_blocking(lanes, load->depth);
	for (unsigned i = 0; i < load->depth; i++) {
		done += lanes[i].done;
		failed = lanes[i].failed != 0 ? lanes[i].failed : failed;
	}
	per_second = (double)done / ((double)(now_ns() - start_ns) / 1e9);
	if (failed != 0)
		printf(" %14s", strerrorname_np(-failed));
	else if (load->in_megabytes)
		printf(" %9.0f MB/s", per_second * load->bytes / 1e6);
	else
		printf(" %14.0f", per_second);
	fflush(stdout);
}

/* Data in all of it, so that reads are reads. */
static int fill_store(struct fh_unit *unit, char *memory)
{
	const uint64_t size_bytes = fh_capabilities(unit)->size_bytes;
	int status = 0;

	for (uint64_t offset = 0; status == 0 && size_bytes == STORE_SIZE && offset < STORE_SIZE; offset += 1 << 20)
		status = fh_write(unit, memory, 1 << 20, offset, 0);
	return status;
}

static bool run_store(const struct store *store, const char *file, char *memory)
{
	const struct fh_spec spec = {.plugin = fh_load(store->plugin),
				     .path = store->path == NULL ? file : store->path,
				     .options = store->options,
				     .region = {memory, MEMORY_BYTES},
				     .flags = store->path == NULL ? TGTKIT_OPEN_CREATE : 0,
				     .size_bytes = STORE_SIZE};
	struct fh_unit *unit;
	const int status = fh_open(&spec, &unit);

	printf("%-18s", store->name);
	if (status != 0) {
		printf(" cannot be opened: %s\n", fh_error());
		return false;
	}
	if (fill_store(unit, memory) != 0) {
		printf(" cannot be written to\n");
		fh_close(unit);
		return false;
	}
	for (size_t i = 0; i < LOADS; i++)
		run_load(spec.plugin, unit, &loads[i], memory);
	printf("\n");
	fh_close(unit);
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: store-bench [-d FOLDER] [-t SECONDS] [-s STORE | PLUGIN.so PATH [KEY=VALUE]...]\n");
	return 2;
}

/* PLUGIN.so PATH [KEY=VALUE]... */
static bool store_of(int count, char **arguments, struct store *store)
{
	const size_t limit = sizeof(store->options) / sizeof(store->options[0]) - 1;

	if (count < 2 || (size_t)count - 2 > limit)
		return false;
	*store = (struct store){.name = "given", .plugin = arguments[0], .path = arguments[1]};
	for (int i = 2; i < count; i++) {
		store->options[i - 2].key = arguments[i];
		arguments[i] = strchr(arguments[i], '=');
		if (arguments[i] == NULL)
			return false;
		*arguments[i]++ = '\0';
		store->options[i - 2].value = arguments[i];
	}
	return true;
}

int main(int argc, char **argv)
{
	struct store given;
	const char *folder = "/var/tmp", *wanted = NULL;
	char file[4096];
	char *memory;
	bool all_ran = true;
	int option;

	while ((option = getopt(argc, argv, "d:s:t:")) != -1) {
		if (option == 'd')
			folder = optarg;
		else if (option == 's')
			wanted = optarg;
		else if (option == 't' && atof(optarg) > 0)
			seconds_per_load = atof(optarg);
		else
			return usage();
	}
	if (optind != argc && !store_of(argc - optind, argv + optind, &given))
		return usage();
	memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	memset(memory, 0x5a, MEMORY_BYTES);
	snprintf(file, sizeof(file), "%s/tgtkit-store-bench-%d", folder, (int)getpid());
	printf("%-18s", "store");
	for (size_t i = 0; i < LOADS; i++)
		printf(" %14s", loads[i].title);
	printf("\n");
	for (size_t i = 0; optind == argc && i < sizeof(stores) / sizeof(stores[0]); i++) {
		if (wanted != NULL && strcmp(stores[i].name, wanted) != 0)
			continue;
		all_ran = run_store(&stores[i], file, memory) && all_ran;
		if (stores[i].path == NULL)
			unlink(file);
	}
	if (optind != argc)
		all_ran = run_store(&given, file, memory);
	return all_ran && fh_violations() == 0 ? 0 : 1;
}
