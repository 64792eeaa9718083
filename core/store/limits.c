/* SPDX-License-Identifier: Apache-2.0 */
#include "store/limits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rt/bytes.h"
#include "rt/memory.h"

#define MAXIMUM_OFFSET_ALIGNMENT_BYTES (1u << 20)
#define MAXIMUM_MEMORY_ALIGNMENT_BYTES 4096u
#define MAXIMUM_PARALLEL	       4096u

#define KNOWN_FLAGS                                                                                                    \
	(TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |        \
	 TGTKIT_CAN_EXTENTS | TGTKIT_CAN_COMPARE_AND_WRITE | TGTKIT_CAN_COPY | TGTKIT_SHARED_WRITERS |                 \
	 TGTKIT_READ_ONLY | TGTKIT_VOLATILE_CACHE | TGTKIT_ROTATIONAL | TGTKIT_RETAINS_DIRTY)

static int __attribute__((format(printf, 2, 3))) refuse(char *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, STORE_ERROR_BYTES, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static uint32_t at_least_one(uint32_t value)
{
	return value == 0 ? 1 : value;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static int check_flags(const struct tgtkit_capabilities *capabilities, char *error)
{
	uint32_t flags = capabilities->flags;

	if (flags & ~KNOWN_FLAGS)
		return refuse(error, "the plugin declares capabilities that this host does not know (0x%x)",
			      flags & ~KNOWN_FLAGS);
	if ((flags & TGTKIT_VOLATILE_CACHE) && !(flags & TGTKIT_CAN_FLUSH))
		return refuse(error, "the plugin declares a volatile cache, but no flush");
	if ((flags & TGTKIT_DISCARD_READS_ZERO) && !(flags & TGTKIT_CAN_DISCARD))
		return refuse(error, "the plugin declares that discarded ranges read zero, but no discard");
	return 0;
}

/* A bit without the function behind it would be found out at the first request. */
static int check_blocking_functions(const struct tgtkit_blocking *blocking, uint32_t flags, char *error)
{
	if (!(flags & TGTKIT_READ_ONLY) && blocking->pwrite == NULL)
		return refuse(error, "the store is not read-only, but the plugin has no pwrite");
	if ((flags & TGTKIT_CAN_FLUSH) && blocking->flush == NULL)
		return refuse(error, "the plugin declares flush, but has no such function");
	if ((flags & TGTKIT_CAN_DISCARD) && blocking->discard == NULL)
		return refuse(error, "the plugin declares discard, but has no such function");
	if ((flags & TGTKIT_CAN_ZERO) && blocking->zero == NULL)
		return refuse(error, "the plugin declares zero, but has no such function");
	if ((flags & TGTKIT_CAN_EXTENTS) && blocking->extents == NULL)
		return refuse(error, "the plugin declares extents, but has no such function");
	if (flags & (TGTKIT_CAN_COMPARE_AND_WRITE | TGTKIT_CAN_COPY))
		return refuse(error, "a blocking plugin cannot declare compare-and-write or copy");
	return 0;
}

static int check_alignments(const struct tgtkit_capabilities *capabilities, uint32_t logical_block_bytes, char *error)
{
	uint32_t offset = at_least_one(capabilities->offset_alignment_bytes);
	uint32_t memory = at_least_one(capabilities->memory_alignment_bytes);
	uint32_t transfer = capabilities->maximum_transfer_bytes;

	if (!rt_is_power_of_two(offset) || offset > MAXIMUM_OFFSET_ALIGNMENT_BYTES)
		return refuse(error, "offset_alignment_bytes %u is no power of two up to %u", offset,
			      MAXIMUM_OFFSET_ALIGNMENT_BYTES);
	if (!rt_is_power_of_two(memory) || memory > MAXIMUM_MEMORY_ALIGNMENT_BYTES)
		return refuse(error, "memory_alignment_bytes %u is no power of two up to %u", memory,
			      MAXIMUM_MEMORY_ALIGNMENT_BYTES);
	if (capabilities->physical_block_bytes != 0 && !rt_is_power_of_two(capabilities->physical_block_bytes))
		return refuse(error, "physical_block_bytes %u is no power of two", capabilities->physical_block_bytes);
	if (transfer != 0 && transfer < larger(larger(offset, memory), logical_block_bytes))
		return refuse(error, "maximum_transfer_bytes %u is smaller than an alignment or a logical block (%u)",
			      transfer, logical_block_bytes);
	return 0;
}

int store_capabilities_check(const struct tgtkit_plugin *plugin, const struct tgtkit_capabilities *capabilities,
			     uint32_t logical_block_bytes, char error[static STORE_ERROR_BYTES])
{
	struct store_limits limits;
	int status;

	if (capabilities->size != sizeof(*capabilities))
		return refuse(error, "the plugin changed the size of the capabilities");
	status = check_flags(capabilities, error);
	if (status == 0 && plugin->blocking != NULL)
		status = check_blocking_functions(plugin->blocking, capabilities->flags, error);
	if (status == 0)
		status = check_alignments(capabilities, logical_block_bytes, error);
	if (status != 0)
		return status;
	if (capabilities->max_parallel > MAXIMUM_PARALLEL)
		return refuse(error, "max_parallel %u is above %u", capabilities->max_parallel, MAXIMUM_PARALLEL);
	if (memchr(capabilities->identity, '\0', sizeof(capabilities->identity)) == NULL)
		return refuse(error, "the store's identity is not terminated");
	store_limits_set(&limits, plugin, capabilities, logical_block_bytes);
	if (store_limits_served_bytes(&limits, capabilities->size_bytes, logical_block_bytes) == 0)
		return refuse(error, "the store holds %llu bytes, less than one block",
			      (unsigned long long)capabilities->size_bytes);
	if (capabilities->size_bytes > INT64_MAX)
		return refuse(error, "the store's size of %llu bytes is above 2^63-1",
			      (unsigned long long)capabilities->size_bytes);
	return 0;
}

static uint64_t limit_or_none(uint64_t declared, uint64_t alignment_bytes)
{
	if (declared < alignment_bytes)
		return UINT64_MAX;
	return rt_round_down(declared, alignment_bytes);
}

void store_limits_set(struct store_limits *limits, const struct tgtkit_plugin *plugin,
		      const struct tgtkit_capabilities *capabilities, uint32_t logical_block_bytes)
{
	uint32_t memory = at_least_one(capabilities->memory_alignment_bytes);
	uint32_t alignment = larger(at_least_one(capabilities->offset_alignment_bytes), memory);
	uint32_t maximum_segments = capabilities->maximum_segments;

	*limits = (struct store_limits){
	    .offset_alignment_bytes = alignment,
	    .address_mask = memory - 1,
	    /* The blocking tier makes one call per segment, each of which has to be aligned. */
	    .length_mask = (plugin->blocking != NULL ? alignment : memory) - 1,
	    .maximum_segments = maximum_segments == 0 ? UINT32_MAX : maximum_segments,
	    .maximum_transfer_bytes = limit_or_none(capabilities->maximum_transfer_bytes, alignment),
	    .maximum_discard_bytes = limit_or_none(capabilities->maximum_discard_bytes, 1),
	    .maximum_zero_bytes = limit_or_none(capabilities->maximum_zero_bytes, 1),
	    .read_modify_write = alignment > logical_block_bytes,
	};
	limits->contiguous_bounce =
	    alignment > RT_MEMORY_PAGE_BYTES &&
	    (plugin->blocking != NULL || alignment / RT_MEMORY_PAGE_BYTES > limits->maximum_segments);
}

uint64_t store_limits_served_bytes(const struct store_limits *limits, uint64_t size_bytes, uint32_t logical_block_bytes)
{
	return rt_round_down(size_bytes, larger(limits->offset_alignment_bytes, logical_block_bytes));
}
