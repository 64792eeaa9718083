/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations in either tier, with memory that is no better than the plugin asked for, and canaries around it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "fake_host_private.h"

#define CANARY_BYTES 64
#define CANARY	     0xc5
#define GARBAGE	     0x5a
#define ALIGNMENT    8192u /* above all that a plugin may ask for */

#define SLOT_BYTES   (256u << 10)
#define REGION_SLOTS 64u

/* Memory for the plugin: aligned as it asked and no better. */
struct bounce {
	unsigned char *memory, *data;
	size_t length;
	bool *slot; /* of the region that it is in, or NULL */
};

struct fh_pending {
	struct fh_unit *unit;
	struct fh_io *io; /* async tier */
	struct bounce bounce;
	void *buffer;
	bool is_done;
	int status;
};

static uint32_t memory_alignment(const struct fh_unit *unit)
{
	const uint32_t alignment = unit->capabilities.memory_alignment_bytes;

	return alignment == 0 ? 1 : alignment;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

static bool slot_is_taken[REGION_SLOTS];

struct tgtkit_region fh_region(void)
{
	static void *memory;

	if (memory == NULL && posix_memalign(&memory, ALIGNMENT, REGION_SLOTS * SLOT_BYTES) != 0)
		fh_die("out of memory");
	return (struct tgtkit_region){.address = memory, .length = REGION_SLOTS * SLOT_BYTES};
}

static void *slot_take(struct bounce *bounce)
{
	for (unsigned i = 0; i < REGION_SLOTS; i++) {
		if (slot_is_taken[i])
			continue;
		slot_is_taken[i] = true;
		bounce->slot = &slot_is_taken[i];
		return (char *)fh_region().address + i * SLOT_BYTES;
	}
	return NULL;
}

/* Half of the time from the region. */
static void bounce_make(struct bounce *bounce, const struct fh_unit *unit, size_t length)
{
	const bool may_use_region = unit->plugin->async != NULL && unit->region.address == fh_region().address;
	void *memory = NULL;

	if (may_use_region && 2 * ALIGNMENT + length <= SLOT_BYTES && fh_random() % 2 == 0)
		memory = slot_take(bounce);
	if (memory == NULL && posix_memalign(&memory, ALIGNMENT, 2 * ALIGNMENT + length) != 0)
		fh_die("out of memory");
	bounce->memory = memory;
	bounce->data = bounce->memory + ALIGNMENT + memory_alignment(unit);
	bounce->length = length;
	memset(bounce->data - CANARY_BYTES, CANARY, CANARY_BYTES);
	memset(bounce->data, GARBAGE, length);
	memset(bounce->data + length, CANARY, CANARY_BYTES);
}

static void bounce_free(struct bounce *bounce)
{
	const unsigned char *before = bounce->data - CANARY_BYTES, *after = bounce->data + bounce->length;

	for (size_t i = 0; i < CANARY_BYTES; i++)
		if (before[i] != CANARY || after[i] != CANARY)
			fh_violation("written outside of a buffer of %zu bytes", bounce->length);
	if (bounce->slot != NULL)
		*bounce->slot = false;
	else
		free(bounce->memory);
}

/* ---- Blocking tier
 * --------------------------------------------------------------------------------------------------- */

static int check_status(const char *hook, int status)
{
	if (status > 0 || status == -EAGAIN)
		fh_violation("%s returned %d", hook, status);
	return status;
}

/* Half of the time as a worker would: without waiting first, and what is left over on the pool. */
static ssize_t try_nowait(const struct fh_unit *unit, uint32_t operation, struct bounce *bounce, uint64_t offset)
{
	const struct tgtkit_blocking *blocking = unit->plugin->blocking;
	ssize_t (*hook)(void *, const struct iovec *, int, uint64_t) =
	    operation == TGTKIT_READ ? blocking->preadv_nowait : blocking->pwritev_nowait;
	const size_t half = bounce->length / 2;
	struct iovec pieces[2] = {{bounce->data, half}, {bounce->data + half, bounce->length - half}};
	ssize_t result;

	if (hook == NULL || fh_random() % 2 == 0)
		return 0;
	result = hook(unit->handle, pieces, 2, offset);
	if (result > (ssize_t)bounce->length)
		fh_violation("a transfer without waiting of %zd bytes instead of %zu", result, bounce->length);
	return result == -EAGAIN || result == -EOPNOTSUPP ? 0 : result;
}

static int transfer_blocking(const struct fh_unit *unit, uint32_t operation, struct bounce *bounce, uint64_t offset,
			     uint32_t flags)
{
	const struct tgtkit_blocking *blocking = unit->plugin->blocking;
	ssize_t done = flags & TGTKIT_REQUEST_FUA ? 0 : try_nowait(unit, operation, bounce, offset);
	size_t left;

	if (done < 0)
		return (int)done;
	left = bounce->length - (size_t)done;
	if (left == 0)
		return 0;
	if (operation == TGTKIT_READ)
		return check_status("pread",
				    blocking->pread(unit->handle, bounce->data + done, left, offset + (uint64_t)done));
	return check_status("pwrite",
			    blocking->pwrite(unit->handle, bounce->data + done, left, offset + (uint64_t)done, flags));
}

static int run_blocking(const struct fh_unit *unit, uint32_t operation, struct bounce *bounce, uint64_t length,
			uint64_t offset, uint32_t flags)
{
	const struct tgtkit_blocking *blocking = unit->plugin->blocking;

	switch (operation) {
	case TGTKIT_FLUSH:
		return check_status("flush", blocking->flush(unit->handle));
	case TGTKIT_DISCARD:
		return check_status("discard", blocking->discard(unit->handle, offset, length, flags));
	case TGTKIT_ZERO:
		return check_status("zero", blocking->zero(unit->handle, offset, length, flags));
	default:
		return transfer_blocking(unit, operation, bounce, offset, flags);
	}
}

/* ---- Async tier
 * --------------------------------------------------------------------------------------------------------- */

static void io_is_done(struct fh_io *io)
{
	struct fh_pending *pending = io->context;

	pending->is_done = true;
	pending->status = io->status;
}

static bool is_done(void *context)
{
	return ((struct fh_pending *)context)->is_done;
}

/* Cuts the memory into segments of any length that the plugin's limits allow. */
static void cut(const struct fh_unit *unit, struct fh_io *io, const struct bounce *bounce)
{
	const uint32_t unit_bytes = memory_alignment(unit), limit = unit->capabilities.maximum_segments;
	const bool in_one = bounce->slot != NULL && fh_random() % 2 == 0;
	const uint32_t most = in_one ? 1 : limit == 0 || limit > FH_SEGMENTS ? FH_SEGMENTS : limit;
	size_t left = bounce->length;
	unsigned char *position = bounce->data;

	while (left > 0) {
		struct tgtkit_segment *segment = &io->segments[io->request.segment_count++];
		size_t length = (fh_random() % (left / unit_bytes) + 1) * unit_bytes;

		if (io->request.segment_count == most)
			length = left;
		*segment = (struct tgtkit_segment){.address = position,
						   .length = (uint32_t)length,
						   .region = bounce->slot == NULL ? TGTKIT_NO_REGION : 0};
		position += length;
		left -= length;
	}
}

static struct fh_io *make_io(struct fh_unit *unit, uint32_t operation, uint64_t length, uint64_t offset, uint32_t flags)
{
	struct fh_io *io = fh_io_new(unit);

	io->request.operation = operation;
	io->request.flags = flags;
	io->request.offset = offset;
	io->request.length = length;
	return io;
}

/* ---- Both
 * --------------------------------------------------------------------------------------------------------------- */

static void check_limits(const struct fh_unit *unit, uint32_t operation, uint64_t length, uint64_t offset)
{
	const struct tgtkit_capabilities *limits = &unit->capabilities;
	const uint32_t alignment = limits->offset_alignment_bytes == 0 ? 1 : limits->offset_alignment_bytes;

	if (operation != TGTKIT_READ && operation != TGTKIT_WRITE)
		return;
	if (length == 0 || length % alignment != 0 || offset % alignment != 0 || length % memory_alignment(unit) != 0 ||
	    (limits->maximum_transfer_bytes != 0 && length > limits->maximum_transfer_bytes))
		fh_die("the test asks for %llu bytes at %llu", (unsigned long long)length, (unsigned long long)offset);
}

struct fh_pending *fh_start(struct fh_unit *unit, uint32_t operation, void *buffer, size_t length, uint64_t offset,
			    uint32_t flags)
{
	struct fh_pending *pending = calloc(1, sizeof(*pending));
	const bool has_data = operation == TGTKIT_READ || operation == TGTKIT_WRITE;

	if (pending == NULL)
		fh_die("out of memory");
	check_limits(unit, operation, length, offset);
	pending->unit = unit;
	if (has_data)
		bounce_make(&pending->bounce, unit, length);
	if (operation == TGTKIT_WRITE)
		memcpy(pending->bounce.data, buffer, length);
	if (operation == TGTKIT_READ)
		pending->buffer = buffer;
	if (unit->plugin->blocking != NULL) {
		pending->status = run_blocking(unit, operation, &pending->bounce, length, offset, flags);
		pending->is_done = true;
		return pending;
	}
	pending->io = make_io(unit, operation, length, offset, flags);
	pending->io->done = io_is_done;
	pending->io->context = pending;
	if (has_data)
		cut(unit, pending->io, &pending->bounce);
	fh_io_submit(pending->io);
	return pending;
}

void fh_cancel(struct fh_pending *pending)
{
	const struct tgtkit_async *async = pending->unit->plugin->async;

	if (async != NULL && async->cancel != NULL && !pending->is_done && pending->io->state != FH_IO_WAITING)
		async->cancel(pending->unit->queue->context, &pending->io->request);
}

bool fh_is_done(const struct fh_pending *pending)
{
	return pending->is_done;
}

int fh_wait(struct fh_pending *pending)
{
	int status;

	if (!pending->is_done)
		fh_run_until(is_done, pending);
	status = pending->status;
	if (status == 0 && pending->buffer != NULL)
		memcpy(pending->buffer, pending->bounce.data, pending->bounce.length);
	if (pending->bounce.memory != NULL)
		bounce_free(&pending->bounce);
	if (pending->io != NULL)
		fh_io_free(pending->io);
	free(pending);
	return status;
}

int fh_read(struct fh_unit *unit, void *buffer, size_t length, uint64_t offset)
{
	return fh_wait(fh_start(unit, TGTKIT_READ, buffer, length, offset, 0));
}

int fh_write(struct fh_unit *unit, const void *buffer, size_t length, uint64_t offset, uint32_t flags)
{
	return fh_wait(fh_start(unit, TGTKIT_WRITE, (void *)buffer, length, offset, flags));
}

int fh_flush(struct fh_unit *unit)
{
	return fh_wait(fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0));
}

