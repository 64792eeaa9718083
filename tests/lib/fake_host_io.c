/* SPDX-License-Identifier: Apache-2.0
 *
 * Units, their queue, and requests on their way through it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host_private.h"

#define GRAVEYARD	     64
#define CANARY_BYTES	     64
#define CANARY		     0xc5
#define GARBAGE		     0xa5
#define LOGICAL_BLOCK	     512u
#define IS_POWER_OF_2(value) (((value) & ((value)-1)) == 0)

static struct tgtkit_error last_error;
static struct fh_unit *open_units; /* with a queue */

const char *fh_error(void)
{
	return last_error.message;
}

/* ---- Requests -----------------------------------------------------------------------------------------------------
 */

struct fh_io *fh_io_new(struct fh_unit *unit)
{
	struct fh_io *io = calloc(1, sizeof(*io));
	const size_t scratch_bytes = unit->plugin->scratch_bytes;

	if (io == NULL)
		fh_die("out of memory");
	io->unit = unit;
	io->state = FH_IO_IDLE;
	io->scratch_memory = malloc(scratch_bytes + 2 * CANARY_BYTES);
	if (io->scratch_memory == NULL)
		fh_die("out of memory");
	memset(io->scratch_memory, CANARY, scratch_bytes + 2 * CANARY_BYTES);
	io->request.scratch = io->scratch_memory + CANARY_BYTES;
	io->request.segments = io->segments;
	return io;
}

static bool is_filled(const unsigned char *bytes, size_t count, unsigned char value)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

void fh_io_free(struct fh_io *io)
{
	const unsigned char *after = (unsigned char *)io->request.scratch + io->unit->plugin->scratch_bytes;

	if (!is_filled(io->scratch_memory, CANARY_BYTES, CANARY) || !is_filled(after, CANARY_BYTES, CANARY))
		fh_violation("written outside of the scratch area");
	free(io->scratch_memory);
	free(io);
}

static void append_waiting(struct tgtkit_queue *queue, struct fh_io *io)
{
	io->state = FH_IO_WAITING;
	io->next = NULL;
	if (queue->waiting_last == NULL)
		queue->waiting_first = io;
	else
		queue->waiting_last->next = io;
	queue->waiting_last = io;
}

/* False after -EAGAIN. */
static bool pass_to_plugin(struct tgtkit_queue *queue, struct fh_io *io)
{
	int status;

	memset(io->request.scratch, GARBAGE, queue->unit->plugin->scratch_bytes);
	io->as_submitted = io->request;
	io->state = FH_IO_IN_FLIGHT;
	queue->in_flight++;
	queue->needs_commit = true;
	status = queue->unit->plugin->async->submit(queue->context, &io->request);
	if (status == 0)
		return true;
	if (status != -EAGAIN)
		fh_violation("submit returned %d", status);
	if (io->state != FH_IO_IN_FLIGHT)
		fh_die("a request was completed, and then not taken");
	queue->in_flight--;
	queue->agains++;
	return false;
}

void fh_io_submit(struct fh_io *io)
{
	struct tgtkit_queue *queue = io->unit->queue;

	if (io->state != FH_IO_IDLE)
		fh_die("a request submitted twice");
	if (queue->waiting_first != NULL || !pass_to_plugin(queue, io))
		append_waiting(queue, io);
}

void fh_io_process_ready(struct tgtkit_queue *queue)
{
	fh_lock();
	queue->readies--;
	fh_unlock();
	if (queue->agains == 0) {
		fh_violation("queue_ready that was not owed");
		return;
	}
	queue->agains--;
	while (queue->waiting_first != NULL) {
		struct fh_io *io = queue->waiting_first, *next = io->next;

		if (!pass_to_plugin(queue, io)) {
			io->state = FH_IO_WAITING;
			return;
		}
		queue->waiting_first = next;
		if (next == NULL)
			queue->waiting_last = NULL;
	}
}

/* What the plugin may write to is left out. */
static void check_unchanged(const struct fh_io *io)
{
	struct tgtkit_request now = io->request;

	now.extents_count = io->as_submitted.extents_count;
	now.miscompare_offset = io->as_submitted.miscompare_offset;
	if (memcmp(&now, &io->as_submitted, sizeof(now)) != 0)
		fh_violation("the plugin changed a request (operation %u)", io->as_submitted.operation);
}

void fh_io_process_completion(struct fh_io *io)
{
	check_unchanged(io);
	io->unit->queue->in_flight--;
	io->state = FH_IO_IDLE;
	if (io->done != NULL)
		io->done(io);
}

static void *context_of(const struct fh_unit *unit)
{
	return unit->plugin->async->worker_open != NULL ? unit->worker_context : unit->queue->context;
}

