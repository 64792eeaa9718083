/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plugin says of allocated ranges, held to what it promised.
 */
#ifndef TGTKIT_STORE_EXTENTS_H
#define TGTKIT_STORE_EXTENTS_H

#include <stdint.h>

#include <tgtkit/plugin.h>

/* The answer of a store that cannot tell: all of it is data.  Returns the number of extents. */
uint32_t store_extents_all_data(struct tgtkit_extent *extents, uint64_t offset, uint64_t length);

/* Cuts a completed EXTENTS request's answer to its range.  An answer that has gaps or is empty becomes one of all data:
 * that never leads anyone to skip data. */
void store_extents_clip(struct tgtkit_request *request, const char *name);

#endif
