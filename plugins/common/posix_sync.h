/* SPDX-License-Identifier: Apache-2.0
 *
 * Durability of a file or block device, with no report of a lost write ever going to the wrong caller.
 *
 * Linux reports a failed write-back once per open file description.  So two rules hold here.  Only one fdatasync runs
 * at a time on a store's description, it answers everybody who waited for one to start, and once one has failed they
 * all fail.  And a write that syncs itself uses a description that nobody else uses meanwhile.
 */
#ifndef TGTKIT_PLUGINS_POSIX_SYNC_H
#define TGTKIT_PLUGINS_POSIX_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define POSIX_SYNC_DESCRIPTIONS 256

/* A flush that somebody wants. */
struct posix_flush {
	/* One of the two is called if it has to wait, by any thread, with the lock of `posix_sync` held.  `lead`: it is
	 * this one's turn to sync, for itself and for others; posix_sync_leave follows.  `done`: another one did it
	 * along. */
	void (*lead)(struct posix_flush *self);
	void (*done)(struct posix_flush *self, int status);
	struct posix_flush *next; /* private */
};

struct posix_sync {
	int fd; /* that flushes use; not owned */
	pthread_mutex_t lock;
	bool is_busy;
	struct posix_flush *waiting;   /* for the next flush to start; oldest first */
	struct posix_flush *followers; /* of the flush that runs: they asked before it started */
	int failed;		       /* negative errno of plugin.h of the first flush that failed; for ever */
	int spare[POSIX_SYNC_DESCRIPTIONS];
	unsigned spare_count, open_count, open_limit; /* of descriptions; open ones are spare or lent */
	atomic_bool dsync_refused;		      /* RWF_DSYNC is not to be had here: learnt at the first refusal */
};

/* At most `limit` writes that sync themselves, up to POSIX_SYNC_DESCRIPTIONS, have a description at a time.  0 or a
 * negative errno. */
int posix_sync_init(struct posix_sync *sync, int fd, unsigned limit);
void posix_sync_destroy(struct posix_sync *sync);

/* ---- Flush.  Any thread.  What was written before the call is durable after it. ---------------------------------- */

/* Blocks.  0 or a negative errno of plugin.h. */
int posix_sync_flush(struct posix_sync *sync);

/* The same in pieces that do not block.  true: the caller does an fdatasync of sync->fd now, and calls
 * posix_sync_leave. false: flush->lead or flush->done is called. */
bool posix_sync_enter(struct posix_sync *sync, struct posix_flush *flush);
/* The fdatasync has ended with 0 or -errno.  Returns what it means: 0 or a negative errno of plugin.h. */
int posix_sync_leave(struct posix_sync *sync, int status);
/* true: it waited, and neither `lead` nor `done` will be called. */
bool posix_sync_cancel(struct posix_sync *sync, struct posix_flush *flush);

/* ---- Writes that sync themselves.  Any thread. ---------------------------------------------------------------------
 */

/* A description of the same file for one self-syncing write, or -1 when there is none to be had (then write, and
 * flush). Give it back afterwards, also if the write failed.  Opens one, which may block, if none is spare. */
int posix_sync_borrow(struct posix_sync *sync);
/* Does not block: -1 if none is spare.  `may_open`: posix_sync_borrow would open one. */
int posix_sync_borrow_spare(struct posix_sync *sync, bool *may_open);
void posix_sync_return(struct posix_sync *sync, int fd);

/* Another description of the file or device that is open as `fd`, without its locks and claims, or -1. */
int posix_sync_duplicate(int fd);

#endif
