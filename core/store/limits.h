/* SPDX-License-Identifier: Apache-2.0
 *
 * What a plugin declared for a unit, checked, and turned into the numbers that the data path compares with.
 */
#ifndef TGTKIT_STORE_LIMITS_H
#define TGTKIT_STORE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#include "store/plugins.h"

struct store_limits {
	/* Of offset and length of READ and WRITE, at least 1.  A request is made of whole segments, so that it covers
	 * the alignment of their lengths too. */
	uint32_t offset_alignment_bytes;
	uint32_t address_mask, length_mask; /* bits that must be clear in a segment's address and length */
	uint32_t maximum_segments;	    /* UINT32_MAX: no limit, as below */
	uint64_t maximum_transfer_bytes;    /* a multiple of offset_alignment_bytes unless there is no limit */
	uint64_t maximum_discard_bytes, maximum_zero_bytes;
	/* A logical block is smaller than what the plugin can write: writes may need a read first, and all changes of
	 * the unit are serialised where they touch each other. */
	bool read_modify_write;
	/* A bounce buffer of separate pages may not satisfy the plugin: it has to be one piece. */
	bool contiguous_bounce;
};

/* Checks what `open`, `refresh` or `resize` filled in, against the functions that the plugin has.  0 or -EINVAL with
 * `error` (without the unit's name). */
int store_capabilities_check(const struct tgtkit_plugin *plugin, const struct tgtkit_capabilities *capabilities,
			     uint32_t logical_block_bytes, char error[static STORE_ERROR_BYTES]);

void store_limits_set(struct store_limits *limits, const struct tgtkit_plugin *plugin,
		      const struct tgtkit_capabilities *capabilities, uint32_t logical_block_bytes);

/* The part of the store that can be served: whole logical blocks that the plugin can also read and write whole. */
uint64_t store_limits_served_bytes(const struct store_limits *limits, uint64_t size_bytes,
				   uint32_t logical_block_bytes);

#endif
