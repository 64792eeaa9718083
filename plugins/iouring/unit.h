/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the plugin "iouring" share: an opened store, and its queue on a worker.
 */
#ifndef TGTKIT_PLUGINS_IOURING_UNIT_H
#define TGTKIT_PLUGINS_IOURING_UNIT_H

#include "common/posix_store.h"
#include "common/posix_sync.h"
#include "ring.h"

struct iouring_unit {
	struct posix_store store;
	/* That I/O goes through; the store's own, where /proc cannot give another.  The lock and the claim on the store
	 * are not its: io_uring may let go of a file later than it is closed. */
	int io_fd;
	struct posix_sync sync; /* on io_fd */
	uint32_t queue_depth;
};

struct iouring_queue {
	struct iouring_unit *unit;
	struct iouring_ring *ring;
	struct tgtkit_queue *host_queue;
	struct tgtkit_worker *worker;
	int slot; /* of io_fd in the ring, or -1 */
	uint32_t in_flight;
	struct iouring_waiter waiter; /* when a queue_ready is owed */
};

#endif
