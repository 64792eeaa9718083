/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "rt/slab.h"
#include "unit/runner.h"

#define OBJECTS 5000u

static struct rt_slab slab;

static bool all_bytes_are(const uint8_t *object, size_t length, uint8_t value)
{
	for (size_t i = 0; i < length; i++)
		if (object[i] != value)
			return false;
	return true;
}

START_TEST(objects_are_distinct_aligned_and_whole)
{
	static uint8_t *objects[OBJECTS];
	bool sound = true;

	rt_slab_init(&slab, 200);
	for (unsigned i = 0; i < OBJECTS; i++) {
		objects[i] = rt_slab_take(&slab);
		sound &= (uintptr_t)objects[i] % 64 == 0;
		memset(objects[i], (int)(i % 251), 200);
	}
	ck_assert_uint_eq(slab.objects_in_use, OBJECTS);
	for (unsigned i = 0; i < OBJECTS; i++) {
		sound &= all_bytes_are(objects[i], 200, (uint8_t)(i % 251));
		rt_slab_give(&slab, objects[i]);
	}
	ck_assert(sound);
	ck_assert_uint_eq(slab.objects_in_use, 0);
	rt_slab_destroy(&slab);
}
END_TEST

START_TEST(steady_state_reuses_the_last_given_and_allocates_nothing)
{
	bool same = true;
	void *object;
	size_t chunks;

	rt_slab_init(&slab, 64);
	object = rt_slab_take(&slab);
	chunks = slab.chunk_count;
	for (unsigned i = 0; i < 100000; i++) {
		rt_slab_give(&slab, object);
		same &= rt_slab_take(&slab) == object;
	}
	ck_assert(same);
	ck_assert_uint_eq(slab.chunk_count, chunks);
	rt_slab_give(&slab, object);
	rt_slab_destroy(&slab);
}
END_TEST

START_TEST(an_object_larger_than_a_chunk_is_served)
{
	uint8_t *object;

	rt_slab_init(&slab, 300000);
	object = rt_slab_take(&slab);
	memset(object, 1, 300000);
	rt_slab_give(&slab, object);
	rt_slab_destroy(&slab);
}
END_TEST

static void destroy_with_an_object_out(void)
{
	rt_slab_init(&slab, 8);
	rt_slab_take(&slab);
	rt_slab_destroy(&slab);
}

START_TEST(destroying_with_an_object_out_is_caught)
{
	unit_expect_abort(destroy_with_an_object_out);
}
END_TEST

Suite *slab_suite(void)
{
	Suite *suite = suite_create("slab");
	TCase *tests = tcase_create("slab");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, objects_are_distinct_aligned_and_whole);
	tcase_add_test(tests, steady_state_reuses_the_last_given_and_allocates_nothing);
	tcase_add_test(tests, an_object_larger_than_a_chunk_is_served);
	tcase_add_test(tests, destroying_with_an_object_out_is_caught);
	suite_add_tcase(suite, tests);
	return suite;
}
