/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	OPTION_ATOMIC_WRITE,
	OPTION_AGAIN_EVERY,
	OPTION_REORDER,
	OPTION_CANCELLABLE,
	OPTION_CAPABILITIES,
	OPTION_CONTROL,
	OPTION_BACKING,
	OPTION_OPEN_GATE,
	OPTION_RESIZE_GATE,
	OPTION_CLOSE_GATE,
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
    [OPTION_ATOMIC_WRITE] = ROW("atomic_write", SIZE, 0, "0", 0, 1 << 20, "aligned writes that are all or nothing"),
    [OPTION_AGAIN_EVERY] = ROW("again_every", INTEGER, 0, "0", 0, 1 << 30, "refuse every Nth request (not 1)"),
    [OPTION_REORDER] = ROW("reorder", BOOL, 0, "false", 0, 0, "complete the newest request first"),
    [OPTION_CANCELLABLE] = ROW("cancellable", BOOL, 0, "false", 0, 0, "let a cancel end a waiting request"),
    [OPTION_CAPABILITIES] = ROW("capabilities", STRING, 0, "flush,fua,discard,reads_zero,zero,extents", 0, 0,
				"what to declare, separated by commas"),
    [OPTION_CONTROL] = ROW("control", STRING, 0, NULL, 0, 0, "path of the control socket"),
    [OPTION_BACKING] = ROW("backing", STRING, 0, NULL, 0, 0, "file that holds the data"),
    [OPTION_OPEN_GATE] = ROW("open_gate", STRING, 0, NULL, 0, 0, "FIFO: open hangs until somebody writes to it"),
    [OPTION_RESIZE_GATE] = ROW("resize_gate", STRING, 0, NULL, 0, 0, "FIFO: likewise, resize"),
    [OPTION_CLOSE_GATE] = ROW("close_gate", STRING, 0, NULL, 0, 0, "FIFO: likewise, close"),
    {.key = NULL},
};

/* ---- Control verbs --------------------------------------------------------------------------------------------------
 */

static int fail(struct tgtkit_error *error, int status, const char *what, const char *object)
{
	snprintf(error->message, sizeof(error->message), "%s '%s': %s", what, object, strerror(-status));
	return status;
}

/* Opening a FIFO waits for the other end. */
static void wait_at(const char *gate)
{
	int fd = gate != NULL ? open(gate, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		close(fd);
}

static char *copy_gate(const char *gate)
{
	return gate != NULL ? strdup(gate) : NULL;
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
	capabilities->atomic_write_bytes = rig->atomic_write;
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
	rig->atomic_write = (uint32_t)values[OPTION_ATOMIC_WRITE].as.size_bytes;
	rig->again_every = (uint64_t)values[OPTION_AGAIN_EVERY].as.integer;
	rig->reorder = values[OPTION_REORDER].as.boolean;
	rig->cancellable = values[OPTION_CANCELLABLE].as.boolean;
	rig->resize_gate = copy_gate(values[OPTION_RESIZE_GATE].as.string);
	rig->close_gate = copy_gate(values[OPTION_CLOSE_GATE].as.string);
}

static void free_rig(struct rig *rig)
{
	free(rig->resize_gate);
	free(rig->close_gate);
	free(rig);
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
	wait_at(args->values[OPTION_OPEN_GATE].as.string);
	rig->host = the_host;
	rig->unit = args->unit;
	status = prepare(rig, args, error);
	if (status != 0) {
		free_rig(rig);
		return status;
	}
	pthread_mutex_init(&rig->lock, NULL);
	status = rig_control_start(rig, control);
	if (status != 0) {
		rig_memory_close(&rig->memory);
		pthread_mutex_destroy(&rig->lock);
		free_rig(rig);
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

	wait_at(rig->resize_gate);
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

	wait_at(rig->close_gate);
	rig_control_stop(rig);
	rig_memory_close(&rig->memory);
	pthread_mutex_destroy(&rig->lock);
	free_rig(rig);
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
    .async = &rig_async,
    .counters = counters,
    .read_counters = rig_read_counters,
    .reload = rig_reload,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	return &plugin;
}
