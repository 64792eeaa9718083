/* SPDX-License-Identifier: Apache-2.0
 *
 * What the iSCSI layer keeps per worker: connections, recycled objects, the receive buffer.  Used on that worker only.
 */
#ifndef TGTKIT_ISCSI_WORKER_H
#define TGTKIT_ISCSI_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "iscsi/server.h"
#include "rt/slab.h"
#include "rt/worker.h"

/* Larger ones fall out of the CPU's cache and halve the throughput. */
#define ISCSI_RECEIVE_BUFFER_BYTES (128u << 10)
#define ISCSI_SEND_VECTOR_ENTRIES  512u

struct iscsi_worker {
	struct rt_worker *rt;
	struct rt_list connections;
	atomic_uint connection_count; /* any thread: a new connection goes where there are fewest */
	bool stopping, stop_reported;
	struct rt_timer stop_timer;
	struct rt_post stop;
	struct iscsi_directory *directory; /* the newest snapshot; a reference is held */
	struct rt_slab tasks, outputs;
	uint8_t *receive_buffer;
	struct iovec send_vector[ISCSI_SEND_VECTOR_ENTRIES];
};

struct iscsi_worker *iscsi_worker_get(unsigned index);
unsigned iscsi_worker_count(void);
/* Its last connection may have gone while the server stops. */
void iscsi_worker_check_stopped(struct iscsi_worker *worker);
const struct iscsi_server_options *iscsi_server_options(void);

#endif
