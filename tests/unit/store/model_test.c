/* SPDX-License-Identifier: Apache-2.0
 *
 * Random requests through a store with random limits, against a plain array.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit/runner.h"
#include "unit/store/rig.h"

#define SIZE_BYTES     (1u << 20)
#define BLOCKS	       (SIZE_BYTES / RIG_BLOCK)
#define BATCHES	       16u
#define MOST_IN_BATCH  12u
#define MOST_SEGMENTS  40u
#define CONFIGURATIONS 120

static unsigned char model[SIZE_BYTES];
static unsigned seed;

struct
try {
	struct rig_request base;
	struct tgtkit_segment segments[MOST_SEGMENTS];
	unsigned char *memory;
	unsigned char *expected; /* of a read */
};

static struct try tries[MOST_IN_BATCH];
static unsigned try_count;

static unsigned pick(unsigned count)
{
	return (unsigned)rand_r(&seed) % count;
}

#define PICK_OF(...) ((const unsigned[]){__VA_ARGS__})[pick(sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))]

/* ---- A random store ------------------------------------------------------------------------------------------------
 */

static void choose_limits(void)
{
	struct tgtkit_capabilities *limits = &rig.capabilities;
	unsigned largest;

	limits->offset_alignment_bytes = PICK_OF(0, 1, 512, 4096, 4096, 65536);
	limits->memory_alignment_bytes = PICK_OF(0, 1, 8, 512, 4096);
	largest = limits->offset_alignment_bytes > 4096 ? limits->offset_alignment_bytes : 4096;
	limits->maximum_transfer_bytes = PICK_OF(0, largest, largest + 512, 3 * largest, 1u << 18);
	limits->maximum_segments = PICK_OF(0, 1, 2, 3, 17);
	limits->maximum_discard_bytes = PICK_OF(0, 512, 4096, 5000, 1u << 16);
	limits->maximum_zero_bytes = PICK_OF(0, 512, 4096, 5000, 1u << 16);
	limits->max_parallel = PICK_OF(0, 1, 2, 5);
}

static void choose_flags(void)
{
	struct tgtkit_capabilities *limits = &rig.capabilities;

	limits->flags |= TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO;
	limits->flags |= pick(2) ? TGTKIT_CAN_FUA : 0;
	limits->flags |= pick(2) ? TGTKIT_CAN_ZERO : 0;
	limits->flags |= pick(2) ? TGTKIT_RETAINS_DIRTY : 0;
}

static void choose_store(void)
{
	choose_limits();
	choose_flags();
	rig.blocking = pick(3) == 0;
	rig.nowait = pick(2);
	rig.worker_contexts = pick(2);
	rig.mode = (enum rig_mode)PICK_OF(RIG_INLINE, RIG_AT_COMMIT, RIG_AT_COMMIT, RIG_THREAD);
	rig.polls = rig.mode == RIG_AT_COMMIT && pick(2);
	rig.worker_contexts = rig.worker_contexts && !rig.polls;
	rig.depth = PICK_OF(0, 1, 2, 7);
	if (rig.blocking)
		rig.mode = RIG_INLINE;
	rig.seed = seed;
}

/* ---- Random requests, none of which touches another's blocks -------------------------------------------------------
 */

static void cut_segments(struct try *try, size_t length)
{
	uint32_t count = 0;
	unsigned char *at = try->memory + (pick(2) ? pick(4096) : 0);

	while (length > 0) {
		size_t piece = count + 1 < MOST_SEGMENTS && pick(3) ? 1 + pick((unsigned)length) : length;

		if (pick(2) && piece > RIG_BLOCK)
			piece -= piece % RIG_BLOCK;
		try->segments[count++] = (struct tgtkit_segment){at, (uint32_t)piece, TGTKIT_NO_REGION};
		at += piece + (pick(2) ? 0 : pick(64));
		length -= piece;
	}
	try->base.request.segments = try->segments;
	try->base.request.segment_count = count;
}

static void note_done(struct store_request *self)
{
	struct try *try = RT_CONTAINER_OF(self, struct try, base.request);

	ck_assert(!atomic_load(&try->base.done));
	atomic_store(&try->base.done, true);
}

static void prepare_write(struct try *try, uint64_t offset, uint64_t length)
{
	for (uint32_t i = 0; i < try->base.request.segment_count; i++) {
		unsigned char *byte = try->segments[i].address;
		uint32_t salt = (uint32_t)rand_r(&seed);

		for (uint32_t j = 0; j < try->segments[i].length; j++)
			byte[j] = (unsigned char)((j + salt) * 0x9e3779b1u >> 24);
	}
	rt_segments_read(try->segments, try->base.request.segment_count, 0, model + offset, length);
}

