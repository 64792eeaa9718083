/* SPDX-License-Identifier: Apache-2.0
 *
 * Durability of a file or block device, with no report of a lost write ever going to the wrong caller.
 *
 * Linux reports a failed write-back once per open file description.  So two rules hold here.  Only one fdatasync runs
 * at a time on the store's own description, it answers everybody who waited for one to start, and once one has failed
 * they all fail.  And a write that syncs itself uses a description that nobody else uses meanwhile.
 */
#ifndef TGTKIT_PLUGINS_POSIX_SYNC_H
#define TGTKIT_PLUGINS_POSIX_SYNC_H

#include <pthread.h>
#include <stdint.h>

#define POSIX_SYNC_DESCRIPTIONS 256

struct posix_sync {
	int fd; /* the store's own; not owned */
	pthread_mutex_t lock;
	pthread_cond_t finished;
	uint64_t flushes_started, flushes_finished;
	int failed; /* negative errno of the first flush that failed; for ever */
	int spare[POSIX_SYNC_DESCRIPTIONS];
	unsigned spare_count;
};

/* 0 or a negative errno. */
int posix_sync_init(struct posix_sync *sync, int fd);
void posix_sync_destroy(struct posix_sync *sync);

/* Any thread; blocks.  Makes durable all that was written before the call.  0 or a negative errno of plugin.h. */
int posix_sync_flush(struct posix_sync *sync);

/* Any thread.  A description of the same file for one self-syncing write, or -1 when there is none to be had (then
 * write, and flush).  Give it back afterwards, also if the write failed. */
int posix_sync_borrow(struct posix_sync *sync);
void posix_sync_return(struct posix_sync *sync, int fd);

#endif
