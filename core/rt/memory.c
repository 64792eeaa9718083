/* SPDX-License-Identifier: Apache-2.0
 *
 * Every class has an arena of its own, as large as its share: a class that drains is whole again, whatever the others
 * do, so whoever waits at the front of a class is served sooner or later.
 *
 * WINDOW must never wait and has two arenas of the full share each: the first gives single pages and short runs, the
 * second gives 64 KiB and multiples.  At the worst fragmentation 16 pages are 16 segments, and 1 MiB (less a page) is
 * 15 segments of 64 KiB and 15 of a page.
 */
#include "rt/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "rt/buddy.h"
#include "rt/bytes.h"
#include "rt/loop.h"
#include "rt/poison.h"

#define LARGE_UNIT_PAGES    16u
#define LARGEST_BLOCK_PAGES (RT_MEMORY_LARGEST_BLOCK_BYTES / RT_MEMORY_PAGE_BYTES)
#define LARGEST_BUFFER	    (RT_BUFFER_MAXIMUM_SEGMENTS * RT_MEMORY_LARGEST_BLOCK_BYTES)
#define LARGEST_TRANSFER    (16u << 20)

/* The first ones are those of the classes, by their numbers. */
enum { WINDOW_LARGE = RT_MEMORY_CLASSES, ARENAS };

static const unsigned share_percent[RT_MEMORY_CLASSES] = {
    [RT_MEMORY_WINDOW] = 60,
    [RT_MEMORY_SOLICITED] = 15,
    [RT_MEMORY_READ] = 15,
    [RT_MEMORY_BOUNCE] = 10,
};

struct arena {
	struct rt_buddy buddy;
	uint8_t *base;
	uint32_t unit_pages;
};

/* Of RT_MEMORY_LARGEST_BLOCK_BYTES. */
struct block {
	uint8_t arena;
	bool was_given_back;
};

struct share {
	uint32_t limit_pages, used_pages;
	struct rt_list waiters;
	struct rt_memory_waiter *asked; /* its `room` runs */
	bool asked_waits_again;
	bool has_gained; /* pages since the waiters were asked */
};

struct rt_memory {
	struct rt_loop *loop;
	uint32_t reserved_pages;
	struct share shares[RT_MEMORY_CLASSES];
	struct rt_deferred wake;
	struct arena arenas[ARENAS];
	uint8_t *base;
	size_t region_bytes;
	uint32_t region;
	struct block *blocks; /* by number in the region */
};

static uint32_t pages_of(size_t bytes)
{
	return (uint32_t)((bytes + RT_MEMORY_PAGE_BYTES - 1) / RT_MEMORY_PAGE_BYTES);
}

/* ---- Creation ------------------------------------------------------------------------------------------------- */

static size_t share_bytes(size_t worker_bytes, enum rt_memory_class class)
{
	return rt_round_down(worker_bytes * share_percent[class] / 100, RT_MEMORY_PAGE_BYTES);
}

uint32_t rt_memory_largest_transfer(size_t worker_bytes)
{
	uint32_t largest = LARGEST_TRANSFER;

	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class)
		while (largest > share_bytes(worker_bytes, class))
			largest /= 2;
	return largest;
}

static enum rt_memory_class class_of_arena(unsigned arena)
{
	return arena == WINDOW_LARGE ? RT_MEMORY_WINDOW : (enum rt_memory_class)arena;
}

static uint32_t arena_blocks(const struct rt_memory *memory, unsigned arena)
{
	uint32_t pages = memory->shares[class_of_arena(arena)].limit_pages;

	return (pages + LARGEST_BLOCK_PAGES - 1) / LARGEST_BLOCK_PAGES;
}

static int map_region(struct rt_memory *memory)
{
	uint32_t blocks = 0;

	for (unsigned arena = 0; arena < ARENAS; arena++)
		blocks += arena_blocks(memory, arena);
	memory->blocks = calloc(blocks, sizeof(*memory->blocks));
	if (memory->blocks == NULL)
		return -ENOMEM;
	memory->region_bytes = (size_t)blocks * RT_MEMORY_LARGEST_BLOCK_BYTES;
	memory->base = mmap(NULL, memory->region_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->base == MAP_FAILED) {
		memory->base = NULL;
		return -errno;
	}
	return 0;
}

