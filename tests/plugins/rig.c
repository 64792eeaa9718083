/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

static const struct tgtkit_host *the_host;

enum {
	OPTION_DELAY_US,
	OPTION_MAX_QUEUES,
	OPTION_OFFSET_ALIGNMENT,
	OPTION_MEMORY_ALIGNMENT,
	OPTION_MAXIMUM_TRANSFER,
	OPTION_MAXIMUM_SEGMENTS,
	OPTION_AGAIN_EVERY,
	OPTION_REORDER,
	OPTION_CANCELLABLE,
	OPTION_CAPABILITIES,
	OPTION_CONTROL,
	OPTION_BACKING,
};

#define ROW(row_key, row_type, row_flags, row_default, row_minimum, row_maximum, row_help)                             \
	{                                                                                                              \
		.key = row_key, .type = TGTKIT_OPTION_##row_type, .flags = row_flags, .default_value = row_default,    \
		.minimum = row_minimum, .maximum = row_maximum, .help = row_help                                       \
	}

static const struct tgtkit_option options[] = {
    [OPTION_DELAY_US] = ROW("delay_us", INTEGER, TGTKIT_OPTION_RELOADABLE, "0", 0, 60000000, "time of a request"),
    [OPTION_MAX_QUEUES] = ROW("max_queues", INTEGER, 0, "0", 0, 1, "0: a queue per worker, 1: a home worker"),
    [OPTION_OFFSET_ALIGNMENT] = ROW("offset_alignment", SIZE, 0, "0", 0, 1 << 20, "of reads and writes"),
    [OPTION_MEMORY_ALIGNMENT] = ROW("memory_alignment", SIZE, 0, "0", 0, 4096, "of segments"),
    [OPTION_MAXIMUM_TRANSFER] = ROW("maximum_transfer", SIZE, 0, "0", 0, 1 << 30, "of one read or write"),
    [OPTION_MAXIMUM_SEGMENTS] = ROW("maximum_segments", INTEGER, 0, "0", 0, 1024, "of one read or write"),
    [OPTION_AGAIN_EVERY] = ROW("again_every", INTEGER, 0, "0", 0, 1 << 30, "refuse every Nth request (not 1)"),
    [OPTION_REORDER] = ROW("reorder", BOOL, 0, "false", 0, 0, "complete the newest request first"),
    [OPTION_CANCELLABLE] = ROW("cancellable", BOOL, 0, "false", 0, 0, "let a cancel end a waiting request"),
    [OPTION_CAPABILITIES] = ROW("capabilities", STRING, 0, "flush,fua,discard,reads_zero,zero,extents", 0, 0,
				"what to declare, separated by commas"),
    [OPTION_CONTROL] = ROW("control", STRING, 0, NULL, 0, 0, "path of the control socket"),
    [OPTION_BACKING] = ROW("backing", STRING, 0, NULL, 0, 0, "file that holds the data"),
    {.key = NULL},
};

uint64_t rig_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Carrying out --------------------------------------------------------------------------------------------------
 */

static void list_append(struct rig_list *list, struct rig_io *io)
{
	io->next = NULL;
	io->previous = list->last;
	if (list->last != NULL)
		list->last->next = io;
	else
		list->first = io;
	list->last = io;
	list->count++;
}

static void list_remove(struct rig_list *list, struct rig_io *io)
{
	if (io->next != NULL)
		io->next->previous = io->previous;
	else
		list->last = io->previous;
	if (io->previous != NULL)
		io->previous->next = io->next;
	else
		list->first = io->next;
	list->count--;
}

/* By a system call: a read through the mapping would fill the holes of a memory file. */
static int read_data(struct rig *rig, const struct tgtkit_request *request)
{
	uint64_t offset = request->offset;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct tgtkit_segment *segment = &request->segments[i];

		if (pread(rig->memory.fd, segment->address, segment->length, (off_t)offset) != (ssize_t)segment->length)
			return -EIO;
		offset += segment->length;
	}
	return 0;
}

static void write_data(struct rig *rig, const struct tgtkit_request *request)
{
	char *position = rig->memory.bytes + request->offset;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		memcpy(position, request->segments[i].address, request->segments[i].length);
		position += request->segments[i].length;
	}
	rig_memory_touch(&rig->memory, request->offset, request->length);
}

