/* SPDX-License-Identifier: Apache-2.0 */
#include "store/blocking.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "store/queue.h"

#define DEFAULT_PARALLEL 16u
/* A thread serves one unit for so many requests before the pool's other jobs get their turn. */
#define REQUESTS_PER_RUN       64u
#define MAXIMUM_INLINE_VECTORS 64
/* What is copied on the worker keeps its other connections waiting. */
#define MAXIMUM_INLINE_BYTES (1u << 20)

struct store_runner {
	struct store_job job;
	struct store_blocking_unit *unit;
	struct store_runner *next_free;
};

/* ---- On the pool ---------------------------------------------------------------------------------------------------
 */

static int transfer_segment(const struct store_blocking_unit *unit, const struct tgtkit_request *request, char *address,
			    size_t length, uint64_t offset)
{
	if (request->operation == TGTKIT_READ)
		return unit->functions->pread(unit->handle, address, length, offset);
	return unit->functions->pwrite(unit->handle, address, length, offset, request->flags);
}

/* Goes on where the attempt on the worker ended. */
static int transfer(const struct store_blocking_unit *unit, const struct store_io *io)
{
	const struct tgtkit_request *request = &io->request;
	uint64_t offset = request->offset;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct tgtkit_segment *segment = &request->segments[i];
		uint32_t skip = i == io->segments_done ? io->bytes_done_in_segment : 0;

		if (i >= io->segments_done) {
			int status = transfer_segment(unit, request, (char *)segment->address + skip,
						      segment->length - skip, offset + skip);

			if (status != 0)
				return status;
		}
		offset += segment->length;
	}
	return 0;
}

static int perform(const struct store_blocking_unit *unit, struct store_io *io)
{
	struct tgtkit_request *request = &io->request;

	switch (request->operation) {
	case TGTKIT_READ:
	case TGTKIT_WRITE:
		return transfer(unit, io);
	case TGTKIT_FLUSH:
		return unit->functions->flush(unit->handle);
	case TGTKIT_DISCARD:
		return unit->functions->discard(unit->handle, request->offset, request->length, request->flags);
	case TGTKIT_ZERO:
		return unit->functions->zero(unit->handle, request->offset, request->length, request->flags);
	case TGTKIT_EXTENTS:
		return unit->functions->extents(unit->handle, request->offset, request->length, request->extents,
						request->extents_capacity, &request->extents_count);
	default:
		return -EOPNOTSUPP;
	}
}

/* The next request, or NULL: the runner is free again.  Nothing of the unit may be touched after that. */
static struct store_io *next_request(struct store_runner *runner)
{
	struct store_blocking_unit *unit = runner->unit;
	struct store_io *io;

	pthread_mutex_lock(&unit->lock);
	io = store_io_take_first(&unit->waiting);
	if (io == NULL) {
		runner->next_free = unit->free_runners;
		unit->free_runners = runner;
		unit->running--;
		pthread_cond_signal(&unit->idle);
	}
	pthread_mutex_unlock(&unit->lock);
	return io;
}

static void run(struct store_job *job)
{
	struct store_runner *runner = RT_CONTAINER_OF(job, struct store_runner, job);

	for (unsigned served = 0; served < REQUESTS_PER_RUN; served++) {
		struct store_io *io = next_request(runner);

		if (io == NULL)
			return;
		store_queue_complete(io, perform(runner->unit, io));
	}
	store_pool_submit_io(&runner->job);
}

/* ---- On the worker -------------------------------------------------------------------------------------------------
 */

/* With the lock held: the jobs that `count` more requests deserve, as a chain, or NULL. */
static struct store_job *take_runners(struct store_blocking_unit *unit, unsigned count)
{
	struct store_job *chain = NULL;

	while (count-- > 0 && unit->free_runners != NULL) {
		struct store_runner *runner = unit->free_runners;

		unit->free_runners = runner->next_free;
		unit->running++;
		runner->job.next = chain;
		chain = &runner->job;
	}
	return chain;
}

static void hand_over(struct rt_deferred *self)
{
	struct store_blocking_queue *blocking = RT_CONTAINER_OF(self, struct store_blocking_queue, hand_over);
	struct tgtkit_queue *queue = RT_CONTAINER_OF(blocking, struct tgtkit_queue, blocking);
	struct store_blocking_unit *unit = &queue->store->blocking;
	struct store_job *chain;
	struct store_io *io;
	unsigned count = 0;

	pthread_mutex_lock(&unit->lock);
	while ((io = store_io_take_first(&blocking->batch)) != NULL) {
		store_io_append(&unit->waiting, io);
		count++;
	}
	chain = take_runners(unit, count);
	pthread_mutex_unlock(&unit->lock);
	if (chain != NULL)
		store_pool_submit_io_chain(chain);
}

static void send_to_pool(struct tgtkit_queue *queue, struct store_io *io)
{
	if (queue->blocking.batch.first == NULL)
		rt_loop_defer(queue->worker->loop, RT_PHASE_COMMIT, &queue->blocking.hand_over);
	store_io_append(&queue->blocking.batch, io);
}

