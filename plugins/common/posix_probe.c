/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file or block device can do and wants, found by asking the kernel and never by trying it on data.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "posix_error.h"
#include "posix_store.h"

#define DEFAULT_BLOCK_BYTES    4096u
#define PAGE_ALIGNMENT_BYTES   4096u /* the most that plugin.h lets one ask of memory */
#define OFFSET_ALIGNMENT_LIMIT (1u << 20)
#define PHYSICAL_BLOCK_LIMIT   (64u << 10)

/* One request for more would hold a thread, and on a device without a command for it the bus, for too long. */
#define MAXIMUM_DISCARD_BYTES	  (1ull << 30)
#define MAXIMUM_ZERO_DEVICE_BYTES (64ull << 20)

static bool is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* ---- sysfs ----------------------------------------------------------------------------------------------------- */

static bool read_number(const char *file, uint64_t *value)
{
	FILE *stream = fopen(file, "re");
	bool found;

	if (stream == NULL)
		return false;
	found = fscanf(stream, "%" SCNu64, value) == 1;
	fclose(stream);
	return found;
}

/* A number of the request queue of the device that the store is on; a partition has that of its disk. */
static uint64_t queue_number(const struct posix_store *store, const char *name, uint64_t otherwise)
{
	static const char *const places[] = {"queue", "../queue"};
	char file[128];
	uint64_t value;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(file, sizeof(file), "/sys/dev/block/%u:%u/%s/%s", major(store->device), minor(store->device),
			 places[i], name);
		if (read_number(file, &value))
			return value;
	}
	return otherwise;
}

/* ---- Direct I/O -------------------------------------------------------------------------------------------------- */

static uint32_t block_of(const struct posix_store *store)
{
	struct stat seen;
	int sector_bytes;

	if (store->is_block_device)
		return ioctl(store->fd, BLKSSZGET, &sector_bytes) == 0 && is_power_of_two((unsigned)sector_bytes)
			   ? (uint32_t)sector_bytes
			   : DEFAULT_BLOCK_BYTES;
	if (fstat(store->fd, &seen) != 0 || !is_power_of_two((uint64_t)seen.st_blksize) ||
	    seen.st_blksize > (blksize_t)DEFAULT_BLOCK_BYTES)
		return DEFAULT_BLOCK_BYTES;
	return (uint32_t)seen.st_blksize;
}

/* What the kernel says about direct I/O on this file: 1 if it says so, 0 if it has no answer. */
static int ask_alignment(const struct posix_store *store, uint32_t *offset_bytes, uint32_t *memory_bytes)
{
#ifdef STATX_DIOALIGN
	struct statx seen;

	if (statx(store->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &seen) != 0 || !(seen.stx_mask & STATX_DIOALIGN))
		return 0;
	*offset_bytes = seen.stx_dio_offset_align;
	*memory_bytes = seen.stx_dio_mem_align;
	return 1;
#else
	(void)store, (void)offset_bytes, (void)memory_bytes;
	return 0;
#endif
}

static int probe_direct(struct posix_store *store, struct tgtkit_error *error)
{
	uint32_t offset_bytes = 0, memory_bytes = 0;
	uint64_t size_bytes = 0;
	int status;

	if (!ask_alignment(store, &offset_bytes, &memory_bytes)) {
		offset_bytes = block_of(store);
		memory_bytes = PAGE_ALIGNMENT_BYTES;
	}
	if (!is_power_of_two(offset_bytes) || offset_bytes > OFFSET_ALIGNMENT_LIMIT || !is_power_of_two(memory_bytes) ||
	    memory_bytes > PAGE_ALIGNMENT_BYTES)
		return posix_error(error, EINVAL, "'%s' does not do direct I/O; use %s", store->path,
				   store->without_direct);
	status = posix_store_size(store, &size_bytes);
	if (status != 0)
		return posix_error(error, -status, "'%s': its size cannot be read: %m", store->path);
	if (size_bytes % offset_bytes != 0)
		return posix_error(error, EINVAL,
				   "'%s' has %" PRIu64 " bytes, not a multiple of the %" PRIu32
				   " that direct I/O needs here; use %s",
				   store->path, size_bytes, offset_bytes, store->without_direct);
	store->sector_bytes = offset_bytes;
	store->memory_alignment_bytes = memory_bytes;
	return 0;
}

/* ---- Discard, zero, extents ---------------------------------------------------------------------------------------
 */

