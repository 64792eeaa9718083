/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/buddy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_UNIT UINT32_MAX

/* Kept outside of the memory itself, so that free memory is never touched. */
struct rt_buddy_unit {
	uint32_t next, previous; /* free blocks of one order, by their first unit */
	uint8_t state;
};

/* States; a free block's is kept at its first unit.  Zero, so that a large table need not be written at creation. */
enum { NOT_A_FREE_BLOCK = 0, FREE_BLOCK_OF_ORDER_0 = 1, CACHED = 0x80 };

static uint32_t floor_log2(uint32_t value)
{
	return 31 - (uint32_t)__builtin_clz(value);
}

static uint32_t ceil_log2(uint32_t value)
{
	return value == 1 ? 0 : floor_log2(value - 1) + 1;
}

static void insert(struct rt_buddy *buddy, uint32_t first, uint32_t order)
{
	struct rt_buddy_unit *unit = &buddy->units[first];
	uint32_t next = buddy->first_free[order];

	*unit = (struct rt_buddy_unit){next, NO_UNIT, (uint8_t)(FREE_BLOCK_OF_ORDER_0 + order)};
	if (next != NO_UNIT)
		buddy->units[next].previous = first;
	buddy->first_free[order] = first;
	buddy->orders_with_free |= 1u << order;
}

static void remove_block(struct rt_buddy *buddy, uint32_t first, uint32_t order)
{
	struct rt_buddy_unit *unit = &buddy->units[first];

	if (unit->next != NO_UNIT)
		buddy->units[unit->next].previous = unit->previous;
	if (unit->previous != NO_UNIT)
		buddy->units[unit->previous].next = unit->next;
	else
		buddy->first_free[order] = unit->next;
	if (buddy->first_free[order] == NO_UNIT)
		buddy->orders_with_free &= ~(1u << order);
	unit->state = NOT_A_FREE_BLOCK;
}

int rt_buddy_init(struct rt_buddy *buddy, uint32_t count, uint32_t largest_order)
{
	const uint32_t block = 1u << largest_order;

	assert(largest_order <= RT_BUDDY_LARGEST_ORDER && count >= block && count % block == 0);
	memset(buddy, 0, sizeof(*buddy));
	memset(buddy->first_free, 0xff, sizeof(buddy->first_free));
	buddy->units = calloc(count, sizeof(*buddy->units));
	if (buddy->units == NULL)
		return -ENOMEM;
	buddy->count = count;
	buddy->largest_order = largest_order;
	/* Downwards, so that the lowest is handed out first. */
	for (uint32_t first = count; first > 0; first -= block)
		insert(buddy, first - block, largest_order);
	return 0;
}

void rt_buddy_destroy(struct rt_buddy *buddy)
{
	free(buddy->units);
	buddy->units = NULL;
}

/* The largest block that begins at `first` and lies within the next `count` units. */
static uint32_t order_at(const struct rt_buddy *buddy, uint32_t first, uint32_t count)
{
	uint32_t order = floor_log2(count);

	if (order > buddy->largest_order)
		order = buddy->largest_order;
	if (first != 0 && (uint32_t)__builtin_ctz(first) < order)
		order = (uint32_t)__builtin_ctz(first);
	return order;
}

static void merge(struct rt_buddy *buddy, uint32_t first, uint32_t order)
{
	assert(buddy->units[first].state == NOT_A_FREE_BLOCK);
	while (order < buddy->largest_order) {
		uint32_t other = first ^ (1u << order);

		if (buddy->units[other].state != FREE_BLOCK_OF_ORDER_0 + order)
			break;
		remove_block(buddy, other, order);
		first &= ~(1u << order);
		order++;
	}
	insert(buddy, first, order);
}

/* Lets the `count` units that were cached first go. */
static void flush_cache(struct rt_buddy *buddy, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		buddy->units[buddy->cached[i]].state = NOT_A_FREE_BLOCK;
		merge(buddy, buddy->cached[i], 0);
	}
	buddy->cached_count -= count;
	memmove(buddy->cached, buddy->cached + count, buddy->cached_count * sizeof(buddy->cached[0]));
}

static void cache(struct rt_buddy *buddy, uint32_t unit)
{
	assert(buddy->units[unit].state == NOT_A_FREE_BLOCK);
	if (buddy->cached_count == RT_BUDDY_CACHED_UNITS)
		flush_cache(buddy, RT_BUDDY_CACHED_UNITS / 2);
	buddy->units[unit].state = CACHED;
	buddy->cached[buddy->cached_count++] = unit;
}

/* The smallest free block that holds `wanted` units, else the largest that there is. */
static uint32_t choose_order(const struct rt_buddy *buddy, uint32_t wanted)
{
	uint32_t order = ceil_log2(wanted), sufficient = buddy->orders_with_free >> order << order;

	return sufficient != 0 ? (uint32_t)__builtin_ctz(sufficient) : floor_log2(buddy->orders_with_free);
}

/* `first` and `count` lie beside units in use, so there is nothing to merge with. */
static void insert_tail(struct rt_buddy *buddy, uint32_t first, uint32_t count)
{
	while (count > 0) {
		uint32_t order = order_at(buddy, first, count);

		insert(buddy, first, order);
		first += 1u << order;
		count -= 1u << order;
	}
}

static uint32_t take_run(struct rt_buddy *buddy, uint32_t wanted, uint32_t *first)
{
	uint32_t order = choose_order(buddy, wanted), block = 1u << order;
	uint32_t taken = wanted < block ? wanted : block;

	*first = buddy->first_free[order];
	remove_block(buddy, *first, order);
	insert_tail(buddy, *first + taken, block - taken);
	return taken;
}

uint32_t rt_buddy_take(struct rt_buddy *buddy, uint32_t wanted, uint32_t *first)
{
	if (wanted == 1 && buddy->cached_count > 0) {
		*first = buddy->cached[--buddy->cached_count];
		buddy->units[*first].state = NOT_A_FREE_BLOCK;
		return 1;
	}
	if (wanted > 1u << buddy->largest_order)
		wanted = 1u << buddy->largest_order;
	/* Merging what is cached may make the block that is missing. */
	if (buddy->orders_with_free >> ceil_log2(wanted) == 0)
		flush_cache(buddy, buddy->cached_count);
	if (buddy->orders_with_free == 0)
		return 0;
	return take_run(buddy, wanted, first);
}

void rt_buddy_give(struct rt_buddy *buddy, uint32_t first, uint32_t count)
{
	assert(first < buddy->count && count <= buddy->count - first);
	if (count == 1) {
		cache(buddy, first);
		return;
	}
	while (count > 0) {
		uint32_t order = order_at(buddy, first, count);

		merge(buddy, first, order);
		first += 1u << order;
		count -= 1u << order;
	}
}
