/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>

#include "common/posix_error.h"
#include "operation.h"

static bool is_read(const struct iouring_operation *operation)
{
	return operation->request->operation == TGTKIT_READ;
}

/* ---- One system call ------------------------------------------------------------------------------------------------
 */

static void prepare_one(const struct iouring_operation *operation, struct io_uring_sqe *sqe)
{
	const struct iovec *piece = &operation->pieces[operation->piece_first];
	const unsigned length = (unsigned)piece->iov_len;

	if (operation->buffer >= 0 && is_read(operation))
		io_uring_prep_read_fixed(sqe, -1, piece->iov_base, length, operation->offset, operation->buffer);
	else if (operation->buffer >= 0)
		io_uring_prep_write_fixed(sqe, -1, piece->iov_base, length, operation->offset, operation->buffer);
	else if (is_read(operation))
		io_uring_prep_read(sqe, -1, piece->iov_base, length, operation->offset);
	else
		io_uring_prep_write(sqe, -1, piece->iov_base, length, operation->offset);
}

static void prepare(struct iouring_entry *entry, struct io_uring_sqe *sqe)
{
	struct iouring_operation *operation = iouring_operation_of(entry);
	const struct iovec *pieces = &operation->pieces[operation->piece_first];

	if (operation->piece_count == 1)
		prepare_one(operation, sqe);
	else if (is_read(operation))
		io_uring_prep_readv(sqe, -1, pieces, operation->piece_count, operation->offset);
	else
		io_uring_prep_writev(sqe, -1, pieces, operation->piece_count, operation->offset);
	if (operation->stable_fd >= 0) {
		sqe->fd = operation->stable_fd;
		sqe->rw_flags = RWF_DSYNC;
	} else {
		iouring_set_file(operation, sqe);
	}
	if (operation->may_wait)
		sqe->flags |= IOSQE_ASYNC;
}

/* ---- Its result -----------------------------------------------------------------------------------------------------
 */

/* false: nothing is left. */
static bool advance(struct iouring_operation *operation, size_t bytes)
{
	operation->offset += bytes;
	while (operation->piece_count > 0 && bytes >= operation->pieces[operation->piece_first].iov_len) {
		bytes -= operation->pieces[operation->piece_first].iov_len;
		operation->piece_first++;
		operation->piece_count--;
	}
	if (operation->piece_count == 0)
		return false;
	operation->pieces[operation->piece_first].iov_base =
	    (char *)operation->pieces[operation->piece_first].iov_base + bytes;
	operation->pieces[operation->piece_first].iov_len -= bytes;
	return true;
}

static void write_unstable(struct iouring_operation *operation);
static void completed(struct iouring_entry *entry, int result);

static void handle_error(struct iouring_operation *operation, int result)
{
	/* The kernel tries again by itself where it can; what gets through is for a thread that may wait. */
	const bool would_wait = result == -EAGAIN && !operation->may_wait;

	if (operation->is_cancelled && (result == -EINTR || would_wait)) {
		iouring_end(operation, -ECANCELED);
	} else if (result == -EINTR || would_wait) {
		operation->may_wait = operation->may_wait || would_wait;
		iouring_push(operation, prepare, completed);
	} else if (result == -EOPNOTSUPP && operation->stable_fd >= 0) {
		atomic_store_explicit(&operation->queue->unit->sync.dsync_refused, true, memory_order_relaxed);
		write_unstable(operation);
	} else {
		iouring_end(operation, posix_io_status(-result));
	}
}

static void completed(struct iouring_entry *entry, int result)
{
	struct iouring_operation *operation = iouring_operation_of(entry);
	struct posix_store *store = &operation->queue->unit->store;

	if (__builtin_expect(result < 0, 0))
		handle_error(operation, result);
	else if (__builtin_expect(!advance(operation, (size_t)result), 1))
		iouring_change_ended(operation, 0);
	else if (is_read(operation) && posix_store_read_ended(store, (uint64_t)result))
		iouring_end(operation, posix_store_cut_short(store, operation->offset));
	else if (result == 0)
		iouring_end(operation, -EIO);
	else
		iouring_push(operation, prepare, completed);
}

/* ---- A write that syncs itself
 * ---------------------------------------------------------------------------------------- */

static void write_unstable(struct iouring_operation *operation)
{
	if (operation->stable_fd >= 0)
		posix_sync_return(&operation->queue->unit->sync, operation->stable_fd);
	operation->stable_fd = -1;
	operation->flush_after = true;
	iouring_push(operation, prepare, completed);
}

static void borrowed(struct tgtkit_work *work)
{
	struct iouring_operation *operation = iouring_operation_at_work(work);

	operation->place = IOURING_IN_RING;
	if (operation->stable_fd < 0)
		write_unstable(operation);
	else
		iouring_push(operation, prepare, completed);
	iouring_ring_commit(operation->queue->ring);
}

/* On the pool: opening a file may take its time. */
static void borrow(struct tgtkit_work *work)
{
	struct iouring_operation *operation = iouring_operation_at_work(work);

	operation->stable_fd = posix_sync_borrow(&operation->queue->unit->sync);
	work->run = borrowed;
	operation->queue->unit->store.host->post(operation->queue->worker, work);
}

static void write_stable(struct iouring_operation *operation)
{
	struct posix_sync *sync = &operation->queue->unit->sync;
	bool may_open;

	if (atomic_load_explicit(&sync->dsync_refused, memory_order_relaxed)) {
		write_unstable(operation);
		return;
	}
	operation->stable_fd = posix_sync_borrow_spare(sync, &may_open);
	if (operation->stable_fd >= 0)
		iouring_push(operation, prepare, completed);
	else if (may_open)
		iouring_offload(operation, borrow);
	else
		write_unstable(operation);
}

/* ---- Start
 * ------------------------------------------------------------------------------------------------------------ */

static int registered_buffer(const struct iouring_operation *operation)
{
	struct iouring_ring *ring = operation->queue->ring;
	const struct tgtkit_segment *segment = operation->request->segments;

	if (operation->request->segment_count != 1 || segment->region == TGTKIT_NO_REGION)
		return -1;
	return iouring_buffers_find(&ring->buffers, &ring->uring, ring->host, segment->address, segment->length);
}

void iouring_transfer_start(struct iouring_operation *operation)
{
	const struct tgtkit_request *request = operation->request;

	operation->offset = request->offset;
	operation->piece_first = 0;
	operation->piece_count = request->segment_count;
	for (uint32_t i = 0; i < request->segment_count; i++)
		operation->pieces[i] =
		    (struct iovec){.iov_base = request->segments[i].address, .iov_len = request->segments[i].length};
	operation->buffer = registered_buffer(operation);
	if (!is_read(operation) && (request->flags & TGTKIT_REQUEST_FUA))
		write_stable(operation);
	else
		iouring_push(operation, prepare, completed);
}
