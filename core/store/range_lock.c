/* SPDX-License-Identifier: Apache-2.0 */
#include "store/range_lock.h"

#include <assert.h>

void store_range_lock_init(struct store_range_lock *lock)
{
	pthread_mutex_init(&lock->lock, NULL);
	rt_list_init(&lock->held);
	rt_list_init(&lock->waiting);
}

void store_range_lock_destroy(struct store_range_lock *lock)
{
	assert(rt_list_is_empty(&lock->held) && rt_list_is_empty(&lock->waiting));
	pthread_mutex_destroy(&lock->lock);
}

/* Looks at the nodes from the first up to, and without, `end`. */
static bool overlaps_any(const struct store_range *range, const struct rt_list *head, const struct rt_list *end)
{
	for (const struct rt_list *node = head->next; node != end; node = node->next) {
		const struct store_range *other = RT_CONTAINER_OF(node, struct store_range, node);

		if (range->start < other->end && other->start < range->end)
			return true;
	}
	return false;
}

bool store_range_acquire(struct store_range_lock *lock, struct store_range *range)
{
	bool is_held;

	pthread_mutex_lock(&lock->lock);
	is_held =
	    !overlaps_any(range, &lock->held, &lock->held) && !overlaps_any(range, &lock->waiting, &lock->waiting);
	rt_list_append(is_held ? &lock->held : &lock->waiting, &range->node);
	pthread_mutex_unlock(&lock->lock);
	return is_held;
}

/* With the lock held. */
static void grant(struct store_range_lock *lock)
{
	RT_LIST_FOR_EACH (node, &lock->waiting) {
		struct store_range *range = RT_CONTAINER_OF(node, struct store_range, node);

		if (overlaps_any(range, &lock->held, &lock->held) || overlaps_any(range, &lock->waiting, node))
			continue;
		rt_list_remove(node);
		rt_list_append(&lock->held, node);
		range->granted(range);
	}
}

void store_range_release(struct store_range_lock *lock, struct store_range *range)
{
	pthread_mutex_lock(&lock->lock);
	rt_list_remove(&range->node);
	grant(lock);
	pthread_mutex_unlock(&lock->lock);
}

bool store_range_cancel(struct store_range_lock *lock, struct store_range *range)
{
	bool was_waiting = false;

	pthread_mutex_lock(&lock->lock);
	RT_LIST_FOR_EACH (node, &lock->waiting) {
		if (node == &range->node)
			was_waiting = true;
	}
	if (was_waiting) {
		rt_list_remove(&range->node);
		grant(lock);
	}
	pthread_mutex_unlock(&lock->lock);
	return was_waiting;
}