static int change(struct rig *rig, const struct tgtkit_request *request)
{
	int status = 0;

	if (request->operation == TGTKIT_WRITE)
		write_data(rig, request);
	else
		status = rig_memory_zero(&rig->memory, request->offset, request->length);
	if (status == 0 && (request->flags & TGTKIT_REQUEST_FUA))
		rig_memory_stabilise(&rig->memory, request->offset, request->length);
	return status;
}

static int carry_out(struct rig *rig, struct tgtkit_request *request)
{
	/* The size may have shrunk since the host looked. */
	if (request->offset > rig->memory.length || request->length > rig->memory.length - request->offset)
		return -EIO;
	switch (request->operation) {
	case TGTKIT_READ:
		return read_data(rig, request);
	case TGTKIT_FLUSH:
		rig_memory_stabilise(&rig->memory, 0, rig->memory.length);
		return 0;
	case TGTKIT_EXTENTS:
		return rig_memory_extents(&rig->memory, request);
	default:
		return change(rig, request);
	}
}

static void finish(struct rig *rig, struct tgtkit_request *request, int status)
{
	if (status == 0)
		rig->completed[request->operation]++;
	else
		rig->failed++;
	/* A failed flush of an ordinary cache loses what it was to write, as Linux's page cache does. */
	if (status != 0 && request->operation == TGTKIT_FLUSH && !(rig->flags & TGTKIT_RETAINS_DIRTY))
		rig_memory_forget_dirty(&rig->memory);
	rig->host->complete(request, status);
}

void rig_release(struct rig *rig)
{
	while (rig->hung.first != NULL) {
		struct rig_io *io = rig->hung.first;

		list_remove(&rig->hung, io);
		finish(rig, io->request, carry_out(rig, io->request));
	}
}

static struct rig_fault *fault_for(struct rig *rig, const struct tgtkit_request *request)
{
	for (size_t i = 0; i < RIG_FAULTS; i++) {
		struct rig_fault *fault = &rig->faults[i];
		const bool overlaps = fault->length == 0 || (request->offset < fault->offset + fault->length &&
							     fault->offset < request->offset + request->length);

		if (fault->count > 0 && overlaps && (fault->operation == 0 || fault->operation == request->operation))
			return fault;
	}
	return NULL;
}

static void run_one(struct rig *rig, struct rig_io *io)
{
	struct rig_fault *fault = fault_for(rig, io->request);

	list_remove(&rig->pending, io);
	if (fault == NULL) {
		finish(rig, io->request, carry_out(rig, io->request));
		return;
	}
	fault->count--;
	if (fault->action == RIG_HANG)
		list_append(&rig->hung, io);
	else
		finish(rig, io->request, fault->status);
}

uint64_t rig_run_due(struct rig *rig)
{
	const uint64_t now = rig_now_ns();
	uint64_t next_due = 0;

	for (struct rig_queue *queue = rig->queues; queue != NULL; queue = queue->next) {
		if (queue->owes_ready)
			rig->host->queue_ready(queue->queue);
		queue->owes_ready = false;
	}
	for (struct rig_io *io = rig->reorder ? rig->pending.last : rig->pending.first, *following; io != NULL;
	     io = following) {
		following = rig->reorder ? io->previous : io->next;
		if (io->due_ns <= now)
			run_one(rig, io);
		else if (next_due == 0 || io->due_ns < next_due)
			next_due = io->due_ns;
	}
	return next_due;
}

/* ---- What the host promised
 * ------------------------------------------------------------------------------------------ */