static int create_arenas(struct rt_memory *memory)
{
	uint32_t first_block = 0;

	for (unsigned i = 0; i < ARENAS; i++) {
		struct arena *arena = &memory->arenas[i];
		uint32_t blocks = arena_blocks(memory, i), block_units;
		int status;

		arena->base = memory->base + (size_t)first_block * RT_MEMORY_LARGEST_BLOCK_BYTES;
		arena->unit_pages = i == WINDOW_LARGE ? LARGE_UNIT_PAGES : 1;
		block_units = LARGEST_BLOCK_PAGES / arena->unit_pages;
		status = rt_buddy_init(&arena->buddy, blocks * block_units, (uint32_t)__builtin_ctz(block_units));
		if (status < 0)
			return status;
		for (uint32_t block = 0; block < blocks; block++)
			memory->blocks[first_block++].arena = (uint8_t)i;
	}
	return 0;
}

static void ask_waiters(struct rt_deferred *self);

int rt_memory_create(struct rt_memory **memory, struct rt_loop *loop, uint32_t region, size_t bytes)
{
	struct rt_memory *created;
	int status;

	if (bytes < RT_MEMORY_MINIMUM_BYTES || bytes / RT_MEMORY_PAGE_BYTES > UINT32_MAX / 4)
		return -EINVAL;
	created = calloc(1, sizeof(*created));
	if (created == NULL)
		return -ENOMEM;
	created->loop = loop;
	created->region = region;
	created->wake.run = ask_waiters;
	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class) {
		created->shares[class].limit_pages = pages_of(share_bytes(bytes, class));
		rt_list_init(&created->shares[class].waiters);
	}
	status = map_region(created);
	if (status == 0)
		status = create_arenas(created);
	if (status < 0) {
		rt_memory_destroy(created);
		return status;
	}
	*memory = created;
	return 0;
}

/* Whoever gets the addresses next finds nothing poisoned.  Blocks that were never used are left alone: to touch the
 * shadow of a whole region would take longer than all else that a short-lived process does. */
static void unmap_region(struct rt_memory *memory)
{
	for (size_t i = 0; i < memory->region_bytes / RT_MEMORY_LARGEST_BLOCK_BYTES; i++)
		if (memory->blocks[i].was_given_back)
			rt_unpoison(memory->base + i * RT_MEMORY_LARGEST_BLOCK_BYTES, RT_MEMORY_LARGEST_BLOCK_BYTES);
	munmap(memory->base, memory->region_bytes);
}

void rt_memory_destroy(struct rt_memory *memory)
{
	if (memory == NULL)
		return;
	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class)
		assert(memory->shares[class].used_pages == 0 && rt_list_is_empty(&memory->shares[class].waiters));
	rt_deferred_cancel(&memory->wake);
	for (unsigned i = 0; i < ARENAS; i++)
		rt_buddy_destroy(&memory->arenas[i].buddy);
	if (memory->base != NULL)
		unmap_region(memory);
	free(memory->blocks);
	free(memory);
}

struct tgtkit_region rt_memory_region(const struct rt_memory *memory)
{
	return (struct tgtkit_region){memory->base, memory->region_bytes};
}

struct rt_memory_usage rt_memory_usage(const struct rt_memory *memory)
{
	struct rt_memory_usage usage;

	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class) {
		const struct share *share = &memory->shares[class];

		usage.limit_bytes[class] = (size_t)share->limit_pages * RT_MEMORY_PAGE_BYTES;
		usage.used_bytes[class] = (size_t)share->used_pages * RT_MEMORY_PAGE_BYTES;
	}
	usage.reserved_bytes = (size_t)memory->reserved_pages * RT_MEMORY_PAGE_BYTES;
	return usage;
}

size_t rt_memory_limit(const struct rt_memory *memory)
{
	size_t pages = 0;

	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class)
		pages += memory->shares[class].limit_pages;
	return pages * RT_MEMORY_PAGE_BYTES;
}

/* ---- Waiters -------------------------------------------------------------------------------------------------- */

static void has_room(struct rt_memory *memory, struct share *share)
{
	if (rt_list_is_empty(&share->waiters) && share->asked == NULL)
		return;
	share->has_gained = true;
	rt_loop_defer(memory->loop, RT_PHASE_COMPLETE, &memory->wake);
}

static uint32_t claimed_pages(const struct rt_memory *memory, const struct share *share)
{
	return share->used_pages + (share == &memory->shares[RT_MEMORY_WINDOW] ? memory->reserved_pages : 0);
}

