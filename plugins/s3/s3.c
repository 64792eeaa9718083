/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin "s3": block devices on object storage.
 */
#include <config.h>

#include <curl/curl.h>
#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "unit.h"

#define CLOSE_LIMIT_NS	 (30 * S3_SECOND_NS)
#define TRANSFER_OPTIMAL (4u << 20)
#define PHYSICAL_BLOCK	 4096u

/* ---- Control verbs
 * ---------------------------------------------------------------------------------------------------- */

static void measure(const struct s3_unit *unit, struct tgtkit_capabilities *capabilities)
{
	const struct s3_volume *volume = unit->volume;

	capabilities->size_bytes = atomic_load(&volume->device_bytes);
	capabilities->offset_alignment_bytes = S3_GRANULE_BYTES;
	capabilities->physical_block_bytes = PHYSICAL_BLOCK;
	capabilities->optimal_transfer_bytes =
	    unit->chunk_bytes < TRANSFER_OPTIMAL ? unit->chunk_bytes : TRANSFER_OPTIMAL;
	capabilities->max_queues = 1;
	snprintf(capabilities->identity, sizeof(capabilities->identity), "%s", volume->metadata.uuid);
	if (volume->is_read_only) {
		capabilities->flags = TGTKIT_READ_ONLY | TGTKIT_CAN_EXTENTS | TGTKIT_CAN_FLUSH;
		return;
	}
	capabilities->flags = TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO |
			      TGTKIT_CAN_ZERO | TGTKIT_CAN_EXTENTS | TGTKIT_VOLATILE_CACHE | TGTKIT_RETAINS_DIRTY;
	capabilities->discard_granularity_bytes = unit->chunk_bytes;
}

/* Reads what the volume is, and that it may be read; nothing is written. */
static int s3_check(const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	struct s3_volume *volume;
	struct s3_session session;
	int status;

	error->message[0] = '\0';
	status = s3_volume_connect(args, &volume, error);
	if (status != 0)
		return status;
	session = (struct s3_session){.http = s3_http_new(NULL), .client = &volume->client};
	status = session.http == NULL ? -ENOMEM : s3_volume_read_metadata(volume, &session, error);
	if (status == -ENOENT && (args->flags & TGTKIT_OPEN_CREATE))
		status = 0;
	else if (status == -ENOENT)
		snprintf(error->message, sizeof(error->message),
			 "there is no volume at %s/%s: to make one, open it with create and a size",
			 volume->client.address.bucket, volume->client.address.prefix);
	if (session.http != NULL)
		s3_http_free(session.http);
	s3_volume_discard(volume);
	return status;
}

static int s3_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		   struct tgtkit_error *error)
{
	struct s3_volume *volume;
	struct s3_unit *unit;
	int status;

	error->message[0] = '\0';
	status = s3_volume_open(args, &volume, error);
	if (status != 0)
		return status;
	unit = s3_unit_new(volume);
	if (unit == NULL) {
		s3_volume_close(volume, true);
		snprintf(error->message, sizeof(error->message), "out of memory");
		return -ENOMEM;
	}
	measure(unit, capabilities);
	*handle = unit;
	return 0;
}

static int s3_refresh(void *handle, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	(void)error;
	measure(handle, capabilities);
	return 0;
}

static int s3_resize(void *handle, uint64_t size_bytes, uint32_t flags, struct tgtkit_capabilities *capabilities,
		     struct tgtkit_error *error)
{
	struct s3_unit *unit = handle;
	int status;

	(void)flags;
	error->message[0] = '\0';
	status = s3_volume_grow(unit->volume, size_bytes, error);
	if (status == 0)
		measure(unit, capabilities);
	return status;
}

/* A clean stop: everything is stored, whoever opens next needs no list and no wait. */
static void s3_close(void *handle)
{
	struct s3_unit *unit = handle;
	struct s3_volume *volume = unit->volume;
	struct s3_http *http = s3_http_new(NULL);
	bool is_clean = volume->is_read_only;

	if (http != NULL && !volume->is_read_only) {
		s3_unit_attach(unit, http);
		is_clean = s3_unit_drain(unit, s3_now_ns() + CLOSE_LIMIT_NS);
		s3_unit_detach(unit);
	}
	if (!is_clean)
		s3_log(volume->unit, TGTKIT_LOG_ERROR,
		       "not everything that was written could be stored: what was not flushed is lost");
	if (http != NULL)
		s3_http_free(http);
	s3_unit_free(unit);
	s3_volume_close(volume, is_clean);
}