static bool is_declared(const struct rig *rig, const struct tgtkit_request *request)
{
	static const uint32_t needed[] = {
	    [TGTKIT_FLUSH] = TGTKIT_CAN_FLUSH,
	    [TGTKIT_DISCARD] = TGTKIT_CAN_DISCARD,
	    [TGTKIT_ZERO] = TGTKIT_CAN_ZERO,
	    [TGTKIT_EXTENTS] = TGTKIT_CAN_EXTENTS,
	    [TGTKIT_COMPARE_AND_WRITE] = TGTKIT_CAN_COMPARE_AND_WRITE,
	    [TGTKIT_COPY] = TGTKIT_CAN_COPY,
	};
	uint32_t needs;

	if (request->operation == 0 || request->operation > TGTKIT_COPY || request->payload != TGTKIT_PAYLOAD_CORE)
		return false;
	needs = needed[request->operation] | (request->flags & TGTKIT_REQUEST_FUA ? TGTKIT_CAN_FUA : 0);
	if (request->operation != TGTKIT_READ && request->operation != TGTKIT_EXTENTS &&
	    request->operation != TGTKIT_FLUSH && (rig->flags & TGTKIT_READ_ONLY))
		return false;
	return (rig->flags & needs) == needs;
}

static bool is_multiple(uint64_t value, uint32_t alignment)
{
	return alignment == 0 || value % alignment == 0;
}

static bool keeps_limits(const struct rig *rig, const struct tgtkit_request *request)
{
	uint64_t total = 0;

	if (request->operation != TGTKIT_READ && request->operation != TGTKIT_WRITE)
		return true;
	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct tgtkit_segment *segment = &request->segments[i];

		if (!is_multiple((uintptr_t)segment->address, rig->memory_alignment) ||
		    !is_multiple(segment->length, rig->memory_alignment))
			return false;
		total += segment->length;
	}
	return total == request->length && total > 0 && is_multiple(request->offset, rig->offset_alignment) &&
	       is_multiple(request->length, rig->offset_alignment) &&
	       (rig->maximum_transfer == 0 || total <= rig->maximum_transfer) &&
	       (rig->maximum_segments == 0 || request->segment_count <= rig->maximum_segments);
}

/* ---- Queues --------------------------------------------------------------------------------------------------------
 */

static int rig_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	struct rig *rig = handle;
	struct rig_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return -ENOMEM;
	queue->rig = rig;
	queue->queue = args->queue;
	pthread_mutex_lock(&rig->lock);
	queue->next = rig->queues;
	rig->queues = queue;
	pthread_mutex_unlock(&rig->lock);
	*queue_context = queue;
	return 0;
}

static void rig_queue_close(void *queue_context)
{
	struct rig_queue *queue = queue_context, **link = &queue->rig->queues;

	pthread_mutex_lock(&queue->rig->lock);
	while (*link != queue)
		link = &(*link)->next;
	*link = queue->next;
	pthread_mutex_unlock(&queue->rig->lock);
	free(queue);
}

/* With the lock. */
static int take(struct rig_queue *queue, struct tgtkit_request *request)
{
	struct rig *rig = queue->rig;
	struct rig_io *io = request->scratch;

	rig->submitted++;
	if (rig->again_every != 0 && rig->submitted % rig->again_every == 0) {
		rig->refused++;
		queue->owes_ready = true;
		rig_control_wake(rig);
		return -EAGAIN;
	}
	if (!is_declared(rig, request) || !keeps_limits(rig, request)) {
		rig->violations++;
		rig->host->log(rig->unit, TGTKIT_LOG_ERROR,
			       "the host broke its promise: operation %" PRIu32 ", flags %" PRIu32 ", offset %" PRIu64
			       ", length %" PRIu64 ", %" PRIu32 " segments",
			       request->operation, request->flags, request->offset, request->length,
			       request->segment_count);
		rig->host->complete(request, -EINVAL);
		return 0;
	}
	io->request = request;
	io->due_ns = rig->delay_us == 0 ? 0 : rig_now_ns() + rig->delay_us * 1000;
	list_append(&rig->pending, io);
	return 0;
}

static int rig_submit(void *queue_context, struct tgtkit_request *request)
{
	struct rig_queue *queue = queue_context;
	int status;

	pthread_mutex_lock(&queue->rig->lock);
	status = take(queue, request);
	pthread_mutex_unlock(&queue->rig->lock);
	return status;
}

static void rig_commit(void *context)
{
	struct rig_queue *queue = context;

	rig_control_wake(queue->rig);
}

static bool holds(const struct rig_list *list, const struct tgtkit_request *request)
{
	for (const struct rig_io *io = list->first; io != NULL; io = io->next)
		if (io->request == request)
			return true;
	return false;
}