/* Whether the first in the queue got what it waits for, or gave up. */
static bool ask_first(struct rt_memory *memory, struct share *share)
{
	struct rt_list *node = rt_list_take_first(&share->waiters);
	struct rt_memory_waiter *waiter = RT_CONTAINER_OF(node, struct rt_memory_waiter, node);
	uint32_t claimed_before = claimed_pages(memory, share);

	waiter->waiting = false;
	share->asked = waiter;
	share->asked_waits_again = false;
	waiter->room(waiter); /* may free it */
	share->asked = NULL;
	if (!share->asked_waits_again)
		return true;
	/* An attempt that took something and gave it back again is no news: asking again would never end. */
	if (claimed_pages(memory, share) >= claimed_before)
		share->has_gained = false;
	return false;
}

static void ask_waiters(struct rt_deferred *self)
{
	struct rt_memory *memory = RT_CONTAINER_OF(self, struct rt_memory, wake);

	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class) {
		struct share *share = &memory->shares[class];

		if (!share->has_gained)
			continue;
		share->has_gained = false;
		while (!rt_list_is_empty(&share->waiters))
			if (!ask_first(memory, share))
				break;
	}
}

void rt_memory_wait(struct rt_memory *memory, enum rt_memory_class class, struct rt_memory_waiter *waiter)
{
	struct share *share = &memory->shares[class];

	assert(!waiter->waiting);
	waiter->waiting = true;
	if (share->asked == waiter) {
		share->asked_waits_again = true;
		rt_list_prepend(&share->waiters, &waiter->node);
	} else {
		rt_list_append(&share->waiters, &waiter->node);
	}
}

bool rt_memory_is_waited_for(const struct rt_memory *memory, enum rt_memory_class class)
{
	return !rt_list_is_empty(&memory->shares[class].waiters);
}

void rt_memory_cancel_wait(struct rt_memory *memory, struct rt_memory_waiter *waiter)
{
	if (!waiter->waiting)
		return;
	waiter->waiting = false;
	rt_list_remove(&waiter->node);
	/* It may have been what the next one waited behind. */
	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class)
		has_room(memory, &memory->shares[class]);
}

/* ---- Pages ---------------------------------------------------------------------------------------------------- */

static void give_segment(struct rt_memory *memory, const struct tgtkit_segment *segment)
{
	uint8_t *address = segment->address;
	struct block *block = &memory->blocks[(size_t)(address - memory->base) / RT_MEMORY_LARGEST_BLOCK_BYTES];
	struct arena *arena = &memory->arenas[block->arena];
	uint32_t first_page = (uint32_t)((size_t)(address - arena->base) / RT_MEMORY_PAGE_BYTES);
	uint32_t pages = pages_of(segment->length);

	block->was_given_back = true;
	rt_poison(address, (size_t)pages * RT_MEMORY_PAGE_BYTES);
	rt_buddy_give(&arena->buddy, first_page / arena->unit_pages, pages / arena->unit_pages);
}

/* Appends whole pages.  false: the buffer has no segments left. */
static bool append_pages(struct arena *arena, uint32_t pages, uint32_t region, struct rt_buffer *buffer)
{
	uint32_t units = pages / arena->unit_pages;

	while (units > 0) {
		uint32_t first, taken, bytes;
		uint8_t *address;

		if (buffer->segment_count == RT_BUFFER_MAXIMUM_SEGMENTS)
			return false;
		taken = rt_buddy_take(&arena->buddy, units, &first);
		assert(taken > 0); /* the share is never larger than the arena */
		units -= taken;
		bytes = taken * arena->unit_pages * RT_MEMORY_PAGE_BYTES;
		address = arena->base + (size_t)first * arena->unit_pages * RT_MEMORY_PAGE_BYTES;
		rt_unpoison(address, bytes);
		buffer->segments[buffer->segment_count++] = (struct tgtkit_segment){address, bytes, region};
	}
	return true;
}

static bool append_by_class(struct rt_memory *memory, enum rt_memory_class class, uint32_t pages,
			    struct rt_buffer *buffer)
{
	if (class == RT_MEMORY_WINDOW && pages > LARGE_UNIT_PAGES) {
		uint32_t large = pages - pages % LARGE_UNIT_PAGES;

		if (!append_pages(&memory->arenas[WINDOW_LARGE], large, memory->region, buffer))
			return false;
		pages -= large;
	}
	return append_pages(&memory->arenas[class], pages, memory->region, buffer);
}