static ssize_t call_nowait(const struct store_blocking_unit *unit, const struct tgtkit_request *request)
{
	struct iovec vectors[MAXIMUM_INLINE_VECTORS];
	int count =
	    request->segment_count < MAXIMUM_INLINE_VECTORS ? (int)request->segment_count : MAXIMUM_INLINE_VECTORS;

	for (int i = 0; i < count; i++)
		vectors[i] = (struct iovec){request->segments[i].address, request->segments[i].length};
	if (request->operation == TGTKIT_READ)
		return unit->functions->preadv_nowait(unit->handle, vectors, count, request->offset);
	return unit->functions->pwritev_nowait(unit->handle, vectors, count, request->offset);
}

/* The rest has to be aligned as well, so a part of an alignment unit is done again. */
static void remember_progress(struct store_io *io, uint64_t done, uint32_t alignment_bytes)
{
	const struct tgtkit_segment *segment = io->request.segments;

	for (; done >= segment->length; segment++) {
		done -= segment->length;
		io->segments_done++;
	}
	io->bytes_done_in_segment = (uint32_t)done & ~(alignment_bytes - 1);
}

/* false: the pool has to do it, or the rest of it. */
static bool try_on_worker(struct tgtkit_queue *queue, struct store_io *io, bool *may_try)
{
	struct store *store = queue->store;
	ssize_t done;

	if (!*may_try || io->request.flags != 0 || io->request.length > MAXIMUM_INLINE_BYTES)
		return false;
	done = call_nowait(&store->blocking, &io->request);
	if (done == (ssize_t)io->request.length) {
		io->status = 0;
		store_worker_complete(queue->worker, io);
		return true;
	}
	if (done > 0 && (uint64_t)done < io->request.length) {
		remember_progress(io, (uint64_t)done, store->limits.offset_alignment_bytes);
		return false;
	}
	if (done == -EOPNOTSUPP)
		*may_try = false;
	if (done == 0 || done == -EAGAIN || done == -EINTR || done == -EOPNOTSUPP)
		return false;
	io->status = done < 0 ? (int)done : -EIO;
	store_worker_complete(queue->worker, io);
	return true;
}

void store_blocking_submit(struct tgtkit_queue *queue, struct store_io *io)
{
	if (io->request.operation == TGTKIT_READ && try_on_worker(queue, io, &queue->blocking.try_read))
		return;
	if (io->request.operation == TGTKIT_WRITE && try_on_worker(queue, io, &queue->blocking.try_write))
		return;
	send_to_pool(queue, io);
}

/* A call that has begun cannot be called back. */
void store_blocking_cancel(struct tgtkit_queue *queue, struct store_io *io)
{
	struct store_blocking_unit *unit = &queue->store->blocking;
	bool found = store_io_take(&queue->blocking.batch, io);

	if (!found) {
		pthread_mutex_lock(&unit->lock);
		found = store_io_take(&unit->waiting, io);
		pthread_mutex_unlock(&unit->lock);
	}
	if (!found)
		return;
	io->status = -ECANCELED;
	store_worker_complete(queue->worker, io);
}

/* ---- Life ----------------------------------------------------------------------------------------------------------
 */

void store_blocking_queue_init(struct store_blocking_queue *queue, const struct tgtkit_blocking *functions)
{
	*queue = (struct store_blocking_queue){
	    .hand_over = {.run = hand_over},
	    .try_read = functions->preadv_nowait != NULL,
	    .try_write = functions->pwritev_nowait != NULL,
	};
}

int store_blocking_unit_init(struct store_blocking_unit *unit, const struct tgtkit_blocking *functions, void *handle,
			     unsigned max_parallel)
{
	unsigned count = max_parallel != 0 ? max_parallel : DEFAULT_PARALLEL;

	*unit = (struct store_blocking_unit){.functions = functions, .handle = handle};
	unit->runners = calloc(count, sizeof(*unit->runners));
	if (unit->runners == NULL)
		return -ENOMEM;
	pthread_mutex_init(&unit->lock, NULL);
	pthread_cond_init(&unit->idle, NULL);
	for (unsigned i = 0; i < count; i++) {
		unit->runners[i] = (struct store_runner){
		    .job = {.run = run},
		    .unit = unit,
		    .next_free = unit->free_runners,
		};
		unit->free_runners = &unit->runners[i];
	}
	return 0;
}

void store_blocking_unit_destroy(struct store_blocking_unit *unit)
{
	if (unit->runners == NULL)
		return;
	pthread_mutex_lock(&unit->lock);
	while (unit->running > 0)
		pthread_cond_wait(&unit->idle, &unit->lock);
	pthread_mutex_unlock(&unit->lock);
	pthread_cond_destroy(&unit->idle);
	pthread_mutex_destroy(&unit->lock);
	free(unit->runners);
}