static void rig_cancel(void *queue_context, struct tgtkit_request *request)
{
	struct rig_queue *queue = queue_context;
	struct rig *rig = queue->rig;
	struct rig_list *list;

	pthread_mutex_lock(&rig->lock);
	list = holds(&rig->pending, request) ? &rig->pending : holds(&rig->hung, request) ? &rig->hung : NULL;
	if (rig->cancellable && list != NULL) {
		list_remove(list, request->scratch);
		finish(rig, request, -ECANCELED);
	}
	pthread_mutex_unlock(&rig->lock);
}

/* ---- Control verbs --------------------------------------------------------------------------------------------------
 */

static int fail(struct tgtkit_error *error, int status, const char *what, const char *object)
{
	snprintf(error->message, sizeof(error->message), "%s '%s': %s", what, object, strerror(-status));
	return status;
}

static int parse_capabilities(const char *text, uint32_t *flags)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} known[] = {
	    {"flush", TGTKIT_CAN_FLUSH},	 {"fua", TGTKIT_CAN_FUA},
	    {"discard", TGTKIT_CAN_DISCARD},	 {"reads_zero", TGTKIT_DISCARD_READS_ZERO},
	    {"zero", TGTKIT_CAN_ZERO},		 {"extents", TGTKIT_CAN_EXTENTS},
	    {"volatile", TGTKIT_VOLATILE_CACHE}, {"retains_dirty", TGTKIT_RETAINS_DIRTY},
	    {"shared", TGTKIT_SHARED_WRITERS},	 {"rotational", TGTKIT_ROTATIONAL},
	};

	while (*text != '\0') {
		const size_t length = strcspn(text, ",");
		size_t i = 0;

		while (i < sizeof(known) / sizeof(known[0]) &&
		       (strlen(known[i].name) != length || memcmp(known[i].name, text, length) != 0))
			i++;
		if (i == sizeof(known) / sizeof(known[0]))
			return -EINVAL;
		*flags |= known[i].flag;
		text += length + (text[length] == ',');
	}
	return 0;
}

static void measure(struct rig *rig, struct tgtkit_capabilities *capabilities)
{
	pthread_mutex_lock(&rig->lock);
	capabilities->size_bytes = rig->memory.length;
	pthread_mutex_unlock(&rig->lock);
	capabilities->flags = rig->flags;
	capabilities->offset_alignment_bytes = rig->offset_alignment;
	capabilities->memory_alignment_bytes = rig->memory_alignment;
	capabilities->maximum_transfer_bytes = rig->maximum_transfer;
	capabilities->maximum_segments = rig->maximum_segments;
	capabilities->max_queues = rig->max_queues;
}

static void take_options(struct rig *rig, const struct tgtkit_value *values)
{
	rig->delay_us = (uint64_t)values[OPTION_DELAY_US].as.integer;
	rig->max_queues = (uint32_t)values[OPTION_MAX_QUEUES].as.integer;
	rig->offset_alignment = (uint32_t)values[OPTION_OFFSET_ALIGNMENT].as.size_bytes;
	rig->memory_alignment = (uint32_t)values[OPTION_MEMORY_ALIGNMENT].as.size_bytes;
	rig->maximum_transfer = (uint32_t)values[OPTION_MAXIMUM_TRANSFER].as.size_bytes;
	rig->maximum_segments = (uint32_t)values[OPTION_MAXIMUM_SEGMENTS].as.integer;
	rig->again_every = (uint64_t)values[OPTION_AGAIN_EVERY].as.integer;
	rig->reorder = values[OPTION_REORDER].as.boolean;
	rig->cancellable = values[OPTION_CANCELLABLE].as.boolean;
}

