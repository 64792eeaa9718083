/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin "null": reads zeros and discards what is written, at once or after a fixed time.  For measuring what is
 * above a store, and for tests.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tgtkit/plugin.h>

#include "null_size.h"

#define LATENCY_LIMIT_US 10000000

static const struct tgtkit_host *the_host;

struct null_handle {
	uint64_t size_bytes;
	uint64_t latency_us;
};

/* Of one request that waits for its time; lives in its scratch area. */
struct null_waiter {
	struct tgtkit_request *next;
	uint64_t due_ns;
};

struct null_queue {
	uint64_t latency_us;
	struct tgtkit_timer *timer; /* NULL without latency */
	/* In the order of submission, which is that of due_ns too. */
	struct tgtkit_request *first, *last;
};

enum { OPTION_LATENCY_US };

static const struct tgtkit_option options[] = {
    [OPTION_LATENCY_US] = {.key = "latency_us",
			   .type = TGTKIT_OPTION_INTEGER,
			   .default_value = "0",
			   .minimum = 0,
			   .maximum = LATENCY_LIMIT_US,
			   .help = "how long every request takes, in microseconds"},
    {.key = NULL},
};

/* ---- Control verbs ----------------------------------------------------------------------------------------------- */

static int parse_path(const char *path, uint64_t *size_bytes, struct tgtkit_error *error)
{
	if (null_parse_size(path, size_bytes))
		return 0;
	snprintf(error->message, sizeof(error->message),
		 "'%s' is not a size: write bytes, or a number with K, M, G, T or P, as in null:1T", path);
	return -EINVAL;
}

static void measure(const struct null_handle *null, struct tgtkit_capabilities *capabilities)
{
	/* What is lost at once cannot be lost later: there is no cache to flush, and a flush is true anyway. */
	capabilities->size_bytes = null->size_bytes;
	capabilities->flags = TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO |
			      TGTKIT_CAN_ZERO | TGTKIT_CAN_EXTENTS;
}

static int null_check(const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	uint64_t size_bytes;

	return parse_path(args->path, &size_bytes, error);
}

static int null_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		     struct tgtkit_error *error)
{
	struct null_handle *null;
	uint64_t size_bytes;
	int status = parse_path(args->path, &size_bytes, error);

	if (status != 0)
		return status;
	null = calloc(1, sizeof(*null));
	if (null == NULL) {
		snprintf(error->message, sizeof(error->message), "out of memory");
		return -ENOMEM;
	}
	null->size_bytes = size_bytes;
	null->latency_us = (uint64_t)args->values[OPTION_LATENCY_US].as.integer;
	measure(null, capabilities);
	if (args->flags & TGTKIT_OPEN_READ_ONLY)
		capabilities->flags |= TGTKIT_READ_ONLY;
	*handle = null;
	return 0;
}

static void null_close(void *handle)
{
	free(handle);
}

/* ---- Requests ------------------------------------------------------------------------------------------------------
 */

static int carry_out(struct tgtkit_request *request)
{
	switch (request->operation) {
	case TGTKIT_READ:
		for (uint32_t i = 0; i < request->segment_count; i++)
			memset(request->segments[i].address, 0, request->segments[i].length);
		return 0;
	case TGTKIT_WRITE:
	case TGTKIT_FLUSH:
	case TGTKIT_DISCARD:
	case TGTKIT_ZERO:
		return 0;
	case TGTKIT_EXTENTS:
		request->extents[0] = (struct tgtkit_extent){.offset = request->offset,
							     .length = request->length,
							     .flags = TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO};
		request->extents_count = 1;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct tgtkit_request *next_of(const struct tgtkit_request *request)
{
	return ((struct null_waiter *)request->scratch)->next;
}

static void arm(struct null_queue *queue)
{
	const struct null_waiter *waiter = queue->first->scratch;
	const uint64_t now = now_ns();

	/* Rounded up: a timer that fires too early would only be armed again. */
	the_host->timer_arm(queue->timer, waiter->due_ns > now ? (waiter->due_ns - now + 999) / 1000 : 0);
}

static void wait_for_time(struct null_queue *queue, struct tgtkit_request *request)
{
	struct null_waiter *waiter = request->scratch;

	*waiter = (struct null_waiter){.next = NULL, .due_ns = now_ns() + queue->latency_us * 1000};
	if (queue->first == NULL)
		queue->first = request;
	else
		((struct null_waiter *)queue->last->scratch)->next = request;
	queue->last = request;
	if (queue->first == request)
		arm(queue);
}

static void time_has_come(void *context)
{
	struct null_queue *queue = context;
	const uint64_t now = now_ns();

	while (queue->first != NULL && ((struct null_waiter *)queue->first->scratch)->due_ns <= now) {
		struct tgtkit_request *request = queue->first;

		queue->first = next_of(request);
		the_host->complete(request, carry_out(request));
	}
	if (queue->first != NULL)
		arm(queue);
}

static int null_submit(void *queue_context, struct tgtkit_request *request)
{
	struct null_queue *queue = queue_context;

	if (queue->timer != NULL)
		wait_for_time(queue, request);
	else
		the_host->complete(request, carry_out(request));
	return 0;
}

static void null_cancel(void *queue_context, struct tgtkit_request *request)
{
	struct null_queue *queue = queue_context;
	struct tgtkit_request *before = NULL, *candidate = queue->first;

	while (candidate != NULL && candidate != request) {
		before = candidate;
		candidate = next_of(candidate);
	}
	if (candidate == NULL)
		return;
	if (before == NULL)
		queue->first = next_of(request);
	else
		((struct null_waiter *)before->scratch)->next = next_of(request);
	if (queue->last == request)
		queue->last = before;
	/* The timer may now fire for nothing, once. */
	the_host->complete(request, -ECANCELED);
}

/* ---- Queues --------------------------------------------------------------------------------------------------------
 */

static int null_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	const struct null_handle *null = handle;
	struct null_queue *queue = calloc(1, sizeof(*queue));
	int status = 0;

	if (queue == NULL)
		return -ENOMEM;
	queue->latency_us = null->latency_us;
	if (queue->latency_us != 0)
		status = the_host->timer_create(args->worker, time_has_come, queue, &queue->timer);
	if (status != 0) {
		free(queue);
		return status;
	}
	*queue_context = queue;
	return 0;
}

static void null_queue_close(void *queue_context)
{
	struct null_queue *queue = queue_context;

	if (queue->timer != NULL)
		the_host->timer_destroy(queue->timer);
	free(queue);
}

/* ---- Descriptor
 * ------------------------------------------------------------------------------------------------------ */

static const struct tgtkit_async async = {
    .size = sizeof(async),
    .queue_open = null_queue_open,
    .submit = null_submit,
    .cancel = null_cancel,
    .queue_close = null_queue_close,
};

static const char *const prefixes[] = {"null", NULL};

static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "null",
    .version = PACKAGE_VERSION,
    .description = "reads zeros, discards writes",
    .prefixes = prefixes,
    .options = options,
    .scratch_bytes = sizeof(struct null_waiter),
    .check = null_check,
    .open = null_open,
    .close = null_close,
    .async = &async,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	return &plugin;
}