/* The new segments must hold `length` bytes, or the buffer stays as it was. */
static int append_bytes(struct rt_memory *memory, enum rt_memory_class class, uint32_t length, struct rt_buffer *buffer)
{
	uint32_t count_before = buffer->segment_count, pages = pages_of(length);

	if (!append_by_class(memory, class, pages, buffer)) {
		while (buffer->segment_count > count_before)
			give_segment(memory, &buffer->segments[--buffer->segment_count]);
		return -ENOMEM;
	}
	buffer->segments[buffer->segment_count - 1].length -= pages * RT_MEMORY_PAGE_BYTES - length;
	return 0;
}

/* What an empty share could not satisfy either. */
static bool is_too_big(const struct share *share, enum rt_memory_class class, uint32_t pages,
		       const struct rt_buffer *buffer)
{
	uint32_t blocks = (pages + LARGEST_BLOCK_PAGES - 1) / LARGEST_BLOCK_PAGES;

	return pages > share->limit_pages - buffer->pages[class] ||
	       blocks > RT_BUFFER_MAXIMUM_SEGMENTS - buffer->segment_count;
}

/* Whether the class lets that many pages go now; `first`: ahead of those that wait. */
static int check_share(const struct rt_memory *memory, enum rt_memory_class class, uint32_t pages,
		       const struct rt_buffer *buffer, bool first)
{
	const struct share *share = &memory->shares[class];

	if (class == RT_MEMORY_WINDOW) {
		assert(pages <= memory->reserved_pages);
		return 0;
	}
	if (is_too_big(share, class, pages, buffer))
		return -E2BIG;
	if (!first && !rt_list_is_empty(&share->waiters))
		return -ENOMEM;
	return pages <= share->limit_pages - share->used_pages ? 0 : -ENOMEM;
}

static int take_pages(struct rt_memory *memory, enum rt_memory_class class, uint32_t length, struct rt_buffer *buffer,
		      bool first)
{
	const uint32_t pages = pages_of(length);
	int status = check_share(memory, class, pages, buffer, first);

	if (status == 0)
		status = append_bytes(memory, class, length, buffer);
	if (status < 0)
		return status;
	memory->shares[class].used_pages += pages;
	buffer->pages[class] += pages;
	if (class == RT_MEMORY_WINDOW)
		memory->reserved_pages -= pages;
	return 0;
}

static int take(struct rt_memory *memory, enum rt_memory_class class, size_t length, struct rt_buffer *buffer,
		bool first)
{
	const uint32_t rest_of_page = -buffer->length_bytes % RT_MEMORY_PAGE_BYTES, last = buffer->segment_count - 1;
	const uint32_t in_last_page = length < rest_of_page ? (uint32_t)length : rest_of_page;

	if (length > LARGEST_BUFFER)
		return -E2BIG;
	if (length > in_last_page) {
		int status = take_pages(memory, class, (uint32_t)length - in_last_page, buffer, first);

		if (status < 0)
			return status;
	}
	if (in_last_page > 0)
		buffer->segments[last].length += in_last_page;
	buffer->length_bytes += (uint32_t)length;
	return 0;
}

int rt_memory_take(struct rt_memory *memory, enum rt_memory_class class, size_t length, struct rt_buffer *buffer)
{
	return take(memory, class, length, buffer, false);
}

int rt_memory_take_first(struct rt_memory *memory, enum rt_memory_class class, size_t length, struct rt_buffer *buffer)
{
	return take(memory, class, length, buffer, true);
}

void rt_memory_give(struct rt_memory *memory, struct rt_buffer *buffer)
{
	for (uint32_t i = 0; i < buffer->segment_count; i++)
		give_segment(memory, &buffer->segments[i]);
	buffer->segment_count = 0;
	buffer->length_bytes = 0;
	for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class) {
		if (buffer->pages[class] == 0)
			continue;
		memory->shares[class].used_pages -= buffer->pages[class];
		buffer->pages[class] = 0;
		has_room(memory, &memory->shares[class]);
	}
}

/* ---- Credit --------------------------------------------------------------------------------------------------- */

bool rt_memory_reserve(struct rt_memory *memory, size_t bytes)
{
	const struct share *share = &memory->shares[RT_MEMORY_WINDOW];
	uint32_t claimed = claimed_pages(memory, share);

	if (bytes > (size_t)(share->limit_pages - claimed) * RT_MEMORY_PAGE_BYTES)
		return false;
	memory->reserved_pages += pages_of(bytes);
	return true;
}

void rt_memory_unreserve(struct rt_memory *memory, size_t bytes)
{
	uint32_t pages = pages_of(bytes);

	assert(pages <= memory->reserved_pages);
	memory->reserved_pages -= pages;
	has_room(memory, &memory->shares[RT_MEMORY_WINDOW]);
}
