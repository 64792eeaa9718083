/* SPDX-License-Identifier: Apache-2.0
 *
 * The data memory of one worker: pages of one mapped region, handed out as lists of segments, and the credit that keeps
 * back-pressure from deadlocking.  Worker-local: no locks, no atomics, no allocation after rt_memory_create.
 *
 * The pages are split into classes, each with a share of its own, so that a holder of one class can always wait for
 * another without a cycle.  The window class is credit: what peers may send unasked is reserved before they may.
 */
#ifndef TGTKIT_RT_MEMORY_H
#define TGTKIT_RT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <tgtkit/plugin.h>

#include "rt/list.h"

enum rt_memory_class {
	RT_MEMORY_WINDOW,    /* data that a session may send unasked; taken only out of a reservation */
	RT_MEMORY_SOLICITED, /* data asked for by R2T, or all of such a write; taken before the R2T goes out */
	RT_MEMORY_READ,	     /* data on its way to an initiator, parameter data */
	RT_MEMORY_BOUNCE,    /* copies inside core/store */
	RT_MEMORY_CLASSES,
};

#define RT_MEMORY_PAGE_BYTES	      4096u
#define RT_MEMORY_LARGEST_BLOCK_BYTES (1u << 20)
#define RT_BUFFER_MAXIMUM_SEGMENTS    32u

/* Data memory as a list of segments: each begins on a page, and all but the last are whole pages long.  A buffer may
 * be filled by several takes; the segments simply follow one another.  Zeroed, or cleared, means empty. */
struct rt_buffer {
	uint32_t segment_count;
	uint32_t length_bytes;
	uint32_t pages[RT_MEMORY_CLASSES]; /* held, by class */
	struct tgtkit_segment segments[RT_BUFFER_MAXIMUM_SEGMENTS];
};

/* Makes fresh memory an empty buffer; the segments, which are most of it, need no touch. */
static inline void rt_buffer_clear(struct rt_buffer *buffer)
{
	memset(buffer, 0, offsetof(struct rt_buffer, segments));
}

/* Waits until its class has room; first come, first served. */
struct rt_memory_waiter {
	/* Called once from the loop (RT_PHASE_COMPLETE) when an attempt is worth repeating: rt_memory_take_first, or
	 * rt_memory_reserve.  If that fails again, `room` calls rt_memory_wait again before it returns: the waiter then
	 * keeps its place at the front, and those behind it are not called before it has got what it wants (or gives
	 * up).  `room` may free the waiter. */
	void (*room)(struct rt_memory_waiter *self);
	/* private */
	struct rt_list node;
	bool waiting; /* zeroed means idle */
};

struct rt_memory;
struct rt_loop;

/* bytes: this worker's share of memory_limit, at least RT_MEMORY_MINIMUM_BYTES; of it 60 % go to WINDOW, 15 % to
 * SOLICITED, 15 % to READ and 10 % to BOUNCE.  Virtual memory: pages cost nothing before their first use.
 * region: what the segments carry as their region's index; the workers' own indices are. */
#define RT_MEMORY_MINIMUM_BYTES (16u << 20)
int rt_memory_create(struct rt_memory **memory, struct rt_loop *loop, uint32_t region, size_t bytes);
void rt_memory_destroy(struct rt_memory *memory); /* everything has been given back, nobody waits (asserted) */
struct tgtkit_region rt_memory_region(const struct rt_memory *memory); /* all of it */

/* The longest buffer (bytes, a power of two up to 16 MiB) that any class is sure to satisfy sooner or later; what the
 * SCSI layer states as maximum transfer length. */
uint32_t rt_memory_largest_transfer(size_t worker_bytes);

/* Credit of the WINDOW class, in bytes rounded up to pages.  What is reserved and what is taken stay within the share
 * together: a take uses credit up, and giving the pages back frees the share without renewing the credit.
 * false: not available now; rt_memory_wait(WINDOW) says when to try again. */
bool rt_memory_reserve(struct rt_memory *memory, size_t bytes);
void rt_memory_unreserve(struct rt_memory *memory, size_t bytes);

/* Appends `length` bytes to the buffer: first what is left of the buffer's last page, then new pages; what the take has
 * cost shows in buffer->pages.  Leaves the buffer alone on failure.
 * WINDOW: out of what is reserved (asserted).  Always succeeds for an empty buffer and up to 1 MiB, or as long as the
 * buffer stays within 16 pages, however fragmented the memory is: take at once what one command may send unasked.
 * Others: 0, -ENOMEM (others wait already, or no room now: use rt_memory_wait) or -E2BIG (with what the buffer holds it
 * would not fit an empty share, or not RT_BUFFER_MAXIMUM_SEGMENTS). */
int rt_memory_take(struct rt_memory *memory, enum rt_memory_class class, size_t length, struct rt_buffer *buffer);
/* The waiter's own retry from `room`: like take, but ahead of those that wait. */
int rt_memory_take_first(struct rt_memory *memory, enum rt_memory_class class, size_t length, struct rt_buffer *buffer);
/* Gives back all pages, wakes waiters; the buffer is empty afterwards.  Safe on an empty one. */
void rt_memory_give(struct rt_memory *memory, struct rt_buffer *buffer);
void rt_memory_wait(struct rt_memory *memory, enum rt_memory_class class, struct rt_memory_waiter *waiter);
bool rt_memory_is_waited_for(const struct rt_memory *memory, enum rt_memory_class class);
void rt_memory_cancel_wait(struct rt_memory *memory, struct rt_memory_waiter *waiter); /* safe on an idle one */

struct rt_memory_usage {
	size_t limit_bytes[RT_MEMORY_CLASSES], used_bytes[RT_MEMORY_CLASSES], reserved_bytes;
};
struct rt_memory_usage rt_memory_usage(const struct rt_memory *memory);
/* Any thread: all of the worker's share, in bytes. */
size_t rt_memory_limit(const struct rt_memory *memory);

/* Copies between a flat range and a segment list, `offset` bytes into the list.  The range must lie inside. */
void rt_segments_write(const struct tgtkit_segment *segments, uint32_t count, size_t offset, const void *from,
		       size_t length);
void rt_segments_read(const struct tgtkit_segment *segments, uint32_t count, size_t offset, void *to, size_t length);
void rt_segments_zero(const struct tgtkit_segment *segments, uint32_t count, size_t offset, size_t length);

#endif
