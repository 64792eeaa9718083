/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "posix_error.h"
#include "posix_sync.h"

int posix_sync_init(struct posix_sync *sync, int fd, unsigned limit)
{
	*sync = (struct posix_sync){.fd = fd, .open_limit = limit};
	return -pthread_mutex_init(&sync->lock, NULL);
}

void posix_sync_destroy(struct posix_sync *sync)
{
	for (unsigned i = 0; i < sync->spare_count; i++)
		close(sync->spare[i]);
	pthread_mutex_destroy(&sync->lock);
}

/* ---- Flush ------------------------------------------------------------------------------------------------------ */

bool posix_sync_enter(struct posix_sync *sync, struct posix_flush *flush)
{
	struct posix_flush **end = &sync->waiting;
	bool leads;

	flush->next = NULL;
	pthread_mutex_lock(&sync->lock);
	leads = !sync->is_busy;
	sync->is_busy = true;
	/* One that is running may have passed by what this caller has just written. */
	if (!leads) {
		while (*end != NULL)
			end = &(*end)->next;
		*end = flush;
	}
	pthread_mutex_unlock(&sync->lock);
	return leads;
}

/* With the lock held.  All that wait asked before the flush that the first of them now begins. */
static void begin_next(struct posix_sync *sync)
{
	struct posix_flush *leader = sync->waiting;

	sync->is_busy = leader != NULL;
	sync->waiting = NULL;
	if (leader == NULL)
		return;
	sync->followers = leader->next;
	leader->lead(leader);
}

int posix_sync_leave(struct posix_sync *sync, int status)
{
	struct posix_flush *follower, *next;

	pthread_mutex_lock(&sync->lock);
	if (status != 0 && sync->failed == 0)
		sync->failed = posix_io_status(-status);
	status = sync->failed;
	follower = sync->followers;
	sync->followers = NULL;
	for (; follower != NULL; follower = next) {
		next = follower->next;
		follower->done(follower, status);
	}
	begin_next(sync);
	pthread_mutex_unlock(&sync->lock);
	return status;
}

static bool take_off(struct posix_flush **list, const struct posix_flush *flush)
{
	while (*list != NULL && *list != flush)
		list = &(*list)->next;
	if (*list == NULL)
		return false;
	*list = flush->next;
	return true;
}

bool posix_sync_cancel(struct posix_sync *sync, struct posix_flush *flush)
{
	bool waited;

	pthread_mutex_lock(&sync->lock);
	waited = take_off(&sync->waiting, flush) || take_off(&sync->followers, flush);
	pthread_mutex_unlock(&sync->lock);
	return waited;
}

/* One that a thread waits for. */
struct blocking_flush {
	struct posix_flush flush;
	pthread_cond_t called;
	bool leads, is_done;
	int status;
};

static void blocking_lead(struct posix_flush *self)
{
	struct blocking_flush *blocking = (struct blocking_flush *)self; /* its first member */

	blocking->leads = true;
	pthread_cond_signal(&blocking->called);
}

static void blocking_done(struct posix_flush *self, int status)
{
	struct blocking_flush *blocking = (struct blocking_flush *)self;

	blocking->is_done = true;
	blocking->status = status;
	pthread_cond_signal(&blocking->called);
}

static void wait_for_turn(struct posix_sync *sync, struct blocking_flush *blocking)
{
	pthread_mutex_lock(&sync->lock);
	while (!blocking->leads && !blocking->is_done)
		pthread_cond_wait(&blocking->called, &sync->lock);
	pthread_mutex_unlock(&sync->lock);
}

int posix_sync_flush(struct posix_sync *sync)
{
	struct blocking_flush blocking = {.flush = {.lead = blocking_lead, .done = blocking_done},
					  .called = PTHREAD_COND_INITIALIZER};
	int status;

	if (!posix_sync_enter(sync, &blocking.flush))
		wait_for_turn(sync, &blocking);
	pthread_cond_destroy(&blocking.called);
	if (blocking.is_done)
		return blocking.status;
	do
		status = fdatasync(sync->fd) == 0 ? 0 : -errno;
	while (status == -EINTR);
	return posix_sync_leave(sync, status);
}

/* ---- Writes that sync themselves ----------------------------------------------------------------------------------
 */

int posix_sync_duplicate(int fd)
{
	char name[32];
	int flags = fcntl(fd, F_GETFL);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return flags < 0 ? -1 : open(name, (flags & (O_ACCMODE | O_DIRECT)) | O_CLOEXEC | O_NOCTTY);
}

int posix_sync_borrow_spare(struct posix_sync *sync, bool *may_open)
{
	int fd = -1;

	pthread_mutex_lock(&sync->lock);
	if (sync->spare_count > 0)
		fd = sync->spare[--sync->spare_count];
	*may_open = sync->open_count < sync->open_limit;
	pthread_mutex_unlock(&sync->lock);
	return fd;
}

/* Counted before it is open, so that the limit holds. */
static bool count_open(struct posix_sync *sync)
{
	bool may_open;

	pthread_mutex_lock(&sync->lock);
	may_open = sync->open_count < sync->open_limit;
	sync->open_count += may_open;
	pthread_mutex_unlock(&sync->lock);
	return may_open;
}

int posix_sync_borrow(struct posix_sync *sync)
{
	bool may_open;
	int fd = posix_sync_borrow_spare(sync, &may_open);

	if (fd >= 0 || !count_open(sync))
		return fd;
	fd = posix_sync_duplicate(sync->fd);
	if (fd < 0) {
		pthread_mutex_lock(&sync->lock);
		sync->open_count--;
		pthread_mutex_unlock(&sync->lock);
	}
	return fd;
}

void posix_sync_return(struct posix_sync *sync, int fd)
{
	pthread_mutex_lock(&sync->lock);
	sync->spare[sync->spare_count++] = fd;
	pthread_mutex_unlock(&sync->lock);
}
