/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, writes and flushes of the plugin "file": the hooks of struct tgtkit_blocking, on a `struct file_handle`.
 */
#ifndef TGTKIT_PLUGINS_FILE_IO_H
#define TGTKIT_PLUGINS_FILE_IO_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "common/posix_store.h"
#include "common/posix_sync.h"

struct file_handle {
	struct posix_store store;
	struct posix_sync sync;
	uint32_t max_parallel;
	/* Learnt at the first refusal, so that it is not tried for every I/O. */
	atomic_bool read_nowait_refused, write_nowait_refused;
};

int file_pread(void *handle, void *buffer, size_t length, uint64_t offset);
int file_pwrite(void *handle, const void *buffer, size_t length, uint64_t offset, uint32_t flags);
int file_flush(void *handle);
ssize_t file_preadv_nowait(void *handle, const struct iovec *iov, int count, uint64_t offset);
ssize_t file_pwritev_nowait(void *handle, const struct iovec *iov, int count, uint64_t offset);
void file_close(void *handle);

#endif
