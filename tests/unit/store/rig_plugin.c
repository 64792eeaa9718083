/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/store/rig_plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/runner.h"
#include "unit/store/rig.h"

/* ---- What the host may send ----------------------------------------------------------------------------------------
 */

static uint64_t or_one(uint64_t value)
{
	return value != 0 ? value : 1;
}

static void check_flags(const struct tgtkit_request *request)
{
	uint32_t allowed = 0;

	if (request->operation == TGTKIT_WRITE || request->operation == TGTKIT_ZERO ||
	    request->operation == TGTKIT_DISCARD)
		allowed |= rig.capabilities.flags & TGTKIT_CAN_FUA ? TGTKIT_REQUEST_FUA : 0;
	if (request->operation == TGTKIT_ZERO)
		allowed |= TGTKIT_REQUEST_MAY_UNMAP;
	ck_assert_uint_eq(request->flags & ~allowed, 0);
}

static void check_segments(const struct tgtkit_request *request)
{
	const struct tgtkit_capabilities *limits = &rig.capabilities;
	uint64_t alignment = or_one(limits->memory_alignment_bytes), total = 0;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		ck_assert_uint_eq((uintptr_t)request->segments[i].address % alignment, 0);
		ck_assert_uint_eq(request->segments[i].length % alignment, 0);
		total += request->segments[i].length;
	}
	ck_assert_uint_eq(total, request->length);
	if (limits->maximum_segments != 0)
		ck_assert_uint_le(request->segment_count, limits->maximum_segments);
	if (limits->maximum_transfer_bytes != 0)
		ck_assert_uint_le(request->length, limits->maximum_transfer_bytes);
	ck_assert_uint_eq(request->offset % or_one(limits->offset_alignment_bytes), 0);
	ck_assert_uint_eq(request->length % or_one(limits->offset_alignment_bytes), 0);
	if (request->segment_count > rig.most_segments)
		rig.most_segments = request->segment_count;
	if (request->length > rig.largest_transfer_bytes)
		rig.largest_transfer_bytes = request->length;
}

static void check_range(const struct tgtkit_request *request)
{
	const struct tgtkit_capabilities *limits = &rig.capabilities;

	ck_assert_uint_le(request->offset, limits->size_bytes);
	ck_assert_uint_le(request->length, limits->size_bytes - request->offset);
	if (request->operation == TGTKIT_DISCARD) {
		ck_assert_uint_ne(limits->flags & TGTKIT_CAN_DISCARD, 0);
		if (limits->maximum_discard_bytes != 0)
			ck_assert_uint_le(request->length, limits->maximum_discard_bytes);
	}
	if (request->operation == TGTKIT_ZERO) {
		ck_assert_uint_ne(limits->flags & TGTKIT_CAN_ZERO, 0);
		if (limits->maximum_zero_bytes != 0)
			ck_assert_uint_le(request->length, limits->maximum_zero_bytes);
	}
}

/* ---- Doing it ------------------------------------------------------------------------------------------------------
 */

static void move(const struct tgtkit_request *request)
{
	unsigned char *at = rig.data + request->offset;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		if (request->operation == TGTKIT_READ)
			memcpy(request->segments[i].address, at, request->segments[i].length);
		else
			memcpy(at, request->segments[i].address, request->segments[i].length);
		at += request->segments[i].length;
	}
}

static void make_stable(const struct tgtkit_request *request)
{
	rig.last_flags = request->flags;
	if (request->flags & TGTKIT_REQUEST_FUA)
		memcpy(rig.stable + request->offset, rig.data + request->offset, request->length);
}

static int change(const struct tgtkit_request *request)
{
	int status = request->flags & TGTKIT_REQUEST_FUA ? rig.fua_status : rig.write_status;

	if (status != 0)
		return status;
	if (request->operation == TGTKIT_WRITE)
		move(request);
	else if (request->operation == TGTKIT_ZERO || (rig.capabilities.flags & TGTKIT_DISCARD_READS_ZERO))
		memset(rig.data + request->offset, 0, request->length);
	make_stable(request);
	return 0;
}

static int flush(void)
{
	rig.flushes++;
	if (rig.flush_status == 0)
		memcpy(rig.stable, rig.data, rig.capabilities.size_bytes);
	return rig.flush_status;
}

