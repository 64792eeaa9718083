/* SPDX-License-Identifier: Apache-2.0
 *
 * The stores that need no server, or one that a test starts in no time.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/nbd_server.h"
#include "stores_test.h"

enum {
	LOOP_DEVICE = 1u << STORE_TRAITS,	  /* `path` is the file behind a loop device */
	SHARED_MEMORY = 1u << (STORE_TRAITS + 1), /* in /dev/shm, which is a tmpfs */
	IO_URING = 1u << (STORE_TRAITS + 2),	  /* which may be forbidden here */
	NBD_SERVER = 1u << (STORE_TRAITS + 3),	  /* `path` is the command line of one */
};

#define FAILS(operation) (1u << (operation))

#define FILE_FLAGS                                                                                                     \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |        \
	 TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE)
#define RIG_FLAGS                                                                                                      \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |        \
	 TGTKIT_CAN_EXTENTS)
#define DEVICE_FLAGS (TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_ZERO | TGTKIT_VOLATILE_CACHE)

#define NBD_FLAGS (TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE)

/* ---- Faults ------------------------------------------------------------------------------------------------------ */

/* Past its end nothing can be read; a write makes it grow again. */
static void cut_file(bool broken)
{
	ck_assert_int_eq(truncate(in_scratch("store"), broken ? 0 : STORE_SIZE_BYTES), 0);
}

/* nbdkit's filter "error" looks for this file. */
static void trip_server(bool broken)
{
	if (broken)
		make_file("trigger", 0);
	else
		ck_assert_int_eq(unlink(in_scratch("trigger")), 0);
}