/* Punching behind the end of a file changes nothing, and fails as it would inside. */
static bool can_punch(const struct posix_store *store)
{
	uint64_t size_bytes;

	return posix_store_size(store, &size_bytes) == 0 && size_bytes < INT64_MAX - 2 * DEFAULT_BLOCK_BYTES &&
	       fallocate(store->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)(size_bytes + DEFAULT_BLOCK_BYTES), DEFAULT_BLOCK_BYTES) == 0;
}

static void probe_ranges(struct posix_store *store)
{
	if (store->is_block_device) {
		const bool whole_sectors =
		    store->logical_block_bytes != 0 && store->logical_block_bytes % block_of(store) == 0;

		store->can_discard = !store->read_only && queue_number(store, "discard_max_bytes", 0) > 0;
		/* A logical block smaller than a sector could not be zeroed without touching its neighbours. */
		store->can_zero = !store->read_only && whole_sectors;
		return;
	}
	store->can_discard = store->can_zero = !store->read_only && can_punch(store);
	store->can_tell_extents = lseek(store->fd, 0, SEEK_HOLE) >= 0;
}

int posix_store_probe(struct posix_store *store, struct tgtkit_error *error)
{
	int status = 0;

	store->sector_bytes = store->is_block_device ? block_of(store) : 1;
	store->memory_alignment_bytes = 1;
	if (store->direct)
		status = probe_direct(store, error);
	if (status == 0)
		probe_ranges(store);
	return status;
}

/* ---- Capabilities
 * ---------------------------------------------------------------------------------------------------- */

static uint32_t flags_of(const struct posix_store *store)
{
	uint32_t flags = 0;

	if (store->read_only)
		flags |= TGTKIT_READ_ONLY;
	else
		flags |= TGTKIT_VOLATILE_CACHE | TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA;
	if (store->can_discard)
		flags |= TGTKIT_CAN_DISCARD;
	/* A hole reads zero to the byte; what a device makes of a discard is its own affair. */
	if (store->can_discard && !store->is_block_device)
		flags |= TGTKIT_DISCARD_READS_ZERO;
	if (store->can_zero)
		flags |= TGTKIT_CAN_ZERO;
	if (store->can_tell_extents)
		flags |= TGTKIT_CAN_EXTENTS;
	if (queue_number(store, "rotational", 0) != 0)
		flags |= TGTKIT_ROTATIONAL;
	return flags;
}

static void measure_device(const struct posix_store *store, struct tgtkit_capabilities *capabilities)
{
	unsigned physical_bytes = 0, optimal_bytes = 0;
	const uint64_t granularity_bytes = queue_number(store, "discard_granularity", 0);

	if (ioctl(store->fd, BLKPBSZGET, &physical_bytes) == 0 && is_power_of_two(physical_bytes))
		capabilities->physical_block_bytes = physical_bytes;
	if (ioctl(store->fd, BLKIOOPT, &optimal_bytes) == 0)
		capabilities->optimal_transfer_bytes = optimal_bytes;
	if (store->can_discard && granularity_bytes <= UINT32_MAX)
		capabilities->discard_granularity_bytes = (uint32_t)granularity_bytes;
	capabilities->maximum_zero_bytes = MAXIMUM_ZERO_DEVICE_BYTES;
}

static void measure_file(const struct posix_store *store, struct tgtkit_capabilities *capabilities)
{
	struct stat seen;
	uint32_t block_bytes = DEFAULT_BLOCK_BYTES;

	if (fstat(store->fd, &seen) == 0 && is_power_of_two((uint64_t)seen.st_blksize) &&
	    seen.st_blksize <= (blksize_t)PHYSICAL_BLOCK_LIMIT)
		block_bytes = (uint32_t)seen.st_blksize;
	capabilities->physical_block_bytes = block_bytes;
	if (store->can_discard)
		capabilities->discard_granularity_bytes = block_bytes;
	capabilities->maximum_zero_bytes = MAXIMUM_DISCARD_BYTES;
}

int posix_store_measure(struct posix_store *store, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	int status = posix_store_size(store, &capabilities->size_bytes);

	if (status != 0)
		return posix_error(error, -status, "'%s': its size cannot be read: %m", store->path);
	capabilities->flags = flags_of(store);
	if (store->direct) {
		/* A file that has grown by less than a whole unit of direct I/O shows the rest when it is whole. */
		capabilities->size_bytes -= capabilities->size_bytes % store->sector_bytes;
		capabilities->offset_alignment_bytes = store->sector_bytes;
		capabilities->memory_alignment_bytes = store->memory_alignment_bytes;
	}
	capabilities->maximum_discard_bytes = MAXIMUM_DISCARD_BYTES;
	if (store->is_block_device)
		measure_device(store, capabilities);
	else
		measure_file(store, capabilities);
	return 0;
}
