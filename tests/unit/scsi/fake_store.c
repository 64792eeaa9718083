/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/scsi/fake_store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/memory.h"
#include "rt/worker.h"

enum { GRAIN = 512 };

struct fake_io {
	struct rt_list node;
	struct rt_post post; /* to the worker that submitted */
	struct rt_loop *loop;
	struct rt_deferred deferred;
	struct store *store;
	struct store_request *request;
	int status;
};

/* Not with calloc, which tests may let fail: what fails is to be the core's. */
static struct fake_io *new_io(void)
{
	struct fake_io *io = aligned_alloc(_Alignof(struct fake_io), sizeof(*io));

	memset(io, 0, sizeof(*io));
	return io;
}

struct store *fake_store_new(uint64_t size_bytes, uint32_t flags)
{
	enum { MOST = 256 << 20 };
	struct store *store = calloc(1, sizeof(*store));

	store->size_bytes = size_bytes;
	store->memory_bytes = size_bytes < MOST ? size_bytes : MOST;
	store->memory = calloc(1, store->memory_bytes);
	store->mapped = calloc(1, store->memory_bytes / GRAIN);
	store->capabilities = (struct tgtkit_capabilities){.size = sizeof(store->capabilities),
							   .size_bytes = size_bytes,
							   .flags = flags,
							   .physical_block_bytes = 4096,
							   .optimal_transfer_bytes = 65536,
							   .discard_granularity_bytes = 4096};
	pthread_mutex_init(&store->mutex, NULL);
	rt_list_init(&store->held);
	return store;
}

void fake_store_free(struct store *store)
{
	assert(store->under_way == 0);
	pthread_mutex_destroy(&store->mutex);
	free(store->memory);
	free(store->mapped);
	free(store);
}

const struct tgtkit_capabilities *store_capabilities(const struct store *store)
{
	return &store->capabilities;
}

uint32_t store_atomic_write_bytes(const struct store *store)
{
	return store->capabilities.atomic_write_bytes;
}

uint64_t store_size_bytes(const struct store *store)
{
	return store->size_bytes;
}

const char *store_name(const struct store *store)
{
	(void)store;
	return "fake:memory";
}

static uint64_t request_length(const struct store_request *request)
{
	uint64_t length = 0;

	for (uint32_t i = 0; i < request->segment_count; i++)
		length += request->segments[i].length;
	return length;
}

/* Bytes beyond what memory backs read zero and take anything. */
static void move(struct store *store, const struct store_request *request)
{
	uint64_t at = request->offset;

	assert(request_length(request) == request->length);
	for (uint32_t i = 0; i < request->segment_count; i++) {
		const struct tgtkit_segment *segment = &request->segments[i];
		bool backed = at + segment->length <= store->memory_bytes;

		if (request->operation == TGTKIT_READ && backed)
			memcpy(segment->address, store->memory + at, segment->length);
		else if (request->operation == TGTKIT_READ)
			memset(segment->address, 0, segment->length);
		else if (backed)
			memcpy(store->memory + at, segment->address, segment->length);
		at += segment->length;
	}
}

static void mark(struct store *store, const struct store_request *request, uint8_t mapped)
{
	if (request->offset + request->length <= store->memory_bytes)
		memset(store->mapped + request->offset / GRAIN, mapped, request->length / GRAIN);
}

static void clear(struct store *store, const struct store_request *request)
{
	if (request->offset + request->length <= store->memory_bytes)
		memset(store->memory + request->offset, 0, request->length);
}

static void list_extents(struct store *store, struct store_request *request)
{
	uint64_t at = request->offset, end = request->offset + request->length;

	request->extents_count = 0;
	while (at < end && request->extents_count < request->extents_capacity) {
		struct tgtkit_extent *extent = &request->extents[request->extents_count++];
		bool mapped = at < store->memory_bytes && store->mapped[at / GRAIN];

		*extent = (struct tgtkit_extent){
		    .offset = at, .flags = mapped ? TGTKIT_EXTENT_DATA : TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO};
		if (at >= store->memory_bytes)
			at = end;
		while (at < end && at < store->memory_bytes && (bool)store->mapped[at / GRAIN] == mapped)
			at += GRAIN;
		extent->length = at - extent->offset;
	}
}