/* ---- The queue
 * -------------------------------------------------------------------------------------------------------------- */

static void keeper_speaks(void *context, int fd, uint32_t events)
{
	struct s3_unit *unit = context;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (s3_volume_may_write(unit->volume))
		s3_http_hurry(unit->http);
	s3_unit_turn(unit);
}

static void time_for_a_turn(void *context)
{
	struct s3_unit *unit = context;

	unit->timer_is_armed = false;
	s3_unit_turn(unit);
}

static int s3_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	struct s3_unit *unit = handle;
	int status = s3_host->timer_create(args->worker, time_for_a_turn, unit, &unit->timer);

	if (status != 0)
		return status;
	status =
	    s3_host->watch_add(args->worker, unit->volume->event_fd, TGTKIT_FD_READ, keeper_speaks, unit, &unit->watch);
	if (status != 0) {
		s3_host->timer_destroy(unit->timer);
		unit->timer = NULL;
		return status;
	}
	unit->queue = args->queue;
	s3_unit_attach(unit, args->worker_context);
	*queue_context = unit;
	return 0;
}

static void s3_queue_close(void *queue_context)
{
	struct s3_unit *unit = queue_context;

	s3_unit_detach(unit);
	s3_host->watch_remove(unit->watch);
	s3_host->timer_destroy(unit->timer);
	unit->watch = NULL;
	unit->timer = NULL;
	unit->timer_is_armed = false;
	unit->queue = NULL;
	unit->owes_ready = false;
}

static int s3_submit(void *queue_context, struct tgtkit_request *request)
{
	return s3_io_submit(queue_context, request);
}

static void s3_cancel(void *queue_context, struct tgtkit_request *request)
{
	s3_io_cancel(queue_context, request);
}

static int s3_worker_open(struct tgtkit_worker *worker, void **worker_context)
{
	*worker_context = s3_http_new(worker);
	return *worker_context == NULL ? -ENOMEM : 0;
}

static void s3_worker_close(void *worker_context)
{
	s3_http_free(worker_context);
}

/* ---- Descriptor
 * ---------------------------------------------------------------------------------------------------------------- */

static const struct tgtkit_counter counters[] = {
    [S3_COUNT_REQUESTS] = {"requests", "requests sent to the server", 0},
    [S3_COUNT_RETRIES] = {"retries", "requests that were repeated", 0},
    [S3_COUNT_BYTES_SENT] = {"sent_bytes", "bytes of objects stored", 0},
    [S3_COUNT_BYTES_RECEIVED] = {"received_bytes", "bytes of objects read", 0},
    [S3_COUNT_DAMAGED] = {"damaged_answers", "answers whose checksum was wrong", 0},
    [S3_COUNT_CACHE_HITS] = {"cache_hits", "reads of a chunk that the cache answered", 0},
    [S3_COUNT_CACHE_MISSES] = {"cache_misses", "reads of a chunk that went to the server", 0},
    [S3_COUNT_LIMIT] = {NULL, NULL, 0},
};

static void s3_read_counters(void *handle, uint64_t *values)
{
	struct s3_client *client = &((struct s3_unit *)handle)->volume->client;

	for (unsigned i = 0; i < S3_COUNT_LIMIT; i++)
		values[i] = atomic_load_explicit(&client->counts[i], memory_order_relaxed);
}

static const struct tgtkit_async async = {
    .size = sizeof(async),
    .queue_open = s3_queue_open,
    .submit = s3_submit,
    .cancel = s3_cancel,
    .queue_close = s3_queue_close,
    .worker_open = s3_worker_open,
    .worker_close = s3_worker_close,
};

static const char *const prefixes[] = {"s3", NULL};

static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "s3",
    .version = PACKAGE_VERSION,
    .description = "block devices on S3 object storage",
    .prefixes = prefixes,
    .options = s3_options,
    .scratch_bytes = sizeof(struct s3_io),
    .check = s3_check,
    .open = s3_open,
    .refresh = s3_refresh,
    .resize = s3_resize,
    .close = s3_close,
    .async = &async,
    .counters = counters,
    .read_counters = s3_read_counters,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	s3_host = host;
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
		host->log(NULL, TGTKIT_LOG_ERROR, "libcurl could not be initialised");
		return NULL;
	}
	xmlInitParser();
	return &plugin;
}
