/* SPDX-License-Identifier: Apache-2.0
 *
 * What core/store keeps for each worker thread: the completions of this turn, and one context per plugin that has a
 * queue here.  Used on that thread only, unless a comment says otherwise.
 */
#ifndef TGTKIT_STORE_WORKER_H
#define TGTKIT_STORE_WORKER_H

#include <tgtkit/plugin.h>

#include "rt/list.h"
#include "rt/loop.h"
#include "rt/slab.h"
#include "rt/worker.h"
#include "store/io.h"

struct store_request;

/* This is what plugins know as their worker. */
struct tgtkit_worker {
	struct rt_worker *worker;
	struct rt_loop *loop;
	struct store_io_list completed;			      /* to be processed in RT_PHASE_COMPLETE, */
	struct store_request *finished_first, *finished_last; /* then these are to be told */
	struct rt_deferred complete;
	struct rt_list contexts;
	struct rt_slab steps;
};

/* Requests in a plugin that share one `commit` and one `poll`: those of a queue, or of all queues of a plugin on a
 * worker. */
struct store_batch {
	const struct tgtkit_async *async;
	void *context;
	struct rt_loop *loop;
	unsigned in_flight;
	struct rt_deferred commit;
	struct rt_poller poller;
};

/* One plugin on one worker; there as long as one of its units has a queue here, and the plugin's own worker context
 * with it. */
struct store_context {
	struct rt_list node;
	const struct tgtkit_plugin *plugin;
	struct tgtkit_worker *worker;
	void *worker_context;
	unsigned queue_count;
	struct rt_slab ios;
	struct store_batch batch; /* of a plugin that has worker_open */
};

/* The calling thread's; it is a worker. */
struct tgtkit_worker *store_worker_current(void);
/* The loop of any worker.  Any thread. */
struct rt_loop *store_worker_loop(unsigned index);

/* Counts a queue in; opens the context if it is the first.  0 or negative errno. */
int store_context_get(struct tgtkit_worker *worker, const struct tgtkit_plugin *plugin, struct store_context **context);
void store_context_put(struct store_context *context);

void store_batch_init(struct store_batch *batch, const struct tgtkit_async *async, void *context, struct rt_loop *loop);

/* `io` has its status: it is processed in this turn's RT_PHASE_COMPLETE. */
static inline void store_worker_complete(struct tgtkit_worker *worker, struct store_io *io)
{
	if (worker->completed.first == NULL)
		rt_loop_defer(worker->loop, RT_PHASE_COMPLETE, &worker->complete);
	store_io_append(&worker->completed, io);
}

/* `request` has its status: the caller is told in this turn's RT_PHASE_COMPLETE. */
void store_worker_finish(struct tgtkit_worker *worker, struct store_request *request);

#endif
