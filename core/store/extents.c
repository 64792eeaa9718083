/* SPDX-License-Identifier: Apache-2.0 */
#include "store/extents.h"

#include <stdbool.h>

#include "rt/log.h"

#define KNOWN_FLAGS (TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO)

uint32_t store_extents_all_data(struct tgtkit_extent *extents, uint64_t offset, uint64_t length)
{
	extents[0] = (struct tgtkit_extent){.offset = offset, .length = length, .flags = TGTKIT_EXTENT_DATA};
	return 1;
}

/* The first may begin before the range and the last end behind it; each begins where the one before it ends. */
static bool is_sane(const struct tgtkit_request *request)
{
	const struct tgtkit_extent *extents = request->extents;
	uint64_t expected;

	if (request->extents_count == 0 || request->extents_count > request->extents_capacity ||
	    extents[0].offset > request->offset)
		return false;
	expected = extents[0].offset;
	for (uint32_t i = 0; i < request->extents_count; i++) {
		if (extents[i].offset != expected || extents[i].length == 0 || (extents[i].flags & ~KNOWN_FLAGS) ||
		    __builtin_add_overflow(expected, extents[i].length, &expected))
			return false;
	}
	return extents[0].offset + extents[0].length > request->offset;
}

void store_extents_clip(struct tgtkit_request *request, const char *name)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(1);
	struct tgtkit_extent *extents = request->extents;
	uint64_t end = request->offset + request->length;

	if (!is_sane(request)) {
		rt_log_limited_about(&limit, RT_ABOUT(.unit = name), RT_LOG_ERROR,
				     "%s: the plugin's answer about allocated extents makes no sense; "
				     "taking all for data",
				     name);
		request->extents_count = store_extents_all_data(extents, request->offset, request->length);
		return;
	}
	extents[0].length -= request->offset - extents[0].offset;
	extents[0].offset = request->offset;
	for (uint32_t i = 0; i < request->extents_count; i++) {
		if (extents[i].offset >= end) {
			request->extents_count = i;
			return;
		}
		if (extents[i].length > end - extents[i].offset)
			extents[i].length = end - extents[i].offset;
	}
}
