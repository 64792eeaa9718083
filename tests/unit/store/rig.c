/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/rig.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "store/host.h"
#include "unit/runner.h"
#include "unit/store/rig_plugin.h"

struct rig rig;
struct store *rig_store;
struct rt_worker *rig_worker;

static atomic_uint done_count;

/* ---- Life ----------------------------------------------------------------------------------------------------------
 */

void rig_reset(uint64_t size_bytes)
{
	memset(&rig, 0, sizeof(rig));
	rig.capabilities = (struct tgtkit_capabilities){
	    .size_bytes = size_bytes,
	    .flags = TGTKIT_CAN_FLUSH | TGTKIT_VOLATILE_CACHE,
	};
	rig.seed = 1;
	pthread_mutex_init(&rig.lock, NULL);
	pthread_cond_init(&rig.work, NULL);
	rig.data = calloc(1, size_bytes);
	rig.stable = calloc(1, size_bytes);
	ck_assert_ptr_nonnull(rig.data);
	ck_assert_ptr_nonnull(rig.stable);
	atomic_store(&done_count, 0);
}

void rig_free(void)
{
	free(rig.data);
	free(rig.stable);
	pthread_cond_destroy(&rig.work);
	pthread_mutex_destroy(&rig.lock);
}

int rig_try_open(char error[static STORE_ERROR_BYTES])
{
	struct store_spec spec = {
	    .plugin = rig_plugin(),
	    .path = "test",
	    .logical_block_bytes = RIG_BLOCK,
	};

	return store_open(&spec, &rig_store, error);
}

void rig_open(void)
{
	char error[STORE_ERROR_BYTES] = "";

	ck_assert_msg(rig_try_open(error) == 0, "%s", error);
}

void rig_close(void)
{
	store_close(rig_store);
	rig_store = NULL;
}

void rig_adopt(void)
{
	ck_assert_int_eq(rt_workers_adopt_current(&rig_worker, RT_MEMORY_MINIMUM_BYTES), 0);
}

void rig_release(void)
{
	rt_workers_release_current();
}

/* ---- Turning -------------------------------------------------------------------------------------------------------
 */

#define TURN_LIMIT_NS (20ull * 1000 * 1000 * 1000)

void rig_turn(void)
{
	rt_loop_turn(rig_worker->loop, 0);
}

void rig_turn_until(bool (*condition)(void *context), void *context)
{
	uint64_t limit_ns = rt_clock_ns() + TURN_LIMIT_NS;

	while (!condition(context)) {
		ck_assert_msg(rt_clock_ns() < limit_ns, "nothing happens any more");
		rt_loop_turn(rig_worker->loop, 100);
	}
}

/* ---- Requests ------------------------------------------------------------------------------------------------------
 */

static void request_done(struct store_request *self)
{
	struct rig_request *request = RT_CONTAINER_OF(self, struct rig_request, request);

	ck_assert_msg(!atomic_load(&request->done), "a request was told twice");
	request->order = atomic_fetch_add(&done_count, 1) + 1;
	request->done_on_worker = rt_worker_current()->index;
	atomic_store(&request->done, true);
}

void rig_submit(struct rig_request *request, uint32_t operation, uint32_t flags, uint64_t offset, void *data,
		uint64_t length)
{
	memset(request, 0, sizeof(*request));
	request->segment = (struct tgtkit_segment){data, (uint32_t)length, TGTKIT_NO_REGION};
	request->request = (struct store_request){
	    .operation = operation,
	    .flags = flags,
	    .offset = offset,
	    .length = length,
	    .segments = data != NULL ? &request->segment : NULL,
	    .segment_count = data != NULL ? 1 : 0,
	    .done = request_done,
	};
	store_submit(rig_store, &request->request);
	ck_assert_msg(!atomic_load(&request->done), "a request was told inside store_submit");
}

bool rig_is_done(void *request)
{
	return atomic_load(&((struct rig_request *)request)->done);
}

int rig_do(uint32_t operation, uint32_t flags, uint64_t offset, void *data, uint64_t length)
{
	struct rig_request request;

	rig_submit(&request, operation, flags, offset, data, length);
	rig_turn_until(rig_is_done, &request);
	return request.request.status;
}

void rig_wait_done(struct rig_request *request)
{
	uint64_t limit_ns = rt_clock_ns() + TURN_LIMIT_NS;

	while (!atomic_load(&request->done)) {
		ck_assert_msg(rt_clock_ns() < limit_ns, "nothing happens any more");
		sched_yield();
	}
}

/* ---- Other workers -------------------------------------------------------------------------------------------------
 */

struct errand {
	struct rt_post post;
	void (*function)(void *context);
	void *context;
	sem_t finished;
};

static void run_errand(struct rt_post *self)
{
	struct errand *errand = RT_CONTAINER_OF(self, struct errand, post);

	errand->function(errand->context);
	sem_post(&errand->finished);
}

void rig_run_on(unsigned worker, void (*function)(void *context), void *context)
{
	struct errand errand = {.post = {.run = run_errand}, .function = function, .context = context};

	sem_init(&errand.finished, 0, 0);
	rt_loop_post(rt_worker_get(worker)->loop, &errand.post);
	while (sem_wait(&errand.finished) != 0)
		ck_assert_int_eq(errno, EINTR);
	sem_destroy(&errand.finished);
}