static int answer_extents(struct tgtkit_request *request)
{
	rig.extent_queries++;
	for (uint32_t i = 0; i < rig.extents_count && i < request->extents_capacity; i++)
		request->extents[i] = rig.extents[i];
	request->extents_count = rig.extents_count;
	return 0;
}

static int perform_locked(struct tgtkit_request *request)
{
	check_flags(request);
	check_range(request);
	switch ((enum tgtkit_operation)request->operation) {
	case TGTKIT_READ:
		rig.reads++;
		check_segments(request);
		move(request);
		return 0;
	case TGTKIT_WRITE:
		rig.writes++;
		check_segments(request);
		return change(request);
	case TGTKIT_DISCARD:
		rig.discards++;
		return rig.discard_status != 0 ? rig.discard_status : change(request);
	case TGTKIT_ZERO:
		rig.zeros++;
		return change(request);
	case TGTKIT_FLUSH:
		return flush();
	case TGTKIT_EXTENTS:
		return answer_extents(request);
	default:
		ck_abort_msg("operation %u was sent", request->operation);
		return -EINVAL;
	}
}

int rig_perform(struct tgtkit_request *request)
{
	int status;

	pthread_mutex_lock(&rig.lock);
	status = perform_locked(request);
	pthread_mutex_unlock(&rig.lock);
	return status;
}

/* ---- Control verbs -------------------------------------------------------------------------------------------------
 */

static void fill(struct tgtkit_capabilities *capabilities)
{
	size_t size = capabilities->size;

	*capabilities = rig.capabilities;
	capabilities->size = size;
}

static int rig_verb_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
			 struct tgtkit_error *error)
{
	if (rig.open_status != 0) {
		snprintf(error->message, sizeof(error->message), "%s", "the disk is gone");
		return rig.open_status;
	}
	rig.opens++;
	rig.unit = args->unit;
	ck_assert_uint_eq(args->value_count, 1);
	rig.last_number = args->values[0].as.integer;
	fill(capabilities);
	*handle = &rig;
	if (rig.mode == RIG_THREAD)
		rig_start_thread();
	return 0;
}

static int rig_verb_refresh(void *handle, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	(void)handle;
	(void)error;
	fill(capabilities);
	return 0;
}

static int rig_verb_resize(void *handle, uint64_t size_bytes, uint32_t flags, struct tgtkit_capabilities *capabilities,
			   struct tgtkit_error *error)
{
	(void)flags;
	rig.resized_to = size_bytes;
	rig.capabilities.size_bytes = size_bytes;
	return rig_verb_refresh(handle, capabilities, error);
}

static int rig_verb_reload(void *handle, const struct tgtkit_value *values, size_t value_count,
			   struct tgtkit_error *error)
{
	(void)handle;
	(void)error;
	ck_assert_uint_eq(value_count, 1);
	rig.reloads++;
	rig.last_number = values[0].as.integer;
	return rig.reload_status;
}

static void rig_verb_close(void *handle)
{
	(void)handle;
	rig.closes++;
	if (rig.mode == RIG_THREAD)
		rig_stop_thread();
}

const struct store_plugin *rig_plugin(void)
{
	static const char *const prefixes[] = {"rig", NULL};
	static const struct tgtkit_option options[] = {
	    {.key = "number", .type = TGTKIT_OPTION_INTEGER, .default_value = "5", .help = "any"},
	    {.key = NULL},
	};
	static struct tgtkit_plugin descriptor;
	static const struct store_plugin plugin = {.descriptor = &descriptor};

	descriptor = (struct tgtkit_plugin){
	    .size = sizeof(descriptor),
	    .abi_major = TGTKIT_ABI_MAJOR,
	    .abi_minor = TGTKIT_ABI_MINOR,
	    .name = "rig",
	    .version = "1",
	    .description = "a store in memory",
	    .prefixes = prefixes,
	    .options = options,
	    .scratch_bytes = 48,
	    .open = rig_verb_open,
	    .refresh = rig_verb_refresh,
	    .resize = rig_verb_resize,
	    .close = rig_verb_close,
	    .reload = rig_verb_reload,
	};
	if (rig.blocking)
		descriptor.blocking = rig.nowait ? &rig_blocking_nowait : &rig_blocking;
	else if (rig.polls)
		descriptor.async = &rig_async_polls;
	else
		descriptor.async = rig.worker_contexts ? &rig_async_workers : &rig_async;
	return &plugin;
}
