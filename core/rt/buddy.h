/* SPDX-License-Identifier: Apache-2.0
 *
 * A buddy allocator of unit numbers 0 to count-1 (a unit: a page, or a fixed number of pages).  Knows numbers only and
 * never touches the memory that they stand for.  What was given back last is handed out first, because it is still in
 * the CPU's cache.
 */
#ifndef TGTKIT_RT_BUDDY_H
#define TGTKIT_RT_BUDDY_H

#include <stdbool.h>
#include <stdint.h>

#define RT_BUDDY_LARGEST_ORDER 8u
#define RT_BUDDY_CACHED_UNITS  64u

struct rt_buddy {
	uint32_t largest_order;
	uint32_t orders_with_free; /* bit n: there is a free block of 2^n units */
	uint32_t cached_count;
	uint32_t cached[RT_BUDDY_CACHED_UNITS]; /* single units, kept from merging */
	uint32_t first_free[RT_BUDDY_LARGEST_ORDER + 1];
	struct rt_buddy_unit *units;
	uint32_t count;
};

/* count: a multiple of 2^largest_order.  0 or -ENOMEM. */
int rt_buddy_init(struct rt_buddy *buddy, uint32_t count, uint32_t largest_order);
void rt_buddy_destroy(struct rt_buddy *buddy);
/* Takes the longest run that there is, up to `wanted` units and 2^largest_order.  Its length; 0: nothing is free. */
uint32_t rt_buddy_take(struct rt_buddy *buddy, uint32_t wanted, uint32_t *first);
/* The run, or any part of one.  Giving back what is free is asserted against. */
void rt_buddy_give(struct rt_buddy *buddy, uint32_t first, uint32_t count);

#endif
