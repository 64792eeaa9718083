/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: handed to librbd on the home worker, completed on librbd's threads.
 */
#include <config.h>

#include <errno.h>

#include "unit.h"

int crbd_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	(void)args;
	*queue_context = handle;
	return 0;
}

void crbd_queue_close(void *queue_context)
{
	(void)queue_context;
}

/* ---- Ends ----------------------------------------------------------------------------------------------------------
 */

static void leave(struct crbd_unit *unit)
{
	if (atomic_fetch_sub(&unit->in_flight, 1) != 1 || atomic_load(&unit->state) == CRBD_SERVING)
		return;
	pthread_mutex_lock(&unit->lock);
	pthread_cond_signal(&unit->is_idle);
	pthread_mutex_unlock(&unit->lock);
}

/* The unit may be closed as soon as the host knows. */
static void end(struct crbd_io *io, int status)
{
	struct crbd_unit *unit = io->unit;
	struct tgtkit_request *request = io->request;

	leave(unit);
	unit->host->complete(request, status);
}

static bool changes_data(const struct tgtkit_request *request)
{
	return request->operation != TGTKIT_READ && request->operation != TGTKIT_FLUSH;
}

/* What a client that has not got the image, or has it no more, answers.  Unless the cache holds writes back, those that
 * have completed are on the OSDs' disks, so that a flush has nothing to do and nothing to lose. */
static int status_without_image(const struct crbd_io *io)
{
	const bool covers = !(io->unit->capabilities.flags & TGTKIT_VOLATILE_CACHE);

	return io->request->operation == TGTKIT_FLUSH && covers ? 0 : -ESHUTDOWN;
}

/* In the terms of plugin.h, from what librbd returned. */
static int status_of(struct crbd_io *io, ssize_t result)
{
	const struct tgtkit_request *request = io->request;

	if (request->operation == TGTKIT_READ && result >= 0)
		/* The image has become shorter. */
		return (uint64_t)result == request->length ? 0 : -EIO;
	if (result >= 0)
		return 0;
	switch ((int)result) {
	case -ESHUTDOWN:
		crbd_cut_off(io->unit, "the cluster has this client on its blocklist");
		return status_without_image(io);
	case -EROFS:
		if (changes_data(request) && !io->unit->read_only) {
			crbd_cut_off(io->unit, "the image's lock is lost");
			return -ESHUTDOWN;
		}
		return -EROFS;
	case -EDQUOT: /* a pool's quota; -ENOSPC: an OSD is full */
		return -ENOSPC;
	case -EAGAIN:
	case -ENOENT:
		return -EIO;
	default:
		return (int)result;
	}
}

static void completed(rbd_completion_t completion, void *argument)
{
	struct crbd_io *io = argument;
	const ssize_t result = rbd_aio_get_return_value(completion);

	rbd_aio_release(completion);
	end(io, status_of(io, result));
}

/* ---- Starts --------------------------------------------------------------------------------------------------------
 */

static int count_vectors(struct crbd_io *io)
{
	const struct tgtkit_request *request = io->request;

	for (uint32_t i = 0; i < request->segment_count; i++)
		io->vectors[i] = (struct iovec){request->segments[i].address, request->segments[i].length};
	return (int)request->segment_count;
}

/* librbd's own discard leaves what is not a whole object, or a whole piece of one, as it was; this zeroes every byte.
 */
static int start_zero(struct crbd_io *io, rbd_completion_t completion)
{
	const struct tgtkit_request *request = io->request;
	const bool may_unmap = request->operation == TGTKIT_DISCARD || (request->flags & TGTKIT_REQUEST_MAY_UNMAP);

	return rbd_aio_write_zeroes(io->unit->image, request->offset, request->length, completion,
				    may_unmap ? 0 : RBD_WRITE_ZEROES_FLAG_THICK_PROVISION, 0);
}

static int start(struct crbd_io *io, rbd_completion_t completion)
{
	const struct tgtkit_request *request = io->request;
	rbd_image_t image = io->unit->image;

	switch (request->operation) {
	case TGTKIT_READ:
		return rbd_aio_readv(image, io->vectors, count_vectors(io), request->offset, completion);
	case TGTKIT_WRITE:
		return rbd_aio_writev(image, io->vectors, count_vectors(io), request->offset, completion);
	case TGTKIT_FLUSH:
		return rbd_aio_flush(image, completion);
	case TGTKIT_DISCARD:
	case TGTKIT_ZERO:
		return start_zero(io, completion);
	}
	return -EOPNOTSUPP;
}

int crbd_submit(void *queue_context, struct tgtkit_request *request)
{
	struct crbd_unit *unit = queue_context;
	struct crbd_io *io = request->scratch;
	rbd_completion_t completion;
	int status;

	io->unit = unit;
	io->request = request;
	atomic_fetch_add(&unit->in_flight, 1);
	if (atomic_load(&unit->state) != CRBD_SERVING) {
		end(io, status_without_image(io));
		return 0;
	}
	status = rbd_aio_create_completion(io, completed, &completion);
	if (status == 0) {
		status = start(io, completion);
		if (status < 0)
			rbd_aio_release(completion);
	}
	if (status < 0)
		end(io, status_of(io, status));
	return 0;
}