int fh_discard(struct fh_unit *unit, uint64_t offset, uint64_t length, uint32_t flags)
{
	return fh_wait(fh_start(unit, TGTKIT_DISCARD, NULL, length, offset, flags));
}

int fh_zero(struct fh_unit *unit, uint64_t offset, uint64_t length, uint32_t flags)
{
	return fh_wait(fh_start(unit, TGTKIT_ZERO, NULL, length, offset, flags));
}

/* ---- Extents
 * ------------------------------------------------------------------------------------------------------------- */

static bool io_is_idle(void *context)
{
	return ((struct fh_io *)context)->state == FH_IO_IDLE;
}

static int extents_async(struct fh_unit *unit, uint64_t offset, uint64_t length, struct tgtkit_extent *extents,
			 uint32_t capacity, uint32_t *count)
{
	struct fh_io *io = make_io(unit, TGTKIT_EXTENTS, length, offset, 0);
	int status;

	io->request.extents = extents;
	io->request.extents_capacity = capacity;
	fh_io_submit(io);
	fh_run_until(io_is_idle, io);
	status = io->status;
	*count = io->request.extents_count;
	fh_io_free(io);
	return status;
}

int fh_extents(struct fh_unit *unit, uint64_t offset, uint64_t length, struct tgtkit_extent *extents, uint32_t capacity,
	       uint32_t *count)
{
	const struct tgtkit_blocking *blocking = unit->plugin->blocking;
	uint64_t position = offset;
	int status;

	if (blocking != NULL)
		status =
		    check_status("extents", blocking->extents(unit->handle, offset, length, extents, capacity, count));
	else
		status = extents_async(unit, offset, length, extents, capacity, count);
	if (status != 0)
		return status;
	if (*count == 0 || *count > capacity)
		fh_die("extents: %u of at most %u", *count, capacity);
	for (uint32_t i = 0; i < *count; i++) {
		if (extents[i].offset != position || extents[i].length == 0 || extents[i].reserved != 0)
			fh_violation("extents are not contiguous");
		position += extents[i].length;
	}
	if (position > offset + length)
		fh_violation("extents past the range that was asked for");
	return 0;
}
