/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers: a heap of four children per node, in an array.
 */
#include "rt/loop_private.h"

#include <assert.h>
#include <stdlib.h>

#include "rt/log.h"

#define CHILDREN      4u
#define SMALLEST_ROOM 64u

static uint32_t parent_of(uint32_t slot)
{
	return (slot - 2) / CHILDREN + 1;
}

static uint32_t first_child_of(uint32_t slot)
{
	return (slot - 1) * CHILDREN + 2;
}

static void place(struct rt_loop *loop, uint32_t slot, struct timer_slot entry)
{
	loop->timers[slot] = entry;
	entry.timer->heap_slot = slot;
}

static void sift_up(struct rt_loop *loop, uint32_t slot, struct timer_slot entry)
{
	while (slot > 1 && entry.due_ns < loop->timers[parent_of(slot)].due_ns) {
		place(loop, slot, loop->timers[parent_of(slot)]);
		slot = parent_of(slot);
	}
	place(loop, slot, entry);
}

static uint32_t earliest_child(const struct rt_loop *loop, uint32_t slot)
{
	uint32_t first = first_child_of(slot), earliest = first;

	for (uint32_t child = first + 1; child < first + CHILDREN && child <= loop->timer_count; child++)
		if (loop->timers[child].due_ns < loop->timers[earliest].due_ns)
			earliest = child;
	return earliest;
}

static void sift_down(struct rt_loop *loop, uint32_t slot, struct timer_slot entry)
{
	while (first_child_of(slot) <= loop->timer_count) {
		uint32_t child = earliest_child(loop, slot);

		if (entry.due_ns <= loop->timers[child].due_ns)
			break;
		place(loop, slot, loop->timers[child]);
		slot = child;
	}
	place(loop, slot, entry);
}

/* Puts `entry` where slot's content has gone away or has changed. */
static void settle(struct rt_loop *loop, uint32_t slot, struct timer_slot entry)
{
	if (slot > 1 && entry.due_ns < loop->timers[parent_of(slot)].due_ns)
		sift_up(loop, slot, entry);
	else
		sift_down(loop, slot, entry);
}

static void make_room(struct rt_loop *loop)
{
	uint32_t capacity = loop->timer_capacity == 0 ? SMALLEST_ROOM : loop->timer_capacity * 2;
	struct timer_slot *grown;

	if (loop->timer_count + 1 < loop->timer_capacity)
		return;
	grown = reallocarray(loop->timers, capacity, sizeof(*grown));
	if (grown == NULL) {
		/* A time-out that silently never comes is worse than a restart. */
		rt_log(RT_LOG_ERROR, "loop %s: no memory for %u timers; raise the memory limit of the process",
		       loop->name, capacity);
		abort();
	}
	loop->timers = grown;
	loop->timer_capacity = capacity;
}

static uint64_t due_time_ns(const struct rt_loop *loop, uint64_t delay_us)
{
	const uint64_t now_ns = rt_loop_now_ns(loop);
	uint64_t delay_ns;

	/* Later than this turn's time, so that it is not due in this turn. */
	if (delay_us == 0)
		return now_ns + 1;
	if (__builtin_mul_overflow(delay_us, (uint64_t)NANOSECONDS_PER_US, &delay_ns) || delay_ns >= NEVER_NS - now_ns)
		return NEVER_NS - 1;
	return now_ns + delay_ns;
}

void rt_timer_arm(struct rt_loop *loop, struct rt_timer *timer, uint64_t delay_us)
{
	const struct timer_slot entry = {due_time_ns(loop, delay_us), timer};

	timer->due_ns = entry.due_ns;
	if (rt_timer_is_armed(timer)) {
		assert(timer->loop == loop);
		settle(loop, timer->heap_slot, entry);
		return;
	}
	timer->loop = loop;
	make_room(loop);
	sift_up(loop, ++loop->timer_count, entry);
}

void rt_timer_cancel(struct rt_timer *timer)
{
	struct rt_loop *loop = timer->loop;
	const uint32_t slot = timer->heap_slot;
	struct timer_slot last;

	if (!rt_timer_is_armed(timer))
		return;
	timer->heap_slot = 0;
	last = loop->timers[loop->timer_count--];
	if (last.timer != timer)
		settle(loop, slot, last);
}

uint64_t rt_loop_next_timer_ns(const struct rt_loop *loop)
{
	return loop->timer_count == 0 ? NEVER_NS : loop->timers[1].due_ns;
}

bool rt_loop_run_timers(struct rt_loop *loop)
{
	bool any = false;

	while (rt_loop_next_timer_ns(loop) <= loop->now_ns) {
		struct rt_timer *timer = loop->timers[1].timer;

		rt_timer_cancel(timer);
		timer->expired(timer);
		any = true;
	}
	return any;
}
