/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "unit/runner.h"
#include "unit/store/rig.h"
#include "unit/store/rig_plugin.h"

/* Counts how many calls of the unit run at a time. */
static int call(struct tgtkit_request *request)
{
	unsigned now = atomic_fetch_add(&rig.in_call, 1) + 1, most = rig.most_in_call;
	int status;

	ck_assert_ptr_null(rt_worker_current());
	while (now > most && !atomic_compare_exchange_weak(&rig.most_in_call, &most, now))
		;
	while (rig.stuck)
		sched_yield();
	status = rig_perform(request);
	rig.in_call--;
	return status;
}

static int transfer(uint32_t operation, void *buffer, size_t length, uint64_t offset, uint32_t flags)
{
	struct tgtkit_segment segment = {buffer, (uint32_t)length, TGTKIT_NO_REGION};
	struct tgtkit_request request = {
	    .operation = operation,
	    .flags = flags,
	    .offset = offset,
	    .length = length,
	    .segments = &segment,
	    .segment_count = 1,
	};

	return call(&request);
}

static int blocking_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
	ck_assert_ptr_eq(handle, &rig);
	return transfer(TGTKIT_READ, buffer, length, offset, 0);
}

static int blocking_pwrite(void *handle, const void *buffer, size_t length, uint64_t offset, uint32_t flags)
{
	ck_assert_ptr_eq(handle, &rig);
	return transfer(TGTKIT_WRITE, (void *)buffer, length, offset, flags);
}

static int range(uint32_t operation, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct tgtkit_request request = {.operation = operation, .flags = flags, .offset = offset, .length = length};

	return call(&request);
}

static int blocking_flush(void *handle)
{
	(void)handle;
	return range(TGTKIT_FLUSH, 0, 0, 0);
}

static int blocking_discard(void *handle, uint64_t offset, uint64_t length, uint32_t flags)
{
	(void)handle;
	return range(TGTKIT_DISCARD, offset, length, flags);
}

static int blocking_zero(void *handle, uint64_t offset, uint64_t length, uint32_t flags)
{
	(void)handle;
	return range(TGTKIT_ZERO, offset, length, flags);
}

static int blocking_extents(void *handle, uint64_t offset, uint64_t length, struct tgtkit_extent *extents,
			    uint32_t capacity, uint32_t *count)
{
	struct tgtkit_request request = {
	    .operation = TGTKIT_EXTENTS,
	    .offset = offset,
	    .length = length,
	    .extents = extents,
	    .extents_capacity = capacity,
	};
	int status = call(&request);

	(void)handle;
	*count = request.extents_count;
	return status;
}

/* ---- Without waiting -----------------------------------------------------------------------------------------------
 */

/* Does all of it, part of it, or nothing. */
static ssize_t attempt(uint32_t operation, const struct iovec *iov, int count, uint64_t offset)
{
	ssize_t most = 0, done = 0;

	ck_assert_ptr_nonnull(rt_worker_current());
	rig.inline_calls++;
	for (int i = 0; i < count; i++)
		most += (ssize_t)iov[i].iov_len;
	switch (rand_r(&rig.seed) % 4) {
	case 0:
		return -EAGAIN;
	case 1:
		most = rand_r(&rig.seed) % most;
		break;
	default:
		break;
	}
	pthread_mutex_lock(&rig.lock);
	for (int i = 0; i < count; i++) {
		char *memory = iov[i].iov_base;

		for (size_t j = 0; j < iov[i].iov_len && done < most; j++, done++) {
			if (operation == TGTKIT_READ)
				memory[j] = (char)rig.data[offset + (uint64_t)done];
			else
				rig.data[offset + (uint64_t)done] = (unsigned char)memory[j];
		}
	}
	pthread_mutex_unlock(&rig.lock);
	return done;
}

static ssize_t blocking_preadv_nowait(void *handle, const struct iovec *iov, int count, uint64_t offset)
{
	(void)handle;
	return attempt(TGTKIT_READ, iov, count, offset);
}

static ssize_t blocking_pwritev_nowait(void *handle, const struct iovec *iov, int count, uint64_t offset)
{
	(void)handle;
	if (rig.write_status != 0)
		return rig.write_status;
	return attempt(TGTKIT_WRITE, iov, count, offset);
}

const struct tgtkit_blocking rig_blocking = {
    .size = sizeof(rig_blocking),
    .pread = blocking_pread,
    .pwrite = blocking_pwrite,
    .flush = blocking_flush,
    .discard = blocking_discard,
    .zero = blocking_zero,
    .extents = blocking_extents,
};

const struct tgtkit_blocking rig_blocking_nowait = {
    .size = sizeof(rig_blocking_nowait),
    .pread = blocking_pread,
    .pwrite = blocking_pwrite,
    .flush = blocking_flush,
    .discard = blocking_discard,
    .zero = blocking_zero,
    .extents = blocking_extents,
    .preadv_nowait = blocking_preadv_nowait,
    .pwritev_nowait = blocking_pwritev_nowait,
};
