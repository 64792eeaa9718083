/* SPDX-License-Identifier: Apache-2.0 */
#include "store/flush_gate.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "rt/log.h"
#include "store/handle.h"

void store_flush_gate_init(struct store_flush_gate *gate)
{
	pthread_mutex_init(&gate->lock, NULL);
	gate->is_busy = false;
	rt_list_init(&gate->waiting);
}

void store_flush_gate_destroy(struct store_flush_gate *gate)
{
	assert(!gate->is_busy);
	pthread_mutex_destroy(&gate->lock);
}

bool store_flush_gate_enter(struct store_flush_gate *gate, struct store_flush_wish *wish)
{
	bool is_first;

	rt_list_init(&wish->followers);
	pthread_mutex_lock(&gate->lock);
	is_first = !gate->is_busy;
	gate->is_busy = true;
	if (is_first)
		rt_list_init(&wish->node);
	else
		rt_list_append(&gate->waiting, &wish->node);
	pthread_mutex_unlock(&gate->lock);
	return is_first;
}

/* With the lock held.  All that wait asked before the flush that the first of them now submits. */
static void start_next(struct store_flush_gate *gate)
{
	struct rt_list *node = rt_list_take_first(&gate->waiting);
	struct store_flush_wish *leader;

	gate->is_busy = node != NULL;
	if (node == NULL)
		return;
	leader = RT_CONTAINER_OF(node, struct store_flush_wish, node);
	rt_list_splice(&leader->followers, &gate->waiting);
	leader->status = STORE_FLUSH_YOURSELF;
	leader->proceed(leader);
}

void store_flush_gate_leave(struct store_flush_gate *gate, struct store_flush_wish *wish, int status)
{
	struct rt_list *node;

	pthread_mutex_lock(&gate->lock);
	while ((node = rt_list_take_first(&wish->followers)) != NULL) {
		struct store_flush_wish *follower = RT_CONTAINER_OF(node, struct store_flush_wish, node);

		follower->status = status;
		follower->proceed(follower);
	}
	start_next(gate);
	pthread_mutex_unlock(&gate->lock);
}

bool store_flush_gate_cancel(struct store_flush_gate *gate, struct store_flush_wish *wish)
{
	bool was_waiting = false;

	pthread_mutex_lock(&gate->lock);
	RT_LIST_FOR_EACH (node, &gate->waiting) {
		if (node == &wish->node)
			was_waiting = true;
	}
	if (was_waiting)
		rt_list_remove(&wish->node);
	pthread_mutex_unlock(&gate->lock);
	return was_waiting;
}

int store_flush_result(struct store *store, int status)
{
	if (store_can(store, TGTKIT_RETAINS_DIRTY))
		return status;
	/* Not begun, so nothing was dropped. */
	if (status == -ECANCELED)
		return status;
	if (status != 0 && !atomic_exchange(&store->has_failed, true))
		rt_log_about(
		    RT_ABOUT(.unit = store->unit.name), RT_LOG_ERROR,
		    "%s: a flush failed (%s): data written since the last good one may be lost; every write and "
		    "flush fails until the unit is closed and opened again",
		    store->unit.name, strerror(-status));
	if (status == 0 && atomic_load(&store->has_failed))
		return -EIO;
	return status;
}
