/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of one size, recycled: allocates in chunks, so that steady state does not allocate.  One thread only.
 */
#ifndef TGTKIT_RT_SLAB_H
#define TGTKIT_RT_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct rt_slab {
	size_t object_bytes; /* rounded up to 64 */
	void *free;
	void **chunks;
	size_t chunk_count;
	size_t objects_in_use;
};

void rt_slab_init(struct rt_slab *slab, size_t object_bytes);
void rt_slab_destroy(struct rt_slab *slab); /* every object has been given back (asserted) */
void *rt_slab_take(struct rt_slab *slab);   /* content undefined; NULL when there is no memory */
void rt_slab_give(struct rt_slab *slab, void *object);

#endif
