/* SPDX-License-Identifier: Apache-2.0
 *
 * An opened store, as the parts of core/store share it.  All of it is fixed when store_open returns, except what is
 * atomic or has a lock.
 */
#ifndef TGTKIT_STORE_HANDLE_H
#define TGTKIT_STORE_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#include "rt/log.h"
#include "rt/worker.h"
#include "store/blocking.h"
#include "store/flush_gate.h"
#include "store/limits.h"
#include "store/plugins.h"
#include "store/range_lock.h"

/* This is what plugins know as their unit. */
struct tgtkit_unit {
	char *name; /* "file:/srv/a.img" */
};

#define STORE_NO_WORKER UINT32_MAX

struct store {
	struct tgtkit_unit unit;
	const struct store_plugin *plugin;
	const struct tgtkit_plugin *descriptor;
	void *handle; /* of the plugin */
	struct tgtkit_capabilities capabilities;
	struct store_limits limits;
	uint32_t logical_block_bytes;
	void (*event)(void *context, enum tgtkit_event event);
	void (*open_takes)(void *context, uint64_t duration_us);
	void *event_context;

	_Atomic uint64_t size_bytes;
	atomic_bool has_failed;
	struct rt_log_limit log_limit; /* of what the plugin logs of the unit */
	/* With max_queues 1: the worker that submitted first, which saves it the way across. */
	_Atomic uint32_t home_worker;
	/* By worker; each is written by its worker only, and read by others only when that has been told to close it.
	 */
	_Atomic(struct tgtkit_queue *) queues[RT_MAXIMUM_WORKERS];

	struct store_blocking_unit blocking; /* blocking tier */
	struct store_range_lock ranges;	     /* with limits.read_modify_write */
	struct store_flush_gate flushes;     /* unless TGTKIT_RETAINS_DIRTY */
};

static inline bool store_can(const struct store *store, uint32_t flag)
{
	return (store->capabilities.flags & flag) != 0;
}

#endif
