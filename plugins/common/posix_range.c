/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "posix_error.h"
#include "posix_range.h"

static int allocate(const struct posix_store *store, int mode, uint64_t offset, uint64_t length)
{
	int status;

	do
		status = fallocate(store->fd, mode, (off_t)offset, (off_t)length);
	while (status != 0 && errno == EINTR);
	return status == 0 ? 0 : -errno;
}

static int punch(const struct posix_store *store, uint64_t offset, uint64_t length)
{
	return allocate(store, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

static int device_range(const struct posix_store *store, unsigned long request, uint64_t offset, uint64_t length)
{
	uint64_t range[2] = {offset, length};
	int status;

	do
		status = ioctl(store->fd, request, range);
	while (status != 0 && errno == EINTR);
	return status == 0 ? 0 : -errno;
}

/* A discard is a hint: what does not cover whole sectors is left as it is. */
static int discard_device(const struct posix_store *store, uint64_t offset, uint64_t length)
{
	const uint64_t sector_bytes = store->sector_bytes, end = (offset + length) / sector_bytes * sector_bytes;
	const uint64_t start = (offset + sector_bytes - 1) / sector_bytes * sector_bytes;

	return start < end ? device_range(store, BLKDISCARD, start, end - start) : 0;
}

int posix_range_discard(const struct posix_store *store, uint64_t offset, uint64_t length)
{
	int status = store->is_block_device ? discard_device(store, offset, length) : punch(store, offset, length);

	return status == 0 ? 0 : posix_io_status(-status);
}

static int zero_device(const struct posix_store *store, uint64_t offset, uint64_t length, bool may_unmap)
{
	if (may_unmap && punch(store, offset, length) == 0)
		return 0;
	return device_range(store, BLKZEROOUT, offset, length);
}

/* Without ZERO_RANGE, a hole that is allocated again; where allocation is not known either, the hole itself. */
static int zero_file(const struct posix_store *store, uint64_t offset, uint64_t length, bool may_unmap)
{
	int status =
	    may_unmap ? -EOPNOTSUPP : allocate(store, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);

	if (status != -EOPNOTSUPP)
		return status;
	status = punch(store, offset, length);
	if (status != 0 || may_unmap)
		return status;
	status = allocate(store, FALLOC_FL_KEEP_SIZE, offset, length);
	return status == -EOPNOTSUPP ? 0 : status;
}

int posix_range_zero(const struct posix_store *store, uint64_t offset, uint64_t length, bool may_unmap)
{
	int status = store->is_block_device ? zero_device(store, offset, length, may_unmap)
					    : zero_file(store, offset, length, may_unmap);

	return status == 0 ? 0 : posix_io_status(-status);
}

/* ---- Extents ------------------------------------------------------------------------------------------------------
 */

/* Whether a file that has no data from some point on still reaches to `end`. */
static bool reaches(const struct posix_store *store, uint64_t end)
{
	uint64_t size_bytes;

	return posix_store_size(store, &size_bytes) == 0 && size_bytes >= end;
}

/* One extent from `offset`, or a negative errno.  Another writer may change the map between the calls, or cut the file
 * short: what is uncertain is reported as data, which claims nothing. */
static int extent_at(const struct posix_store *store, uint64_t offset, uint64_t end, struct tgtkit_extent *extent)
{
	off_t data = lseek(store->fd, (off_t)offset, SEEK_DATA), hole;

	*extent = (struct tgtkit_extent){.offset = offset, .length = end - offset, .flags = TGTKIT_EXTENT_DATA};
	if (data < 0 && errno != ENXIO)
		return -errno;
	if (data < 0 && !reaches(store, end))
		return 0;
	if (data < 0 || (uint64_t)data > offset) {
		extent->flags = TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO;
		if (data >= 0 && (uint64_t)data < end)
			extent->length = (uint64_t)data - offset;
		return 0;
	}
	hole = lseek(store->fd, (off_t)offset, SEEK_HOLE);
	if (hole < 0 && errno != ENXIO)
		return -errno;
	if (hole > data && (uint64_t)hole < end)
		extent->length = (uint64_t)hole - offset;
	return 0;
}

int posix_range_extents(const struct posix_store *store, uint64_t offset, uint64_t length,
			struct tgtkit_extent *extents, uint32_t capacity, uint32_t *count)
{
	const uint64_t end = offset + length;

	for (*count = 0; *count < capacity && offset < end; (*count)++) {
		int status = extent_at(store, offset, end, &extents[*count]);

		if (status != 0)
			return posix_io_status(-status);
		offset += extents[*count].length;
	}
	return 0;
}
