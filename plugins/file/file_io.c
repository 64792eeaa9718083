/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/posix_error.h"
#include "file_io.h"

/* ---- Reading --------------------------------------------------------------------------------------------------- */

int file_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
	struct file_handle *file = handle;
	char *position = buffer;

	while (length > 0) {
		ssize_t got = pread(file->store.fd, position, length, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return posix_io_status(errno);
		if ((size_t)got < length && posix_store_read_ended(&file->store, (uint64_t)got))
			return posix_store_cut_short(&file->store, offset + (uint64_t)got);
		position += got;
		offset += (uint64_t)got;
		length -= (size_t)got;
	}
	return 0;
}

/* ---- Writing --------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *position, size_t length, uint64_t offset, int flags)
{
	while (length > 0) {
		struct iovec piece = {.iov_base = (void *)position, .iov_len = length};
		ssize_t put = pwritev2(fd, &piece, 1, (off_t)offset, flags);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -errno;
		if (put == 0)
			return -EIO;
		position += put;
		offset += (uint64_t)put;
		length -= (size_t)put;
	}
	return 0;
}

/* -EOPNOTSUPP: this cannot be done here; write and flush instead. */
static int write_stable(struct file_handle *file, const void *buffer, size_t length, uint64_t offset)
{
	int fd = -1, status;

	if (!atomic_load_explicit(&file->sync.dsync_refused, memory_order_relaxed))
		fd = posix_sync_borrow(&file->sync);
	if (fd < 0)
		return -EOPNOTSUPP;
	status = write_all(fd, buffer, length, offset, RWF_DSYNC);
	posix_sync_return(&file->sync, fd);
	if (status == -EOPNOTSUPP)
		atomic_store_explicit(&file->sync.dsync_refused, true, memory_order_relaxed);
	return status;
}

int file_pwrite(void *handle, const void *buffer, size_t length, uint64_t offset, uint32_t flags)
{
	struct file_handle *file = handle;
	const bool stable = flags & TGTKIT_REQUEST_FUA;
	int status = stable ? write_stable(file, buffer, length, offset) : -EOPNOTSUPP;

	if (status == -EOPNOTSUPP) {
		status = write_all(file->store.fd, buffer, length, offset, 0);
		if (status == 0 && stable)
			return file_flush(file);
	}
	return status == 0 ? 0 : posix_io_status(-status);
}

int file_flush(void *handle)
{
	struct file_handle *file = handle;

	return posix_store_flush(&file->store, &file->sync);
}

/* ---- Without waiting, on a worker -------------------------------------------------------------------------------- */

/* Direct I/O would wait for the device in spite of RWF_NOWAIT. */
static bool may_try(const struct file_handle *file, const atomic_bool *refused, int count)
{
	return !file->store.direct && count <= IOV_MAX && !atomic_load_explicit(refused, memory_order_relaxed);
}

/* What a refused RWF_NOWAIT becomes; file systems refuse it in ways of their own. */
static ssize_t nowait_result(ssize_t result, atomic_bool *refused)
{
	if (result >= 0)
		return result;
	switch (errno) {
	case EAGAIN:
	case EINTR:
		return -EAGAIN;
	case EOPNOTSUPP:
	case EINVAL:
	case ENOSYS:
		atomic_store_explicit(refused, true, memory_order_relaxed);
		return -EOPNOTSUPP;
	default:
		return posix_io_status(errno);
	}
}

ssize_t file_preadv_nowait(void *handle, const struct iovec *iov, int count, uint64_t offset)
{
	struct file_handle *file = handle;

	if (!may_try(file, &file->read_nowait_refused, count))
		return -EOPNOTSUPP;
	return nowait_result(preadv2(file->store.fd, iov, count, (off_t)offset, RWF_NOWAIT),
			     &file->read_nowait_refused);
}

ssize_t file_pwritev_nowait(void *handle, const struct iovec *iov, int count, uint64_t offset)
{
	struct file_handle *file = handle;

	if (!may_try(file, &file->write_nowait_refused, count))
		return -EOPNOTSUPP;
	return nowait_result(pwritev2(file->store.fd, iov, count, (off_t)offset, RWF_NOWAIT),
			     &file->write_nowait_refused);
}

void file_close(void *handle)
{
	struct file_handle *file = handle;

	posix_sync_destroy(&file->sync);
	posix_store_close(&file->store);
	free(file);
}
