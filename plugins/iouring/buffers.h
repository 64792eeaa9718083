/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's data memory as registered buffers: the kernel then does not look up and pin the pages for each request.
 * Pinned memory is resident and counts against RLIMIT_MEMLOCK, so a piece is registered when it is first used; where
 * that is refused, requests go without.  All of it on the worker's own thread.
 */
#ifndef TGTKIT_PLUGINS_IOURING_BUFFERS_H
#define TGTKIT_PLUGINS_IOURING_BUFFERS_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

struct iouring_buffers {
	struct tgtkit_region region;
	unsigned piece_shift; /* all pieces but the last have 1 << piece_shift bytes */
	bool *is_registered;  /* by piece; NULL: no region, or not to be had */
	bool is_exhausted;    /* no more can be registered */
};

/* Chooses the region, once for the ring: the one that has memory. */
void iouring_buffers_open(struct iouring_buffers *buffers, struct io_uring *uring, const struct tgtkit_region *regions,
			  uint32_t region_count);
/* The registration ends with the ring. */
void iouring_buffers_close(struct iouring_buffers *buffers);

/* The index of the registered buffer that holds all of the memory, or -1. */
int iouring_buffers_find(struct iouring_buffers *buffers, struct io_uring *uring, const struct tgtkit_host *host,
			 const void *address, size_t length);

#endif
