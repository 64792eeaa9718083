/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "posix_error.h"
#include "posix_sync.h"

int posix_sync_init(struct posix_sync *sync, int fd)
{
	int status;

	sync->fd = fd;
	sync->flushes_started = sync->flushes_finished = 0;
	sync->failed = 0;
	sync->spare_count = 0;
	status = pthread_mutex_init(&sync->lock, NULL);
	if (status != 0)
		return -status;
	status = pthread_cond_init(&sync->finished, NULL);
	if (status != 0)
		pthread_mutex_destroy(&sync->lock);
	return -status;
}

void posix_sync_destroy(struct posix_sync *sync)
{
	for (unsigned i = 0; i < sync->spare_count; i++)
		close(sync->spare[i]);
	pthread_cond_destroy(&sync->finished);
	pthread_mutex_destroy(&sync->lock);
}

/* Called and returns with the lock held, which it gives up meanwhile. */
static void run_flush(struct posix_sync *sync)
{
	int status;

	sync->flushes_started++;
	pthread_mutex_unlock(&sync->lock);
	do
		status = fdatasync(sync->fd) == 0 ? 0 : -errno;
	while (status == -EINTR);
	pthread_mutex_lock(&sync->lock);
	sync->flushes_finished++;
	if (status != 0 && sync->failed == 0)
		sync->failed = posix_io_status(-status);
	pthread_cond_broadcast(&sync->finished);
}

int posix_sync_flush(struct posix_sync *sync)
{
	uint64_t wanted;
	int status;

	pthread_mutex_lock(&sync->lock);
	/* One that is running may have passed by what this caller has just written. */
	wanted = sync->flushes_started + 1;
	while (sync->flushes_finished < wanted) {
		if (sync->flushes_started == sync->flushes_finished)
			run_flush(sync);
		else
			pthread_cond_wait(&sync->finished, &sync->lock);
	}
	status = sync->failed;
	pthread_mutex_unlock(&sync->lock);
	return status;
}

static int duplicate_description(int fd)
{
	char name[32];
	int flags = fcntl(fd, F_GETFL);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return flags < 0 ? -1 : open(name, (flags & (O_ACCMODE | O_DIRECT)) | O_CLOEXEC | O_NOCTTY);
}

int posix_sync_borrow(struct posix_sync *sync)
{
	int fd = -1;

	pthread_mutex_lock(&sync->lock);
	if (sync->spare_count > 0)
		fd = sync->spare[--sync->spare_count];
	pthread_mutex_unlock(&sync->lock);
	return fd >= 0 ? fd : duplicate_description(sync->fd);
}

void posix_sync_return(struct posix_sync *sync, int fd)
{
	pthread_mutex_lock(&sync->lock);
	if (sync->spare_count < POSIX_SYNC_DESCRIPTIONS) {
		sync->spare[sync->spare_count++] = fd;
		fd = -1;
	}
	pthread_mutex_unlock(&sync->lock);
	if (fd >= 0)
		close(fd);
}