static void submit_one(struct try *try, uint64_t offset, uint64_t length)
{
	static const uint32_t operations[] = {TGTKIT_READ,  TGTKIT_READ, TGTKIT_WRITE,	TGTKIT_WRITE,
					      TGTKIT_WRITE, TGTKIT_ZERO, TGTKIT_DISCARD};
	struct store_request *request = &try->base.request;

	memset(&try->base, 0, sizeof(try->base));
	request->operation = operations[pick(7)];
	request->offset = offset;
	request->length = length;
	request->done = note_done;
	request->flags = request->operation != TGTKIT_READ && pick(3) == 0 ? TGTKIT_REQUEST_FUA : 0;
	if (request->operation == TGTKIT_ZERO && pick(2))
		request->flags |= TGTKIT_REQUEST_MAY_UNMAP;
	/* The gaps between the segments: up to 64 bytes each, and a page of offset. */
	try->memory = malloc(length + 4096 + MOST_SEGMENTS * 64);
	ck_assert_ptr_nonnull(try->memory);
	if (request->operation == TGTKIT_READ || request->operation == TGTKIT_WRITE)
		cut_segments(try, length);
	if (request->operation == TGTKIT_WRITE)
		prepare_write(try, offset, length);
	else if (request->operation != TGTKIT_READ)
		memset(model + offset, 0, length);
	store_submit(rig_store, request);
	ck_assert(!atomic_load(&try->base.done));
}

static void submit_batch(void)
{
	uint64_t block = pick(64);

	for (try_count = 0; try_count < MOST_IN_BATCH && block < BLOCKS; try_count++) {
		uint64_t most = BLOCKS - block < 400 ? BLOCKS - block : 400;
		uint64_t blocks = 1 + pick(pick(2) ? 20 : 400) % most;

		submit_one(&tries[try_count], block * RIG_BLOCK, blocks * RIG_BLOCK);
		block += blocks + (pick(2) ? 0 : pick(300));
	}
}

static bool all_done(void *context)
{
	(void)context;
	for (unsigned i = 0; i < try_count; i++) {
		if (!atomic_load(&tries[i].base.done))
			return false;
	}
	return true;
}

/* ---- Comparing -----------------------------------------------------------------------------------------------------
 */

static void compare_read(const struct try *try)
{
	const struct store_request *request = &try->base.request;
	unsigned char *got = malloc(request->length);

	ck_assert_ptr_nonnull(got);
	rt_segments_read(request->segments, request->segment_count, 0, got, request->length);
	ck_assert(memcmp(got, model + request->offset, request->length) == 0);
	free(got);
}

static void compare_batch(void)
{
	for (unsigned i = 0; i < try_count; i++) {
		const struct store_request *request = &tries[i].base.request;

		ck_assert_int_eq(request->status, 0);
		if (request->operation == TGTKIT_READ)
			compare_read(&tries[i]);
		if (request->flags & TGTKIT_REQUEST_FUA)
			ck_assert(memcmp(rig.stable + request->offset, model + request->offset, request->length) == 0);
		free(tries[i].memory);
	}
	ck_assert(memcmp(rig.data, model, SIZE_BYTES) == 0);
}

START_TEST(random_requests_do_to_the_store_what_they_do_to_an_array)
{
	seed = (unsigned)_i + 1;
	memset(model, 0, sizeof(model));
	rig_reset(SIZE_BYTES);
	choose_store();
	rig_adopt();
	rig_open();
	for (unsigned batch = 0; batch < BATCHES; batch++) {
		submit_batch();
		rig_turn_until(all_done, NULL);
		compare_batch();
	}
	ck_assert_int_eq(rig_do(TGTKIT_FLUSH, 0, 0, NULL, 0), 0);
	ck_assert(memcmp(rig.stable, model, SIZE_BYTES) == 0);
	ck_assert_uint_eq(rt_memory_usage(rig_worker->memory).used_bytes[RT_MEMORY_BOUNCE], 0);
	rig_close();
	ck_assert_uint_eq(rig.queue_opens, rig.queue_closes);
	ck_assert_uint_eq(rig.worker_opens, rig.worker_closes);
	rig_release();
	rig_free();
}
END_TEST

Suite *model_suite(void)
{
	Suite *suite = suite_create("model");
	TCase *tests = tcase_create("random");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, random_requests_do_to_the_store_what_they_do_to_an_array, 0, CONFIGURATIONS);
	suite_add_tcase(suite, tests);
	return suite;
}
