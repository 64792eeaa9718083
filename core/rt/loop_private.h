/* SPDX-License-Identifier: Apache-2.0
 *
 * What the sources of the event loop share among themselves.
 */
#ifndef TGTKIT_RT_LOOP_PRIVATE_H
#define TGTKIT_RT_LOOP_PRIVATE_H

#include <stdalign.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "rt/loop.h"

#define CACHE_LINE_BYTES   64
#define EVENTS_PER_TURN	   256
#define NANOSECONDS_PER_US 1000u
#define NANOSECONDS_PER_MS 1000000u
#define NANOSECONDS_PER_S  1000000000u
#define NEVER_NS	   UINT64_MAX
#define LOOP_NAME_BYTES	   16

/* The due time stands beside the pointer so that sifting does not touch the timers. */
struct timer_slot {
	uint64_t due_ns;
	struct rt_timer *timer;
};

struct rt_loop {
	int epoll_fd;
	struct rt_fd wake; /* an eventfd */
	char name[LOOP_NAME_BYTES];
	bool in_turn;
	bool waits_by_the_millisecond; /* the kernel has no epoll_pwait2 for us */
	uint64_t now_ns, last_event_ns, busy_poll_ns;

	struct timer_slot *timers; /* a heap in slots 1 to timer_count */
	uint32_t timer_count, timer_capacity;

	struct rt_list phases[RT_PHASES];
	struct rt_list pollers;
	struct rt_post *own_first, *own_last; /* what the loop's own thread has posted */

	int event_next, event_count; /* of `events`: those not yet dispatched */
	struct epoll_event events[EVENTS_PER_TURN];

	/* What other threads write. */
	alignas(CACHE_LINE_BYTES) _Atomic(struct rt_post *) posts; /* newest first */
	atomic_bool sleeping, stop;
};

void rt_loop_set_current(struct rt_loop *loop); /* of the calling thread */
void rt_loop_wake(struct rt_loop *loop);	/* any thread */

/* Both return whether anything ran. */
bool rt_loop_run_posts(struct rt_loop *loop);
bool rt_loop_run_timers(struct rt_loop *loop);
bool rt_loop_has_posts(struct rt_loop *loop);
uint64_t rt_loop_next_timer_ns(const struct rt_loop *loop); /* NEVER_NS: none */

#endif
