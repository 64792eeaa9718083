/* SPDX-License-Identifier: Apache-2.0
 *
 * Byte ranges of a store that are being changed: whoever overlaps one waits.  Any thread.
 */
#ifndef TGTKIT_STORE_RANGE_LOCK_H
#define TGTKIT_STORE_RANGE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rt/list.h"

struct store_range {
	uint64_t start, end; /* end: the first byte behind it */
	/* Called when a range that had to wait is held, by the thread that made room and with the lock taken: it only
	 * posts. */
	void (*granted)(struct store_range *self);
	/* private */
	struct rt_list node;
};

struct store_range_lock {
	pthread_mutex_t lock;
	struct rt_list held, waiting;
};

void store_range_lock_init(struct store_range_lock *lock);
void store_range_lock_destroy(struct store_range_lock *lock);

/* true: held.  false: `granted` follows.  First come, first served among those that overlap. */
bool store_range_acquire(struct store_range_lock *lock, struct store_range *range);
void store_range_release(struct store_range_lock *lock, struct store_range *range);
/* true: it was waiting and waits no more.  false: it is held, or `granted` is on its way. */
bool store_range_cancel(struct store_range_lock *lock, struct store_range *range);

#endif
