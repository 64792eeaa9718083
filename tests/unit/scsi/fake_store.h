/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in memory that stands in for core/store: completes through the loop, holds, delays, fails or hangs on
 * request.
 */
#ifndef TGTKIT_TESTS_UNIT_SCSI_FAKE_STORE_H
#define TGTKIT_TESTS_UNIT_SCSI_FAKE_STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "rt/list.h"
#include "store/store.h"

enum { FAKE_EVERY_OPERATION = 0, FAKE_OPERATIONS = 9 };

struct store {
	struct tgtkit_capabilities capabilities;
	uint64_t size_bytes; /* may be larger than what memory backs: sparse */
	uint8_t *memory;
	uint64_t memory_bytes;
	uint8_t *mapped; /* one byte per 512 bytes: written and not discarded since */
	pthread_mutex_t mutex;

	/* Set by tests. */
	uint32_t hold_operation; /* enum tgtkit_operation whose requests wait for fake_store_release; 0: none */
	bool hold_all, cancellable;
	uint32_t fail_operation; /* the next one of this operation fails with fail_status */
	int fail_status;

	/* Counted. */
	unsigned count[FAKE_OPERATIONS], stable_writes, cancels;
	unsigned under_way;
	struct rt_list held; /* struct fake_io.node */
};

struct store *fake_store_new(uint64_t size_bytes, uint32_t flags);
void fake_store_free(struct store *store);
/* Completes what is held, in order; later ones are not held. */
void fake_store_release(struct store *store);
/* Completes the oldest that is held. */
void fake_store_release_one(struct store *store);
unsigned fake_store_held(struct store *store);

#endif
