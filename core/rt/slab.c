/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/slab.h"

#include <assert.h>
#include <stdlib.h>

#include "rt/bytes.h"
#include "rt/poison.h"

#define CACHE_LINE_BYTES 64u
#define CHUNK_BYTES	 65536u

/* What a free object holds. */
struct free_object {
	struct free_object *next;
};

void rt_slab_init(struct rt_slab *slab, size_t object_bytes)
{
	assert(object_bytes > 0);
	*slab = (struct rt_slab){.object_bytes = rt_round_up(object_bytes, CACHE_LINE_BYTES)};
}

void rt_slab_destroy(struct rt_slab *slab)
{
	assert(slab->objects_in_use == 0);
	for (size_t i = 0; i < slab->chunk_count; i++)
		free(slab->chunks[i]);
	free(slab->chunks);
	rt_slab_init(slab, slab->object_bytes);
}

/* The link is written while the object is whole; the rest of a free one is out of bounds. */
static void push(struct rt_slab *slab, void *memory)
{
	struct free_object *object = memory;

	object->next = slab->free;
	slab->free = object;
	rt_poison(memory, slab->object_bytes);
}

static void *add_chunk(struct rt_slab *slab)
{
	const size_t objects = slab->object_bytes < CHUNK_BYTES ? CHUNK_BYTES / slab->object_bytes : 1;
	void **chunks = reallocarray(slab->chunks, slab->chunk_count + 1, sizeof(*chunks));
	uint8_t *chunk;

	if (chunks == NULL)
		return NULL;
	slab->chunks = chunks;
	chunk = aligned_alloc(CACHE_LINE_BYTES, objects * slab->object_bytes);
	if (chunk == NULL)
		return NULL;
	slab->chunks[slab->chunk_count++] = chunk;
	for (size_t i = objects; i > 0; i--)
		push(slab, chunk + (i - 1) * slab->object_bytes);
	return chunk;
}

void *rt_slab_take(struct rt_slab *slab)
{
	struct free_object *object;

	if (slab->free == NULL && add_chunk(slab) == NULL)
		return NULL;
	object = slab->free;
	rt_unpoison(object, slab->object_bytes);
	slab->free = object->next;
	slab->objects_in_use++;
	return object;
}

void rt_slab_give(struct rt_slab *slab, void *object)
{
	assert(slab->objects_in_use > 0);
	slab->objects_in_use--;
	push(slab, object);
}
