/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "common/posix_error.h"
#include "common/posix_range.h"
#include "operation.h"

/* ---- On the pool: what the ring cannot do, or only in several steps
 * ----------------------------------------------------- */

static void run_range(struct tgtkit_work *work)
{
	struct iouring_operation *operation = iouring_operation_at_work(work);
	struct iouring_unit *unit = operation->queue->unit;
	const struct tgtkit_request *request = operation->request;
	int status;

	if (request->operation == TGTKIT_DISCARD)
		status = posix_range_discard(&unit->store, request->offset, request->length);
	else
		status = posix_range_zero(&unit->store, request->offset, request->length,
					  request->flags & TGTKIT_REQUEST_MAY_UNMAP);
	if (status == 0 && operation->flush_after)
		status = posix_store_flush(&unit->store, &unit->sync);
	iouring_end(operation, status);
}

static void run_extents(struct tgtkit_work *work)
{
	struct iouring_operation *operation = iouring_operation_at_work(work);
	struct tgtkit_request *request = operation->request;

	iouring_end(operation,
		    posix_range_extents(&operation->queue->unit->store, request->offset, request->length,
					request->extents, request->extents_capacity, &request->extents_count));
}

void iouring_extents_start(struct iouring_operation *operation)
{
	iouring_offload(operation, run_extents);
}

/* ---- In the ring
 * -------------------------------------------------------------------------------------------------------- */

static int mode_of(const struct tgtkit_request *request)
{
	const bool may_unmap = request->operation == TGTKIT_DISCARD || (request->flags & TGTKIT_REQUEST_MAY_UNMAP);

	return FALLOC_FL_KEEP_SIZE | (may_unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

static void prepare(struct iouring_entry *entry, struct io_uring_sqe *sqe)
{
	struct iouring_operation *operation = iouring_operation_of(entry);
	const struct tgtkit_request *request = operation->request;

	io_uring_prep_fallocate(sqe, -1, mode_of(request), (off_t)request->offset, (off_t)request->length);
	iouring_set_file(operation, sqe);
}

static void completed(struct iouring_entry *entry, int result)
{
	struct iouring_operation *operation = iouring_operation_of(entry);

	if (result == -EINTR && operation->is_cancelled)
		iouring_end(operation, -ECANCELED);
	else if (result == -EINTR)
		iouring_push(operation, prepare, completed);
	else if (result == -EOPNOTSUPP)
		iouring_offload(operation, run_range);
	else
		iouring_change_ended(operation, result == 0 ? 0 : posix_io_status(-result));
}

void iouring_range_start(struct iouring_operation *operation)
{
	operation->flush_after = operation->request->flags & TGTKIT_REQUEST_FUA;
	/* A device's discard is no fallocate, and its page cache is dropped for zeroing only by whoever has claimed it.
	 */
	if (operation->queue->unit->store.is_block_device)
		iouring_offload(operation, run_range);
	else
		iouring_push(operation, prepare, completed);
}
