/* SPDX-License-Identifier: Apache-2.0 */
#include "store/extents.h"

#include <errno.h>

#include "unit/runner.h"
#include "unit/store/rig.h"

#define SIZE_BYTES (1u << 20)
#define CAPACITY   4u

static struct rig_request query;
static struct tgtkit_extent answer[CAPACITY];

static void setup(void)
{
	rig_reset(SIZE_BYTES);
	rig.capabilities.flags |= TGTKIT_CAN_EXTENTS;
	rig_adopt();
	rig_open();
}

static void teardown(void)
{
	rig_close();
	rig_release();
	rig_free();
}

static void note_done(struct store_request *self)
{
	atomic_store(&RT_CONTAINER_OF(self, struct rig_request, request)->done, true);
}

static int ask(uint64_t offset, uint64_t length, uint32_t capacity)
{
	memset(&query, 0, sizeof(query));
	query.request = (struct store_request){
	    .operation = TGTKIT_EXTENTS,
	    .offset = offset,
	    .length = length,
	    .extents = answer,
	    .extents_capacity = capacity,
	    .done = note_done,
	};
	store_submit(rig_store, &query.request);
	rig_turn_until(rig_is_done, &query);
	return query.request.status;
}

static void answer_with(uint32_t count, const struct tgtkit_extent *extents)
{
	rig.extents_count = count;
	for (uint32_t i = 0; i < count && i < 8; i++)
		rig.extents[i] = extents[i];
}

static void assert_extent(uint32_t index, uint64_t offset, uint64_t length, uint32_t flags)
{
	ck_assert_uint_lt(index, query.request.extents_count);
	ck_assert_uint_eq(answer[index].offset, offset);
	ck_assert_uint_eq(answer[index].length, length);
	ck_assert_uint_eq(answer[index].flags, flags);
}

START_TEST(a_store_that_cannot_tell_is_all_data)
{
	rig_close();
	rig.capabilities.flags &= ~(uint32_t)TGTKIT_CAN_EXTENTS;
	rig_open();
	ck_assert_int_eq(ask(1024, 4096, CAPACITY), 0);
	ck_assert_uint_eq(query.request.extents_count, 1);
	assert_extent(0, 1024, 4096, TGTKIT_EXTENT_DATA);
	ck_assert_uint_eq(rig.extent_queries, 0);
}
END_TEST

START_TEST(the_plugins_answer_is_passed_on)
{
	answer_with(2, (const struct tgtkit_extent[]){
			   {.offset = 0, .length = 512, .flags = TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO},
			   {.offset = 512, .length = 512},
		       });
	ck_assert_int_eq(ask(0, 1024, CAPACITY), 0);
	ck_assert_uint_eq(query.request.extents_count, 2);
	assert_extent(0, 0, 512, TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO);
	assert_extent(1, 512, 512, TGTKIT_EXTENT_DATA);
}
END_TEST

START_TEST(an_answer_is_cut_to_the_question)
{
	answer_with(3, (const struct tgtkit_extent[]){
			   {.offset = 0, .length = 2048, .flags = TGTKIT_EXTENT_HOLE},
			   {.offset = 2048, .length = 4096},
			   {.offset = 6144, .length = 4096},
		       });
	ck_assert_int_eq(ask(1024, 2048, CAPACITY), 0);
	ck_assert_uint_eq(query.request.extents_count, 2);
	assert_extent(0, 1024, 1024, TGTKIT_EXTENT_HOLE);
	assert_extent(1, 2048, 1024, TGTKIT_EXTENT_DATA);
}
END_TEST

/* `count` as the plugin claims it. */
static void assert_taken_for_data(uint32_t count, struct tgtkit_extent first, struct tgtkit_extent second)
{
	const struct tgtkit_extent extents[8] = {first, second};

	answer_with(count, extents);
	ck_assert_int_eq(ask(512, 1024, CAPACITY), 0);
	ck_assert_uint_eq(query.request.extents_count, 1);
	assert_extent(0, 512, 1024, TGTKIT_EXTENT_DATA);
}

START_TEST(a_senseless_answer_is_taken_for_data)
{
	const struct tgtkit_extent none = {0};
	const struct tgtkit_extent good = {.offset = 512, .length = 512, .flags = TGTKIT_EXTENT_HOLE};

	assert_taken_for_data(0, none, none);
	assert_taken_for_data(CAPACITY + 1, good, none);
	assert_taken_for_data(1, (struct tgtkit_extent){.offset = 1024, .length = 512}, none);
	assert_taken_for_data(1, (struct tgtkit_extent){.offset = 0, .length = 512}, none);
	assert_taken_for_data(1, (struct tgtkit_extent){.offset = 512, .length = 0}, none);
	assert_taken_for_data(1, (struct tgtkit_extent){.offset = 512, .length = UINT64_MAX}, none);
	assert_taken_for_data(1, (struct tgtkit_extent){.offset = 512, .length = 512, .flags = 8}, none);
	assert_taken_for_data(2, good, (struct tgtkit_extent){.offset = 2048, .length = 512});
}
END_TEST

START_TEST(a_question_without_room_or_range_is_refused)
{
	ck_assert_int_eq(ask(0, 512, 0), -EINVAL);
	ck_assert_int_eq(ask(0, 0, CAPACITY), -EINVAL);
	ck_assert_uint_eq(rig.extent_queries, 0);
}
END_TEST

Suite *extents_suite(void)
{
	Suite *suite = suite_create("extents");
	TCase *tests = tcase_create("extents");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_store_that_cannot_tell_is_all_data);
	tcase_add_test(tests, the_plugins_answer_is_passed_on);
	tcase_add_test(tests, an_answer_is_cut_to_the_question);
	tcase_add_test(tests, a_senseless_answer_is_taken_for_data);
	tcase_add_test(tests, a_question_without_room_or_range_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