void fh_io_commit_and_poll(void)
{
	for (struct fh_unit *unit = open_units; unit != NULL; unit = unit->next) {
		const struct tgtkit_async *async = unit->plugin->async;
		const bool needs_commit = unit->queue->needs_commit;

		unit->queue->needs_commit = false;
		if (needs_commit && async->commit != NULL)
			async->commit(context_of(unit));
		if (unit->queue->in_flight > 0 && async->poll != NULL)
			async->poll(context_of(unit));
	}
}

/* ---- Units ----------------------------------------------------------------------------------------------------------
 */

/* Frees, much later: a late call then still finds memory that says "closed". */
static void bury(void *memory)
{
	static void *graves[GRAVEYARD];
	static unsigned next;

	free(graves[next % GRAVEYARD]);
	graves[next++ % GRAVEYARD] = memory;
}

static struct tgtkit_open_args args_of(const struct fh_spec *spec, struct tgtkit_unit *unit,
				       const struct fh_values *values)
{
	return (struct tgtkit_open_args){
	    .size = sizeof(struct tgtkit_open_args),
	    .unit = unit,
	    .path = spec->path,
	    .values = values->values,
	    .value_count = values->count,
	    .flags = spec->flags,
	    .size_bytes = spec->size_bytes,
	    .logical_block_bytes = spec->logical_block_bytes == 0 ? LOGICAL_BLOCK : spec->logical_block_bytes,
	    .state_dir = spec->state_dir == NULL ? "" : spec->state_dir,
	};
}

static void check_error(const char *verb, int status)
{
	if (status > 0)
		fh_violation("%s returned %d", verb, status);
	if (status != 0 && last_error.message[0] == '\0')
		fh_violation("%s failed (%s) and did not say why", verb, strerror(-status));
}

static void check_capabilities(const struct tgtkit_capabilities *seen)
{
	const uint64_t alignment = seen->offset_alignment_bytes == 0 ? 1 : seen->offset_alignment_bytes;

	if (!IS_POWER_OF_2(alignment) || alignment > (1u << 20) || seen->size_bytes % alignment != 0)
		fh_violation("offset_alignment_bytes %u, size_bytes %llu", seen->offset_alignment_bytes,
			     (unsigned long long)seen->size_bytes);
	if (!IS_POWER_OF_2(seen->memory_alignment_bytes) || seen->memory_alignment_bytes > 4096)
		fh_violation("memory_alignment_bytes %u", seen->memory_alignment_bytes);
	if (!IS_POWER_OF_2(seen->physical_block_bytes))
		fh_violation("physical_block_bytes %u", seen->physical_block_bytes);
	if ((seen->flags & TGTKIT_DISCARD_READS_ZERO) && !(seen->flags & TGTKIT_CAN_DISCARD))
		fh_violation("discard reads zero, but there is no discard");
	if (memchr(seen->identity, '\0', sizeof(seen->identity)) == NULL)
		fh_violation("identity is not terminated");
	if (seen->size != sizeof(*seen) || seen->size_bytes == 0)
		fh_violation("capabilities without a size");
}

int fh_check(const struct fh_spec *spec)
{
	struct fh_values values;
	struct tgtkit_open_args args;
	int status = fh_values_parse(spec->plugin, spec->options, &values, &last_error);

	if (status != 0)
		return status;
	args = args_of(spec, NULL, &values);
	last_error.message[0] = '\0';
	status = spec->plugin->check == NULL ? 0 : spec->plugin->check(&args, &last_error);
	check_error("check", status);
	fh_values_free(&values);
	return status;
}

static int open_queue(struct fh_unit *unit)
{
	const struct tgtkit_async *async = unit->plugin->async;
	struct tgtkit_queue_open_args args = {
	    .size = sizeof(args), .worker = fh_worker(), .regions = &unit->region, .region_count = 1};
	int status = 0;

	unit->queue = calloc(1, sizeof(*unit->queue));
	if (unit->queue == NULL)
		fh_die("out of memory");
	unit->queue->unit = unit;
	if (async->worker_open != NULL)
		status = async->worker_open(fh_worker(), &unit->worker_context);
	if (status != 0)
		return status;
	args.queue = unit->queue;
	args.worker_context = unit->worker_context;
	status = async->queue_open(unit->handle, &args, &unit->queue->context);
	if (status != 0)
		return status;
	unit->next = open_units;
	open_units = unit;
	return 0;
}

