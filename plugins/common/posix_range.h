/* SPDX-License-Identifier: Apache-2.0
 *
 * Discard, zero and extents of a file or block device.  Any thread; they block.  0 or a negative errno of plugin.h.
 * Nothing here makes anything durable.
 */
#ifndef TGTKIT_PLUGINS_POSIX_RANGE_H
#define TGTKIT_PLUGINS_POSIX_RANGE_H

#include "posix_store.h"

int posix_range_discard(const struct posix_store *store, uint64_t offset, uint64_t length);

/* `may_unmap`: the range may become a hole. */
int posix_range_zero(const struct posix_store *store, uint64_t offset, uint64_t length, bool may_unmap);

/* Regular files.  Extents from `offset` on without a gap, at most `capacity` of them, none past offset + length. */
int posix_range_extents(const struct posix_store *store, uint64_t offset, uint64_t length,
			struct tgtkit_extent *extents, uint32_t capacity, uint32_t *count);

#endif
