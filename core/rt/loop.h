/* SPDX-License-Identifier: Apache-2.0
 *
 * An event loop: one thread, file descriptors, timers, messages from other threads, and the phases of a turn.
 *
 * One turn: wait once; call `ready` of every descriptor that is; run messages; run expired timers; run pollers; then
 * drain the phases in order (RT_PHASE_COMPLETE, RT_PHASE_COMMIT, RT_PHASE_SEND), going back to the first phase as long
 * as an earlier one has work.  So all that arrived in one wait is parsed, submitted and answered together.
 *
 * Everything is called on the loop's own thread unless it says "any thread".  Nothing here allocates per event.
 */
#ifndef TGTKIT_RT_LOOP_H
#define TGTKIT_RT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/list.h"

struct rt_loop;

enum { RT_FD_READ = 1u << 0, RT_FD_WRITE = 1u << 1, RT_FD_ERROR = 1u << 2 };

/* A watched descriptor, level-triggered.  Memory of the caller; must stay until rt_fd_remove. */
struct rt_fd {
	int fd;
	void (*ready)(struct rt_fd *self, uint32_t events);
	/* private; zeroed means not watched */
	struct rt_loop *loop;
	uint32_t events;
};

/* A one-shot timer.  Memory of the caller; zeroed means idle. */
struct rt_timer {
	void (*expired)(struct rt_timer *self);
	/* private */
	struct rt_loop *loop;
	uint64_t due_ns;
	uint32_t heap_slot; /* 1-based; 0: idle */
};

/* A message to another thread's loop.  Memory of the sender, the receiver's from `run` on. */
struct rt_post {
	void (*run)(struct rt_post *self);
	/* private */
	struct rt_post *next;
};

enum rt_phase { RT_PHASE_COMPLETE, RT_PHASE_COMMIT, RT_PHASE_SEND, RT_PHASES };

/* Work for a later phase of this turn; scheduling one that is scheduled already does nothing.  Must stay until it has
 * run or is cancelled; `run` may free it or schedule it again (it then runs once more in this turn). */
struct rt_deferred {
	void (*run)(struct rt_deferred *self);
	/* private; zeroed means idle */
	struct rt_list node;
	bool scheduled;
};

/* Called in every turn while added; while any is, the loop does not sleep. */
struct rt_poller {
	void (*poll)(struct rt_poller *self);
	/* private; zeroed means not added */
	struct rt_list node;
};

/* busy_poll_us: keep turning this long after the last event (descriptor, message, timer) before sleeping.  Timers
 * are exact to the microsecond from Linux 5.11 on, else to the millisecond.  0 or negative errno. */
int rt_loop_create(struct rt_loop **loop, const char *name, unsigned busy_poll_us);
void rt_loop_destroy(struct rt_loop *loop);
/* Runs on the calling thread until rt_loop_stop.  Sets rt_loop_current() for it. */
void rt_loop_run(struct rt_loop *loop);
/* Any thread.  What the same thread has posted before still runs. */
void rt_loop_stop(struct rt_loop *loop);
/* The loop that the calling thread runs, or NULL. */
struct rt_loop *rt_loop_current(void);
/* CLOCK_MONOTONIC as read once in this turn, after the wait; outside of a turn: read now. */
uint64_t rt_loop_now_ns(const struct rt_loop *loop);
uint64_t rt_clock_ns(void); /* any thread: CLOCK_MONOTONIC, read now */

/* events: RT_FD_READ | RT_FD_WRITE; RT_FD_ERROR (error or hang-up) is always reported.  0 or negative errno. */
int rt_fd_add(struct rt_loop *loop, struct rt_fd *watched, uint32_t events);
int rt_fd_modify(struct rt_fd *watched, uint32_t events);
/* No `ready` call follows, also not for an event already fetched.  Safe inside any `ready`, and on one not watched.
 * Before the descriptor is closed. */
void rt_fd_remove(struct rt_fd *watched);

#define RT_US_PER_S UINT64_C(1000000)

/* (Re)arms, counted from rt_loop_now_ns().  delay 0: in the next turn.  Aborts the process when the heap of timers
 * cannot grow; it never shrinks. */
void rt_timer_arm(struct rt_loop *loop, struct rt_timer *timer, uint64_t delay_us);
void rt_timer_cancel(struct rt_timer *timer); /* safe on an idle one */
static inline bool rt_timer_is_armed(const struct rt_timer *timer)
{
	return timer->heap_slot != 0;
}

/* Any thread.  Messages of one sender run in order.  Wakes the loop only if it sleeps.  A message that a loop posts to
 * itself runs in the next turn at the latest, without a system call or an atomic operation. */
void rt_loop_post(struct rt_loop *loop, struct rt_post *post);

void rt_loop_defer(struct rt_loop *loop, enum rt_phase phase, struct rt_deferred *deferred);
void rt_deferred_cancel(struct rt_deferred *deferred); /* safe on an idle one */

void rt_poller_add(struct rt_loop *loop, struct rt_poller *poller);
void rt_poller_remove(struct rt_poller *poller);

#endif