static int perform(struct store *store, struct store_request *request)
{
	if (store->fail_operation == request->operation) {
		store->fail_operation = 0;
		return store->fail_status;
	}
	switch (request->operation) {
	case TGTKIT_READ:
		move(store, request);
		break;
	case TGTKIT_WRITE:
		move(store, request);
		mark(store, request, 1);
		break;
	case TGTKIT_DISCARD:
		clear(store, request);
		mark(store, request, 0);
		break;
	case TGTKIT_ZERO:
		clear(store, request);
		mark(store, request, !(request->flags & TGTKIT_REQUEST_MAY_UNMAP));
		break;
	case TGTKIT_EXTENTS:
		list_extents(store, request);
		break;
	default:
		break;
	}
	return 0;
}

static void finish(struct rt_deferred *deferred)
{
	struct fake_io *io = RT_CONTAINER_OF(deferred, struct fake_io, deferred);
	struct store_request *request = io->request;

	pthread_mutex_lock(&io->store->mutex);
	request->status = io->status != 0 ? io->status : perform(io->store, request);
	io->store->under_way--;
	pthread_mutex_unlock(&io->store->mutex);
	request->io = NULL;
	free(io);
	request->done(request);
}

static void arrive(struct rt_post *post)
{
	struct fake_io *io = RT_CONTAINER_OF(post, struct fake_io, post);

	rt_loop_defer(io->loop, RT_PHASE_COMPLETE, &io->deferred);
}

void store_submit(struct store *store, struct store_request *request)
{
	struct fake_io *io = new_io();
	bool hold;

	io->loop = rt_worker_current()->loop;
	io->store = store;
	io->request = request;
	io->post.run = arrive;
	io->deferred.run = finish;
	request->io = (struct store_io *)io;
	assert(request->operation == TGTKIT_FLUSH || request->length > 0);
	assert(request->offset + request->length <= store->size_bytes);
	pthread_mutex_lock(&store->mutex);
	store->count[request->operation]++;
	store->stable_writes += request->operation == TGTKIT_WRITE && (request->flags & TGTKIT_REQUEST_FUA) != 0;
	store->under_way++;
	hold = store->hold_all || store->hold_operation == request->operation;
	if (hold)
		rt_list_append(&store->held, &io->node);
	pthread_mutex_unlock(&store->mutex);
	if (!hold)
		rt_loop_defer(io->loop, RT_PHASE_COMPLETE, &io->deferred);
}

static struct fake_io *take_held(struct store *store)
{
	struct rt_list *node;

	pthread_mutex_lock(&store->mutex);
	node = rt_list_take_first(&store->held);
	pthread_mutex_unlock(&store->mutex);
	return node != NULL ? RT_CONTAINER_OF(node, struct fake_io, node) : NULL;
}

void fake_store_release_one(struct store *store)
{
	struct fake_io *io = take_held(store);

	if (io != NULL)
		rt_loop_post(io->loop, &io->post);
}

void fake_store_release(struct store *store)
{
	struct fake_io *io;

	store->hold_all = false;
	store->hold_operation = 0;
	while ((io = take_held(store)) != NULL)
		rt_loop_post(io->loop, &io->post);
}

unsigned fake_store_held(struct store *store)
{
	unsigned count = 0;

	pthread_mutex_lock(&store->mutex);
	RT_LIST_FOR_EACH (node, &store->held)
		count++;
	pthread_mutex_unlock(&store->mutex);
	return count;
}

void store_cancel(struct store_request *request)
{
	struct fake_io *io = (struct fake_io *)request->io;
	struct store *store = io->store;
	bool gives_up;

	pthread_mutex_lock(&store->mutex);
	store->cancels++;
	gives_up = store->cancellable && !rt_list_is_empty(&io->node) && io->node.next != NULL;
	if (gives_up) {
		rt_list_remove(&io->node);
		io->status = -ECANCELED;
	}
	pthread_mutex_unlock(&store->mutex);
	if (gives_up)
		rt_loop_post(io->loop, &io->post);
}
