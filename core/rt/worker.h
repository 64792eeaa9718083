/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker threads: an event loop and data memory each.
 */
#ifndef TGTKIT_RT_WORKER_H
#define TGTKIT_RT_WORKER_H

#include "rt/loop.h"
#include "rt/memory.h"

#define RT_MAXIMUM_WORKERS 256u

struct rt_worker {
	unsigned index; /* 0 to count-1 */
	struct rt_loop *loop;
	struct rt_memory *memory;
};

struct rt_workers_options {
	unsigned count; /* 0: one per CPU that this process may use */
	unsigned busy_poll_us;
	size_t memory_limit_bytes; /* all workers together */
};

/* Starts the threads (named tgtkit-wN, all signals blocked).  0 or negative errno; -EINVAL: more than
 * RT_MAXIMUM_WORKERS, or less than RT_MEMORY_MINIMUM_BYTES for each.  With count 0 there are fewer workers where the
 * memory is scarce. */
int rt_workers_start(const struct rt_workers_options *options);
/* Stops every loop and joins the threads; the caller has ended everything that lives on them. */
void rt_workers_stop(void);
unsigned rt_workers_count(void);
struct rt_worker *rt_worker_get(unsigned index);
struct rt_worker *rt_worker_current(void); /* NULL off the workers */

/* A message that goes from worker to worker and home again: when it is back, every worker has run what had been posted
 * to it before the tour began. */
struct rt_workers_tour {
	/* On `home`; the tour is the owner's again. */
	void (*finished)(struct rt_workers_tour *tour);
	struct rt_loop *home;
	/* private */
	struct rt_post post;
	unsigned next;
};

/* On the thread that has posted what is waited for.  No tour comes home after rt_workers_stop. */
void rt_workers_tour_start(struct rt_workers_tour *tour);

/* For unit tests: makes the calling thread worker `index` of 1 without starting threads; run the loop by hand. */
int rt_workers_adopt_current(struct rt_worker **worker, size_t memory_bytes);
void rt_workers_release_current(void);
/* One turn of the loop, waiting at most timeout_ms (-1: no limit). For tests and for adopted threads. */
void rt_loop_turn(struct rt_loop *loop, int timeout_ms);

#endif