static void order_rig(bool broken)
{
	const char *order = broken ? "fail any EIO 1000\n" : "clear\n";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[3] = {0};
	int control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_scratch("control"));
	ck_assert_int_eq(connect(control, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(send(control, order, strlen(order), 0), (ssize_t)strlen(order));
	ck_assert_int_eq(recv(control, answer, sizeof(answer), MSG_WAITALL), sizeof(answer));
	ck_assert_int_eq(memcmp(answer, "ok\n", sizeof(answer)), 0);
	close(control);
}

/* ---- The rows ---------------------------------------------------------------------------------------------------- */

#define FAILS_DATA (FAILS(TGTKIT_READ) | FAILS(TGTKIT_WRITE))

/* One store.  A path of "store", also as a word of a command line, is in the scratch folder. */
const struct store_row store_rows[] = {
    {"file", FILE_PLUGIN, "store", FILE_FLAGS, STORE_PERSISTS, .options = {{NULL, NULL}}, .set_broken = cut_file,
     .fails = FAILS(TGTKIT_READ)},
    {"file, direct", FILE_PLUGIN, "store", FILE_FLAGS, STORE_PERSISTS, .options = {{"direct", "true"}},
     .set_broken = cut_file, .fails = FAILS(TGTKIT_READ)},
    {"file on tmpfs", FILE_PLUGIN, "store", FILE_FLAGS, STORE_PERSISTS | SHARED_MEMORY,
     .options = {{"max_parallel", "4"}}},
    {"block device", FILE_PLUGIN, "store", DEVICE_FLAGS, STORE_PERSISTS | LOOP_DEVICE, .options = {{NULL, NULL}}},
    {"block device, direct", FILE_PLUGIN, "store", DEVICE_FLAGS, STORE_PERSISTS | LOOP_DEVICE,
     .options = {{"direct", "true"}}},
#ifdef IOURING_PLUGIN
    {"iouring", IOURING_PLUGIN, "store", FILE_FLAGS, STORE_PERSISTS | IO_URING, .options = {{NULL, NULL}},
     .set_broken = cut_file, .fails = FAILS(TGTKIT_READ)},
    {"iouring, buffered", IOURING_PLUGIN, "store", FILE_FLAGS, STORE_PERSISTS | IO_URING,
     .options = {{"buffered", "true"}}, .set_broken = cut_file, .fails = FAILS(TGTKIT_READ)},
    {"iouring on tmpfs", IOURING_PLUGIN, "store", FILE_FLAGS, STORE_PERSISTS | IO_URING | SHARED_MEMORY,
     .options = {{"buffered", "true"}, {"queue_depth", "8"}}},
    {"iouring, block device", IOURING_PLUGIN, "store", DEVICE_FLAGS, STORE_PERSISTS | IO_URING | LOOP_DEVICE,
     .options = {{NULL, NULL}}},
    {"iouring, block device, buffered", IOURING_PLUGIN, "store", DEVICE_FLAGS, STORE_PERSISTS | IO_URING | LOOP_DEVICE,
     .options = {{"buffered", "true"}, {"queue_depth", "8"}}},
#endif
    {"null", NULL_PLUGIN, "1M", RIG_FLAGS, STORE_FORGETS, .options = {{NULL, NULL}}},
    {"null, latency", NULL_PLUGIN, "1048576", RIG_FLAGS, STORE_FORGETS, .options = {{"latency_us", "50"}}},
    {"ramdisk", RAMDISK_PLUGIN, "1048576", 0, STORE_SERVES_ANY, .options = {{NULL, NULL}}},
    {"rig", RIG_PLUGIN, "1048576", RIG_FLAGS, 0, .options = {{"control", "store"}}, .set_broken = order_rig,
     .fails = FAILS_DATA | FAILS(TGTKIT_FLUSH)},
    {"rig, tight limits", RIG_PLUGIN, "1048576", RIG_FLAGS, 0,
     .options = {{"offset_alignment", "4K"},
		 {"memory_alignment", "512"},
		 {"maximum_transfer", "64K"},
		 {"maximum_segments", "3"}}},
    {"rig, refusing", RIG_PLUGIN, "1048576", RIG_FLAGS, 0, .options = {{"again_every", "3"}, {"max_queues", "1"}}},
    {"rig, out of order", RIG_PLUGIN, "1048576", RIG_FLAGS, 0, .options = {{"reorder", "true"}, {"delay_us", "100"}}},
    {"rig, volatile cache", RIG_PLUGIN, "1048576", TGTKIT_CAN_FLUSH | TGTKIT_VOLATILE_CACHE, 0,
     .options = {{"capabilities", "flush,volatile"}, {"control", "store"}}, .set_broken = order_rig,
     .fails = FAILS_DATA | FAILS(TGTKIT_FLUSH)},
    {"rig, keeps its dirty data", RIG_PLUGIN, "1048576",
     TGTKIT_CAN_FLUSH | TGTKIT_VOLATILE_CACHE | TGTKIT_RETAINS_DIRTY, 0,
     .options = {{"capabilities", "flush,volatile,retains_dirty"}, {"control", "store"}}, .set_broken = order_rig,
     .fails = FAILS_DATA | FAILS(TGTKIT_FLUSH)},
    {"rig, bare", RIG_PLUGIN, "1048576", 0, 0, .options = {{"capabilities", ""}}},
#ifdef REMOTE_PLUGIN
    {"remote, nbdkit memory", REMOTE_PLUGIN, "nbdkit -f memory 1M", NBD_FLAGS | TGTKIT_CAN_ZERO,
     STORE_PERSISTS | NBD_SERVER, .options = {{NULL, NULL}}},
    {"remote, failing server", REMOTE_PLUGIN,
     "nbdkit -f --filter=error memory 1M error=EIO error-rate=100% error-file=trigger", NBD_FLAGS | TGTKIT_CAN_ZERO,
     STORE_PERSISTS | NBD_SERVER, .options = {{NULL, NULL}}, .set_broken = trip_server, .fails = FAILS_DATA},
    {"remote, four connections", REMOTE_PLUGIN, "nbdkit -f memory 1M", NBD_FLAGS | TGTKIT_CAN_ZERO,
     STORE_PERSISTS | NBD_SERVER, .options = {{"connections", "4"}}},
    {"remote, nbdkit file", REMOTE_PLUGIN, "nbdkit -f file store", NBD_FLAGS | TGTKIT_CAN_ZERO,
     STORE_PERSISTS | NBD_SERVER, .options = {{"replay_size", "64K"}}},
    {"remote, large blocks", REMOTE_PLUGIN,
     "nbdkit -f --filter=blocksize-policy memory 1M blocksize-minimum=4K blocksize-maximum=64K "
     "blocksize-error-policy=error",
     NBD_FLAGS, STORE_PERSISTS | NBD_SERVER, .options = {{NULL, NULL}}},
    {"remote, qemu-nbd", REMOTE_PLUGIN, "qemu-nbd -t -e 8 -f raw --discard=unmap store", NBD_FLAGS | TGTKIT_CAN_ZERO,
     STORE_PERSISTS | NBD_SERVER, .options = {{"connections", "2"}}},
#endif
};

const int store_row_count = sizeof(store_rows) / sizeof(store_rows[0]);

/* ---- Making them ----------------------------------------------------------------------------------------------------
 */

static struct nbd_server server;

static bool set_up_server(const struct store_row *row, struct fh_spec *spec)
{
	static char trigger[256];

	static char line[256];
	const char *words[16] = {NULL};
	char *rest = line;

	make_file("store", STORE_SIZE_BYTES);
	snprintf(line, sizeof(line), "%s", row->path);
	for (unsigned i = 0; i < 15 && (words[i] = strsep(&rest, " ")) != NULL; i++)
		if (strcmp(words[i], "store") == 0)
			words[i] = in_scratch("store");
		else if (strcmp(words[i], "error-file=trigger") == 0) {
			snprintf(trigger, sizeof(trigger), "error-file=%s", in_scratch("trigger"));
			words[i] = trigger;
		}
	if (!nbd_server_has(words[0]))
		return false;
	nbd_server_start(&server, in_scratch("socket"), words);
	spec->path = server.uri;
	return true;
}

/* With the control socket of the rig in the scratch folder. */
static const struct fh_option *placed_options(const struct store_row *row)
{
	static struct fh_option options[sizeof(row->options) / sizeof(row->options[0])];

	memcpy(options, row->options, sizeof(options));
	for (unsigned i = 0; options[i].key != NULL; i++)
		if (strcmp(options[i].key, "control") == 0)
			options[i].value = in_scratch("control");
	return options;
}

bool store_row_set_up(const struct store_row *row, struct fh_spec *spec)
{
	*spec = (struct fh_spec){.plugin = fh_load(row->plugin), .path = row->path, .options = placed_options(row)};
	if (row->traits & NBD_SERVER)
		return set_up_server(row, spec);
	if (strcmp(row->path, "store") != 0)
		return true;
	make_file("store", STORE_SIZE_BYTES);
	spec->path = in_scratch("store");
	if (row->traits & LOOP_DEVICE)
		spec->path = loop_attach(spec->path);
	if (row->traits & SHARED_MEMORY) {
		spec->path = in_shared_memory();
		spec->flags = TGTKIT_OPEN_CREATE;
		spec->size_bytes = STORE_SIZE_BYTES;
	}
	if ((row->traits & IO_URING) && !io_uring_is_allowed())
		spec->path = NULL;
	if (spec->path == NULL)
		fprintf(stderr, "skipped: %s is not to be had here\n", row->name);
	return spec->path != NULL;
}

void store_row_tear_down(void)
{
	nbd_server_kill(&server, SIGKILL);
}
