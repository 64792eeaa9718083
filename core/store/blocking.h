/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocking tier: what cannot be done at once on the worker is done on the pool, at most max_parallel calls at a
 * time for a unit, first come, first served.
 */
#ifndef TGTKIT_STORE_BLOCKING_H
#define TGTKIT_STORE_BLOCKING_H

#include <pthread.h>
#include <stdbool.h>

#include <tgtkit/plugin.h>

#include "rt/loop.h"
#include "store/io.h"
#include "store/pool.h"

struct store;
struct store_runner;

/* Of a unit, shared by its queues. */
struct store_blocking_unit {
	const struct tgtkit_blocking *functions;
	void *handle;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct store_io_list waiting;
	struct store_runner *runners; /* max_parallel of them; each is a job on the pool at most once */
	struct store_runner *free_runners;
	unsigned running;
};

/* Of a queue: what this turn of the loop has for the pool, handed over with one lock. */
struct store_blocking_queue {
	struct store_io_list batch;
	struct rt_deferred hand_over;
	bool try_read, try_write; /* on the worker */
};

/* 0 or -ENOMEM. */
int store_blocking_unit_init(struct store_blocking_unit *unit, const struct tgtkit_blocking *functions, void *handle,
			     unsigned max_parallel);
/* Every request has completed; waits until the pool has let go of the unit.  Safe on a zeroed one. */
void store_blocking_unit_destroy(struct store_blocking_unit *unit);

void store_blocking_queue_init(struct store_blocking_queue *queue, const struct tgtkit_blocking *functions);
void store_blocking_submit(struct tgtkit_queue *queue, struct store_io *io);
void store_blocking_cancel(struct tgtkit_queue *queue, struct store_io *io);

#endif
