/* SPDX-License-Identifier: Apache-2.0
 *
 * A caller's request that does not go to the plugin as it is: split to the plugin's limits, copied through aligned
 * memory, turned into other requests, followed by a flush.  It runs on the queue's worker, in steps: each submits one
 * or several requests, and the next begins when all of them have completed.
 */
#ifndef TGTKIT_STORE_OPERATION_H
#define TGTKIT_STORE_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "rt/memory.h"
#include "store/flush_gate.h"
#include "store/io.h"
#include "store/range_lock.h"

#define STORE_STEP_SEGMENTS 64u
#define STORE_STEP_REQUESTS 16u

/* A place in a list of segments, or in endless zeros. */
struct store_cursor {
	const struct tgtkit_segment *segments; /* NULL: zeros */
	uint32_t count, index;
	uint32_t offset; /* in the segment */
};

struct store_operation {
	struct store_request *request;
	struct tgtkit_queue *queue;
	uint32_t operation; /* that the plugin gets: may differ from the request's */
	uint32_t flags;
	bool flush_after;
	bool cancelled;
	int status;

	uint64_t done_bytes; /* of the request: completed or under way */
	struct store_cursor data;

	/* What is under way. */
	struct rt_list ios;
	unsigned outstanding;
	void (*next_step)(struct store_operation *self);
	struct tgtkit_segment segments[STORE_STEP_SEGMENTS];

	/* What it waits for, if anything. */
	enum { STORE_WAITS_NOT, STORE_WAITS_FOR_RANGE, STORE_WAITS_FOR_FLUSH, STORE_WAITS_FOR_MEMORY } waits_for;
	struct rt_post proceed;
	struct store_range range;
	bool holds_range;
	struct store_flush_wish flush;
	bool gated_flush;
	struct rt_memory_waiter memory_waiter;

	/* The copy in aligned memory of window_bytes from window_offset on; the request's part of it begins at
	 * window_skip. */
	struct rt_buffer bounce;
	void *contiguous;
	uint64_t window_offset;
	uint32_t window_bytes, window_skip, window_used_bytes;
	uint32_t window_done_bytes;
	bool window_is_read; /* from the store; else written to it */
	struct store_cursor window;
};

/* Begins.  The caller's request has been looked at: it needs what an operation does. */
void store_operation_start(struct tgtkit_queue *queue, struct store_request *request);
void store_operation_cancel(struct store_operation *operation);
/* From the completion of a request that belongs to an operation. */
void store_operation_io_completed(struct store_io *io, int status);

/* ---- For the steps -------------------------------------------------------------------------------------------------
 */

/* At the begin of a step: true if the operation has failed or was cancelled; it has ended then. */
bool store_operation_has_ended(struct store_operation *operation);
void store_operation_fail(struct store_operation *operation, int status);
/* Submits one request of this step, with the operation's flags if it changes anything. */
void store_operation_submit(struct store_operation *operation, uint32_t what, uint64_t offset, uint64_t length,
			    const struct tgtkit_segment *segments, uint32_t segment_count);
/* Submits as much of a READ or WRITE of `length` bytes at `offset` as fits the plugin and one step, in several
 * requests, and moves the cursor on.  Returns the bytes; 0: the memory or the range is not aligned. */
uint64_t store_operation_transfer(struct store_operation *operation, uint32_t what, uint64_t offset, uint64_t length,
				  struct store_cursor *cursor);
/* The next step of the request's data; when there is no more, what follows it. */
void store_operation_continue(struct store_operation *operation);
void store_cursor_advance(struct store_cursor *cursor, uint64_t bytes);
/* Does the next piece of the request's data by way of aligned memory, then continues. */
void store_bounce_start(struct store_operation *operation);
void store_bounce_free(struct store_operation *operation);

#endif
