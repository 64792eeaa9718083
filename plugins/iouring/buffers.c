/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "buffers.h"

/* Pinning one is a matter of a hundred microseconds. */
#define SMALLEST_PIECE_SHIFT 21
/* What the kernel lets one register. */
#define MOST_PIECES	    16384u
#define LARGEST_PIECE_SHIFT 30

static size_t piece_count(const struct iouring_buffers *buffers)
{
	return ((buffers->region.length - 1) >> buffers->piece_shift) + 1;
}

void iouring_buffers_open(struct iouring_buffers *buffers, struct io_uring *uring, const struct tgtkit_region *regions,
			  uint32_t region_count)
{
	if (buffers->region.length != 0)
		return;
	for (uint32_t i = 0; i < region_count && buffers->region.length == 0; i++)
		buffers->region = regions[i];
	if (buffers->region.length == 0)
		return;
	buffers->piece_shift = SMALLEST_PIECE_SHIFT;
	while (piece_count(buffers) > MOST_PIECES)
		buffers->piece_shift++;
	if (buffers->piece_shift > LARGEST_PIECE_SHIFT ||
	    io_uring_register_buffers_sparse(uring, (unsigned)piece_count(buffers)) != 0)
		return;
	buffers->is_registered = calloc(piece_count(buffers), sizeof(*buffers->is_registered));
}

void iouring_buffers_close(struct iouring_buffers *buffers)
{
	free(buffers->is_registered);
}

static void say_once(const struct tgtkit_host *host, int status)
{
	static atomic_bool has_said;

	if (!atomic_exchange(&has_said, true))
		host->log(
		    NULL, TGTKIT_LOG_INFO,
		    "iouring: not all data memory can be registered with io_uring (%s); that works, and costs some "
		    "processor time: raise the limit of locked memory (ulimit -l, LimitMEMLOCK) to save it",
		    strerror(-status));
}

static bool register_piece(struct iouring_buffers *buffers, struct io_uring *uring, const struct tgtkit_host *host,
			   size_t piece)
{
	const size_t start = piece << buffers->piece_shift, left = buffers->region.length - start;
	const size_t bytes = (size_t)1 << buffers->piece_shift;
	const struct iovec memory = {.iov_base = (char *)buffers->region.address + start,
				     .iov_len = left < bytes ? left : bytes};
	int status = io_uring_register_buffers_update_tag(uring, (unsigned)piece, &memory, NULL, 1);

	buffers->is_registered[piece] = status == 1;
	buffers->is_exhausted = status != 1;
	if (status < 0)
		say_once(host, status);
	return buffers->is_registered[piece];
}

int iouring_buffers_find(struct iouring_buffers *buffers, struct io_uring *uring, const struct tgtkit_host *host,
			 const void *address, size_t length)
{
	const size_t offset = (uintptr_t)address - (uintptr_t)buffers->region.address;
	const size_t piece = offset >> buffers->piece_shift;

	/* Memory below the region wraps around to far above it. */
	if (buffers->is_registered == NULL || length == 0 || offset >= buffers->region.length ||
	    length > buffers->region.length - offset || (offset + length - 1) >> buffers->piece_shift != piece)
		return -1;
	if (buffers->is_registered[piece])
		return (int)piece;
	return !buffers->is_exhausted && register_piece(buffers, uring, host, piece) ? (int)piece : -1;
}