/* Everything but the thread. */
static int prepare(struct rig *rig, const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	const struct tgtkit_value *values = args->values;
	char *end;
	uint64_t length = strtoull(args->path, &end, 10);
	int status;

	if (length == 0 || *end != '\0' || length > INT64_MAX)
		return fail(error, -EINVAL, "number of bytes", args->path);
	take_options(rig, values);
	if (rig->again_every == 1)
		return fail(error, -EINVAL, "again_every", "1");
	if (parse_capabilities(values[OPTION_CAPABILITIES].as.string, &rig->flags) != 0)
		return fail(error, -EINVAL, "capabilities", values[OPTION_CAPABILITIES].as.string);
	if (args->flags & TGTKIT_OPEN_READ_ONLY)
		rig->flags |= TGTKIT_READ_ONLY;
	status =
	    rig_memory_open(&rig->memory, values[OPTION_BACKING].as.string, length, rig->flags & TGTKIT_VOLATILE_CACHE);
	return status == 0 ? 0 : fail(error, status, "memory of", args->path);
}

static int rig_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		    struct tgtkit_error *error)
{
	const char *control = args->values[OPTION_CONTROL].as.string;
	struct rig *rig = calloc(1, sizeof(*rig));
	int status;

	if (rig == NULL)
		return fail(error, -ENOMEM, "unit", args->path);
	rig->host = the_host;
	rig->unit = args->unit;
	status = prepare(rig, args, error);
	if (status != 0) {
		free(rig);
		return status;
	}
	pthread_mutex_init(&rig->lock, NULL);
	status = rig_control_start(rig, control);
	if (status != 0) {
		rig_memory_close(&rig->memory);
		pthread_mutex_destroy(&rig->lock);
		free(rig);
		return fail(error, status, "control socket", control == NULL ? "" : control);
	}
	measure(rig, capabilities);
	*handle = rig;
	return 0;
}

static int rig_refresh(void *handle, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	(void)error;
	measure(handle, capabilities);
	return 0;
}

static int rig_resize(void *handle, uint64_t size_bytes, uint32_t flags, struct tgtkit_capabilities *capabilities,
		      struct tgtkit_error *error)
{
	struct rig *rig = handle;
	int status = -EINVAL;

	pthread_mutex_lock(&rig->lock);
	if (size_bytes >= rig->memory.length || (flags & TGTKIT_RESIZE_SHRINK))
		status = rig_memory_resize(&rig->memory, size_bytes);
	pthread_mutex_unlock(&rig->lock);
	if (status != 0)
		return fail(error, status, "resize of", "rig");
	measure(rig, capabilities);
	return 0;
}

static int rig_reload(void *handle, const struct tgtkit_value *values, size_t value_count, struct tgtkit_error *error)
{
	struct rig *rig = handle;

	(void)value_count;
	(void)error;
	pthread_mutex_lock(&rig->lock);
	rig->delay_us = (uint64_t)values[OPTION_DELAY_US].as.integer;
	pthread_mutex_unlock(&rig->lock);
	return 0;
}

static void rig_close(void *handle)
{
	struct rig *rig = handle;

	rig_control_stop(rig);
	rig_memory_close(&rig->memory);
	pthread_mutex_destroy(&rig->lock);
	free(rig);
}

static const struct tgtkit_counter counters[] = {
    {.name = "submitted_total", .help = "requests that the host submitted"},
    {.name = "violations_total", .help = "requests outside what was declared"},
    {.name = "hung", .help = "requests that hang", .is_gauge = 1},
    {.name = NULL},
};

static void rig_read_counters(void *handle, uint64_t *values)
{
	struct rig *rig = handle;

	pthread_mutex_lock(&rig->lock);
	values[0] = rig->submitted;
	values[1] = rig->violations;
	values[2] = rig->hung.count;
	pthread_mutex_unlock(&rig->lock);
}

/* ---- Descriptor
 * ------------------------------------------------------------------------------------------------------ */

static const struct tgtkit_async async = {
    .size = sizeof(async),
    .queue_open = rig_queue_open,
    .submit = rig_submit,
    .commit = rig_commit,
    .cancel = rig_cancel,
    .queue_close = rig_queue_close,
};

static const char *const prefixes[] = {"rig", NULL};

static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "rig",
    .version = "1",
    .description = "memory as a disk, with faults to order (for tests)",
    .prefixes = prefixes,
    .options = options,
    .scratch_bytes = sizeof(struct rig_io),
    .open = rig_open,
    .refresh = rig_refresh,
    .resize = rig_resize,
    .close = rig_close,
    .async = &async,
    .counters = counters,
    .read_counters = rig_read_counters,
    .reload = rig_reload,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	return &plugin;
}
