/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin "iouring": a regular file or a block device through io_uring, with direct I/O unless told otherwise.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/posix_error.h"
#include "operation.h"

/* Writes with FUA at a time that sync themselves.  More than these are quicker with one flush for all of them, and need
 * not a descriptor each. */
#define STABLE_WRITES 16

static const struct tgtkit_host *the_host;

enum { OPTION_BUFFERED, OPTION_QUEUE_DEPTH };

static const struct tgtkit_option options[] = {
    [OPTION_BUFFERED] = {.key = "buffered",
			 .type = TGTKIT_OPTION_BOOL,
			 .default_value = "false",
			 .help = "go through the page cache instead of bypassing it (O_DIRECT)"},
    [OPTION_QUEUE_DEPTH] = {.key = "queue_depth",
			    .type = TGTKIT_OPTION_INTEGER,
			    .default_value = "256",
			    .minimum = 8,
			    .maximum = 4096,
			    .help = "how many requests of this unit each worker may have in flight"},
    {.key = NULL},
};

/* ---- Control verbs ----------------------------------------------------------------------------------------------- */

static int iouring_check(const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	int status = posix_store_check(args, error);

	return status == 0 ? iouring_ring_try(error) : status;
}

static int measure(struct iouring_unit *unit, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	capabilities->maximum_segments = IOURING_SEGMENTS;
	return posix_store_measure(&unit->store, capabilities, error);
}

static void close_io(struct iouring_unit *unit)
{
	if (unit->io_fd != unit->store.fd)
		close(unit->io_fd);
	posix_store_close(&unit->store);
}

static void iouring_close(void *handle)
{
	struct iouring_unit *unit = handle;

	posix_sync_destroy(&unit->sync);
	close_io(unit);
	free(unit);
}

static int open_unit(struct iouring_unit *unit, const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	int status = iouring_ring_try(error);

	if (status == 0)
		status = posix_store_open(&unit->store, the_host, args, !args->values[OPTION_BUFFERED].as.boolean,
					  "buffered = true", error);
	if (status != 0)
		return status;
	unit->queue_depth = (uint32_t)args->values[OPTION_QUEUE_DEPTH].as.integer;
	unit->io_fd = posix_sync_duplicate(unit->store.fd);
	if (unit->io_fd < 0)
		unit->io_fd = unit->store.fd;
	status = posix_sync_init(&unit->sync, unit->io_fd, STABLE_WRITES);
	if (status == 0)
		return 0;
	close_io(unit);
	return posix_error(error, -status, "'%s': %m", args->path);
}

static int iouring_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
			struct tgtkit_error *error)
{
	struct iouring_unit *unit = calloc(1, sizeof(*unit));
	int status;

	if (unit == NULL)
		return posix_error(error, ENOMEM, "out of memory");
	status = open_unit(unit, args, error);
	if (status != 0) {
		free(unit);
		return status;
	}
	status = measure(unit, capabilities, error);
	if (status == 0)
		*handle = unit;
	else
		iouring_close(unit);
	return status;
}

static int iouring_refresh(void *handle, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	struct iouring_unit *unit = handle;
	int status = posix_store_find(&unit->store, error);

	return status == 0 ? measure(unit, capabilities, error) : status;
}

static int iouring_resize(void *handle, uint64_t size_bytes, uint32_t flags, struct tgtkit_capabilities *capabilities,
			  struct tgtkit_error *error)
{
	struct iouring_unit *unit = handle;
	int status = posix_store_resize(&unit->store, &unit->sync, size_bytes, flags, error);

	return status == 0 ? measure(unit, capabilities, error) : status;
}

/* ---- Queues --------------------------------------------------------------------------------------------------------
 */

static int iouring_worker_open(struct tgtkit_worker *worker, void **worker_context)
{
	struct iouring_ring *ring;
	int status = iouring_ring_open(the_host, worker, &ring);

	if (status == 0)
		*worker_context = ring;
	return status;
}

static void iouring_worker_close(void *worker_context)
{
	iouring_ring_close(worker_context);
}

static void iouring_commit(void *worker_context)
{
	iouring_ring_commit(worker_context);
}

static int iouring_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	struct iouring_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return -ENOMEM;
	queue->unit = handle;
	queue->ring = args->worker_context;
	queue->host_queue = args->queue;
	queue->worker = args->worker;
	/* Never the store's own descriptor, whose lock would stay as long as the slot is in use. */
	queue->slot =
	    queue->unit->io_fd == queue->unit->store.fd ? -1 : iouring_ring_add_file(queue->ring, queue->unit->io_fd);
	iouring_buffers_open(&queue->ring->buffers, &queue->ring->uring, args->regions, args->region_count);
	*queue_context = queue;
	return 0;
}

static void iouring_queue_close(void *queue_context)
{
	struct iouring_queue *queue = queue_context;

	iouring_ring_stop_waiting(queue->ring, &queue->waiter);
	iouring_ring_remove_file(queue->ring, queue->slot);
	free(queue);
}

/* ---- Descriptor ----------------------------------------------------------------------------------------------------
 */

static const struct tgtkit_async async = {
    .size = sizeof(async),
    .queue_open = iouring_queue_open,
    .submit = iouring_submit,
    .commit = iouring_commit,
    .cancel = iouring_cancel,
    .queue_close = iouring_queue_close,
    .worker_open = iouring_worker_open,
    .worker_close = iouring_worker_close,
};

static const char *const prefixes[] = {"iouring", NULL};

static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "iouring",
    .version = PACKAGE_VERSION,
    .description = "regular files and block devices, through io_uring",
    .prefixes = prefixes,
    .options = options,
    .scratch_bytes = sizeof(struct iouring_operation),
    .check = iouring_check,
    .open = iouring_open,
    .refresh = iouring_refresh,
    .resize = iouring_resize,
    .close = iouring_close,
    .async = &async,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	return &plugin;
}
