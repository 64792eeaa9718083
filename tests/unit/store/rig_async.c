/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/host.h"
#include "unit/runner.h"
#include "unit/store/rig.h"
#include "unit/store/rig_plugin.h"

/* ---- Held requests: of all queues, under the lock ------------------------------------------------------------------
 */

static struct tgtkit_request *take_held(unsigned index)
{
	struct tgtkit_request *request;

	ck_assert_uint_lt(index, rig.held_count);
	request = rig.held[index];
	rig.held_count--;
	memmove(&rig.held[index], &rig.held[index + 1], (rig.held_count - index) * sizeof(rig.held[0]));
	return request;
}

/* The plugin owes this once it has room after AGAIN. */
static void pay_ready(void)
{
	struct tgtkit_queue *queue = NULL;

	pthread_mutex_lock(&rig.lock);
	if (rig.owes_ready && rig.held_count == 0) {
		rig.owes_ready = false;
		queue = rig.last_queue;
	}
	pthread_mutex_unlock(&rig.lock);
	if (queue != NULL)
		store_host()->queue_ready(queue);
}

void rig_complete_held(unsigned index, int status)
{
	struct tgtkit_request *request;

	pthread_mutex_lock(&rig.lock);
	request = take_held(index);
	pthread_mutex_unlock(&rig.lock);
	store_host()->complete(request, status != 0 ? status : rig_perform(request));
	pay_ready();
}

static bool complete_any(void)
{
	struct tgtkit_request *request = NULL;

	pthread_mutex_lock(&rig.lock);
	if (rig.held_count > 0)
		request = take_held((unsigned)rand_r(&rig.seed) % rig.held_count);
	pthread_mutex_unlock(&rig.lock);
	if (request == NULL)
		return false;
	store_host()->complete(request, rig_perform(request));
	return true;
}

void rig_complete_all_held(void)
{
	while (complete_any())
		;
	pay_ready();
}

/* ---- A thread of the plugin's own ----------------------------------------------------------------------------------
 */

static void *serve(void *argument)
{
	bool stopping = false;

	while (!stopping) {
		pthread_mutex_lock(&rig.lock);
		while (rig.held_count == 0 && !rig.stopping)
			pthread_cond_wait(&rig.work, &rig.lock);
		stopping = rig.stopping;
		pthread_mutex_unlock(&rig.lock);
		rig_complete_all_held();
	}
	return argument;
}

void rig_start_thread(void)
{
	rig.stopping = false;
	ck_assert_int_eq(pthread_create(&rig.thread, NULL, serve, NULL), 0);
}

void rig_stop_thread(void)
{
	pthread_mutex_lock(&rig.lock);
	rig.stopping = true;
	pthread_cond_signal(&rig.work);
	pthread_mutex_unlock(&rig.lock);
	pthread_join(rig.thread, NULL);
}

/* ---- The tier ------------------------------------------------------------------------------------------------------
 */

static int async_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	ck_assert_ptr_eq(handle, &rig);
	if (rig.open_queue_status != 0)
		return rig.open_queue_status;
	rig.queue_opens++;
	rig.last_queue = args->queue;
	rig.region_count = args->region_count;
	rig.filled_regions = 0;
	for (uint32_t i = 0; i < args->region_count; i++)
		rig.filled_regions += args->regions[i].length > 0;
	if (rig.worker_contexts)
		ck_assert_ptr_eq(args->worker_context, args->worker);
	*queue_context = args->queue;
	return 0;
}

static int hold(struct tgtkit_request *request)
{
	int status = 0;

	pthread_mutex_lock(&rig.lock);
	ck_assert(!rig.owes_ready);
	if (rig.depth != 0 && rig.held_count >= rig.depth) {
		rig.owes_ready = true;
		rig.refused++;
		status = -EAGAIN;
	} else {
		ck_assert_uint_lt(rig.held_count, RIG_HELD);
		rig.held[rig.held_count++] = request;
		pthread_cond_signal(&rig.work);
	}
	pthread_mutex_unlock(&rig.lock);
	return status;
}

static int async_submit(void *queue_context, struct tgtkit_request *request)
{
	ck_assert_ptr_nonnull(queue_context);
	ck_assert_ptr_nonnull(rt_worker_current());
	ck_assert_ptr_nonnull(request->scratch);
	ck_assert_uint_eq((uintptr_t)request->scratch % _Alignof(max_align_t), 0);
	ck_assert_uint_eq(request->payload, TGTKIT_PAYLOAD_CORE);
	memset(request->scratch, 0xa5, 48);
	if (rig.mode != RIG_INLINE)
		return hold(request);
	store_host()->complete(request, rig_perform(request));
	return 0;
}

static void async_commit(void *context)
{
	ck_assert_ptr_nonnull(context);
	rig.commits++;
	if (rig.mode == RIG_AT_COMMIT && !rig.polls)
		rig_complete_all_held();
}

static void async_poll(void *context)
{
	ck_assert_ptr_nonnull(context);
	rig.polled++;
	rig_complete_all_held();
}

static void async_cancel(void *queue_context, struct tgtkit_request *request)
{
	bool found = false;

	ck_assert_ptr_nonnull(queue_context);
	rig.cancels++;
	pthread_mutex_lock(&rig.lock);
	for (unsigned i = 0; i < rig.held_count && !found; i++) {
		if (rig.held[i] == request) {
			take_held(i);
			found = true;
		}
	}
	pthread_mutex_unlock(&rig.lock);
	if (found)
		store_host()->complete(request, -ECANCELED);
	pay_ready();
}

static void async_queue_close(void *queue_context)
{
	ck_assert_ptr_nonnull(queue_context);
	rig.queue_closes++;
}

static int async_worker_open(struct tgtkit_worker *worker, void **worker_context)
{
	rig.worker_opens++;
	*worker_context = worker;
	return 0;
}

static void async_worker_close(void *worker_context)
{
	ck_assert_ptr_nonnull(worker_context);
	ck_assert_uint_eq(rig.queue_opens, rig.queue_closes);
	rig.worker_closes++;
}

#define COMMON_FUNCTIONS                                                                                               \
	.queue_open = async_queue_open, .submit = async_submit, .cancel = async_cancel, .queue_close = async_queue_close

const struct tgtkit_async rig_async = {
    .size = sizeof(rig_async),
    COMMON_FUNCTIONS,
    .commit = async_commit,
};

const struct tgtkit_async rig_async_workers = {
    .size = sizeof(rig_async_workers),
    COMMON_FUNCTIONS,
    .commit = async_commit,
    .worker_open = async_worker_open,
    .worker_close = async_worker_close,
};

const struct tgtkit_async rig_async_polls = {
    .size = sizeof(rig_async_polls),
    COMMON_FUNCTIONS,
    .poll = async_poll,
};
