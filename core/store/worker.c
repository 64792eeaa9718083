/* SPDX-License-Identifier: Apache-2.0 */
#include "store/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "store/operation.h"
#include "store/queue.h"
#include "store/store.h"

static struct tgtkit_worker workers[RT_MAXIMUM_WORKERS];

static void run_completions(struct rt_deferred *self)
{
	struct tgtkit_worker *worker = RT_CONTAINER_OF(self, struct tgtkit_worker, complete);
	struct store_io *io = worker->completed.first;
	struct store_request *request;

	worker->completed.first = NULL;
	while (io != NULL) {
		struct store_io *next = io->next;

		store_queue_io_completed(io);
		io = next;
	}
	request = worker->finished_first;
	worker->finished_first = NULL;
	while (request != NULL) {
		struct store_request *next = request->next;

		request->done(request);
		request = next;
	}
}

void store_worker_finish(struct tgtkit_worker *worker, struct store_request *request)
{
	request->next = NULL;
	if (worker->finished_first == NULL) {
		rt_loop_defer(worker->loop, RT_PHASE_COMPLETE, &worker->complete);
		worker->finished_first = request;
	} else {
		worker->finished_last->next = request;
	}
	worker->finished_last = request;
}

/* Threads may have been stopped and started again since; nothing of a stopped one is left. */
static void attach(struct tgtkit_worker *worker, struct rt_worker *thread)
{
	if (worker->loop != NULL)
		rt_slab_destroy(&worker->steps);
	*worker = (struct tgtkit_worker){
	    .worker = thread,
	    .loop = thread->loop,
	    .complete = {.run = run_completions},
	};
	rt_list_init(&worker->contexts);
	rt_slab_init(&worker->steps, sizeof(struct store_operation));
}

struct tgtkit_worker *store_worker_current(void)
{
	struct rt_worker *thread = rt_worker_current();
	struct tgtkit_worker *worker = &workers[thread->index];

	if (worker->loop != thread->loop)
		attach(worker, thread);
	return worker;
}

struct rt_loop *store_worker_loop(unsigned index)
{
	return rt_worker_get(index)->loop;
}

/* ---- Contexts ------------------------------------------------------------------------------------------------------
 */

static void run_commit(struct rt_deferred *self)
{
	struct store_batch *batch = RT_CONTAINER_OF(self, struct store_batch, commit);

	batch->async->commit(batch->context);
}

static void run_poll(struct rt_poller *self)
{
	struct store_batch *batch = RT_CONTAINER_OF(self, struct store_batch, poller);

	batch->async->poll(batch->context);
}

void store_batch_init(struct store_batch *batch, const struct tgtkit_async *async, void *context, struct rt_loop *loop)
{
	*batch = (struct store_batch){
	    .async = async,
	    .context = context,
	    .loop = loop,
	    .commit = {.run = run_commit},
	    .poller = {.poll = run_poll},
	};
}

static int open_worker_context(struct store_context *context)
{
	const struct tgtkit_async *async = context->plugin->async;

	if (async == NULL || async->worker_open == NULL)
		return 0;
	return async->worker_open(context->worker, &context->worker_context);
}

static int open_context(struct tgtkit_worker *worker, const struct tgtkit_plugin *plugin, struct store_context **opened)
{
	struct store_context *context = calloc(1, sizeof(*context));
	int status;

	if (context == NULL)
		return -ENOMEM;
	context->plugin = plugin;
	context->worker = worker;
	status = open_worker_context(context);
	if (status != 0) {
		free(context);
		return status < 0 ? status : -EIO;
	}
	rt_slab_init(&context->ios, sizeof(struct store_io) + plugin->scratch_bytes);
	store_batch_init(&context->batch, plugin->async, context->worker_context, worker->loop);
	rt_list_append(&worker->contexts, &context->node);
	*opened = context;
	return 0;
}

int store_context_get(struct tgtkit_worker *worker, const struct tgtkit_plugin *plugin, struct store_context **context)
{
	int status;

	RT_LIST_FOR_EACH (node, &worker->contexts) {
		struct store_context *existing = RT_CONTAINER_OF(node, struct store_context, node);

		if (existing->plugin != plugin)
			continue;
		existing->queue_count++;
		*context = existing;
		return 0;
	}
	status = open_context(worker, plugin, context);
	if (status == 0)
		(*context)->queue_count = 1;
	return status;
}

void store_context_put(struct store_context *context)
{
	const struct tgtkit_async *async = context->plugin->async;

	assert(context->queue_count > 0);
	if (--context->queue_count > 0)
		return;
	rt_deferred_cancel(&context->batch.commit);
	if (async != NULL && async->worker_close != NULL)
		async->worker_close(context->worker_context);
	rt_list_remove(&context->node);
	rt_slab_destroy(&context->ios);
	free(context);
}