int fh_open(const struct fh_spec *spec, struct fh_unit **result)
{
	struct fh_values values;
	struct tgtkit_open_args args;
	struct fh_unit *unit;
	int status = fh_values_parse(spec->plugin, spec->options, &values, &last_error);

	if (status != 0)
		return status;
	unit = calloc(1, sizeof(*unit));
	if (unit == NULL || (unit->unit = calloc(1, sizeof(*unit->unit))) == NULL)
		fh_die("out of memory");
	unit->plugin = spec->plugin;
	unit->capabilities.size = sizeof(unit->capabilities);
	unit->region = spec->region.length == 0 ? fh_region() : spec->region;
	args = args_of(spec, unit->unit, &values);
	last_error.message[0] = '\0';
	status = spec->plugin->open(&args, &unit->handle, &unit->capabilities, &last_error);
	check_error("open", status);
	fh_values_free(&values);
	if (status != 0) {
		unit->unit->closed = true;
		bury(unit->unit);
		free(unit);
		return status;
	}
	fh_lock();
	unit->unit->opened = true;
	fh_unlock();
	check_capabilities(&unit->capabilities);
	if (unit->plugin->async != NULL && open_queue(unit) != 0)
		fh_die("queue_open failed");
	*result = unit;
	return 0;
}

uint64_t fh_open_takes_us(const struct fh_unit *unit)
{
	return unit->unit->open_takes_us;
}

static bool is_quiet(void *context)
{
	const struct fh_unit *unit = context;

	return unit->queue->in_flight == 0 && unit->queue->waiting_first == NULL && fh_offloads_are_over(NULL);
}

static void close_queue(struct fh_unit *unit)
{
	struct fh_unit **link = &open_units;

	fh_run_until(is_quiet, unit);
	unit->plugin->async->queue_close(unit->queue->context);
	if (unit->plugin->async->worker_open != NULL)
		unit->plugin->async->worker_close(unit->worker_context);
	while (*link != unit)
		link = &(*link)->next;
	*link = unit->next;
	fh_lock();
	unit->queue->closed = true;
	fh_unlock();
}

void fh_close(struct fh_unit *unit)
{
	if (unit->queue != NULL)
		close_queue(unit);
	unit->plugin->close(unit->handle);
	fh_lock();
	unit->unit->closed = true;
	fh_unlock();
	/* Whatever it left behind in the loop would run now. */
	fh_turn(0);
	bury(unit->unit);
	bury(unit->queue);
	free(unit);
}

static int after_verb(struct fh_unit *unit, const char *verb, int status, const struct tgtkit_capabilities *seen)
{
	check_error(verb, status);
	if (status != 0)
		return status;
	check_capabilities(seen);
	unit->capabilities = *seen;
	return 0;
}

int fh_refresh(struct fh_unit *unit)
{
	struct tgtkit_capabilities seen = {.size = sizeof(seen)};

	if (unit->plugin->refresh == NULL)
		return 0;
	last_error.message[0] = '\0';
	return after_verb(unit, "refresh", unit->plugin->refresh(unit->handle, &seen, &last_error), &seen);
}

int fh_resize(struct fh_unit *unit, uint64_t size_bytes, uint32_t flags)
{
	struct tgtkit_capabilities seen = {.size = sizeof(seen)};

	if (unit->plugin->resize == NULL)
		return -EOPNOTSUPP;
	last_error.message[0] = '\0';
	return after_verb(unit, "resize", unit->plugin->resize(unit->handle, size_bytes, flags, &seen, &last_error),
			  &seen);
}

int fh_reload(struct fh_unit *unit, const struct fh_option *options)
{
	struct fh_values values;
	int status = fh_values_parse(unit->plugin, options, &values, &last_error);

	if (status != 0)
		return status;
	last_error.message[0] = '\0';
	status = unit->plugin->reload(unit->handle, values.values, values.count, &last_error);
	check_error("reload", status);
	fh_values_free(&values);
	return status;
}

int fh_take_over(struct fh_unit *unit)
{
	int status;

	last_error.message[0] = '\0';
	status = unit->plugin->take_over(unit->handle, &last_error);
	check_error("take_over", status);
	return status;
}

const struct tgtkit_capabilities *fh_capabilities(const struct fh_unit *unit)
{
	return &unit->capabilities;
}

void *fh_handle(const struct fh_unit *unit)
{
	return unit->handle;
}

/* ---- Events
 * ------------------------------------------------------------------------------------------------------------ */

struct awaited {
	const struct fh_unit *unit;
	enum tgtkit_event event;
	unsigned count;
};

unsigned fh_event_count(const struct fh_unit *unit, enum tgtkit_event event)
{
	unsigned count;

	fh_lock();
	count = unit->unit->events[event];
	fh_unlock();
	return count;
}

static bool has_come(void *context)
{
	const struct awaited *awaited = context;

	return fh_event_count(awaited->unit, awaited->event) >= awaited->count;
}

void fh_wait_event(struct fh_unit *unit, enum tgtkit_event event, unsigned count)
{
	struct awaited awaited = {.unit = unit, .event = event, .count = count};

	fh_run_until(has_come, &awaited);
}
