/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "rt/memory.h"
#include "rt/worker.h"
#include "unit/runner.h"

/* Shares are whole numbers of the largest block then: no page is spare. */
#define BYTES	   (20u << 20)
#define PAGE	   RT_MEMORY_PAGE_BYTES
#define MANY_PAGES 8192u
#define REGION	   3u

static struct rt_loop *loop;
static struct rt_memory *memory;
static struct rt_buffer buffer;
static struct rt_buffer singles[MANY_PAGES];
static size_t single_count;

static void setup(void)
{
	ck_assert_int_eq(rt_loop_create(&loop, "test", 0), 0);
	ck_assert_int_eq(rt_memory_create(&memory, loop, REGION, BYTES), 0);
	memset(&buffer, 0, sizeof(buffer));
	memset(singles, 0, sizeof(singles));
	single_count = 0;
}

static void teardown(void)
{
	rt_memory_give(memory, &buffer);
	for (size_t i = 0; i < single_count; i++)
		rt_memory_give(memory, &singles[i]);
	rt_memory_unreserve(memory, rt_memory_usage(memory).reserved_bytes);
	rt_memory_destroy(memory);
	rt_loop_destroy(loop);
}

static size_t limit(enum rt_memory_class class)
{
	return rt_memory_usage(memory).limit_bytes[class];
}

static size_t used(enum rt_memory_class class)
{
	return rt_memory_usage(memory).used_bytes[class];
}

/* All of a class, page by page. */
static void take_single_pages(enum rt_memory_class class)
{
	for (size_t left = limit(class); left >= PAGE; left -= PAGE) {
		if (class == RT_MEMORY_WINDOW)
			ck_assert(rt_memory_reserve(memory, PAGE));
		ck_assert_int_eq(rt_memory_take(memory, class, PAGE, &singles[single_count++]), 0);
	}
}

static void give_every_second_page(void)
{
	for (size_t i = 0; i < single_count; i += 2)
		rt_memory_give(memory, &singles[i]);
}

static void assert_well_formed(const struct rt_buffer *checked)
{
	struct tgtkit_region region = rt_memory_region(memory);
	size_t total = 0;

	for (uint32_t i = 0; i < checked->segment_count; i++) {
		const struct tgtkit_segment *segment = &checked->segments[i];
		uint8_t *start = segment->address;

		ck_assert_uint_eq((uintptr_t)start % PAGE, 0);
		ck_assert_uint_eq(segment->region, REGION);
		ck_assert_uint_gt(segment->length, 0);
		if (i + 1 < checked->segment_count)
			ck_assert_uint_eq(segment->length % PAGE, 0);
		ck_assert(start >= (uint8_t *)region.address);
		ck_assert(start + segment->length <= (uint8_t *)region.address + region.length);
		total += segment->length;
	}
	ck_assert_uint_eq(total, checked->length_bytes);
}

/* ---- Takes ---------------------------------------------------------------------------------------------------- */

START_TEST(shares_are_as_documented)
{
	ck_assert_uint_eq(limit(RT_MEMORY_WINDOW), 12u << 20);
	ck_assert_uint_eq(limit(RT_MEMORY_SOLICITED), 3u << 20);
	ck_assert_uint_eq(limit(RT_MEMORY_READ), 3u << 20);
	ck_assert_uint_eq(limit(RT_MEMORY_BOUNCE), 2u << 20);
	ck_assert_int_eq(rt_memory_create(&memory, loop, REGION, RT_MEMORY_MINIMUM_BYTES - 1), -EINVAL);
}
END_TEST

START_TEST(every_length_is_one_piece_of_exact_pages_when_nothing_is_fragmented)
{
	for (uint32_t length = 1; length <= 1u << 20; length += 7777) {
		ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, length, &buffer), 0);
		ck_assert_uint_eq(buffer.segment_count, 1);
		ck_assert_uint_eq(buffer.length_bytes, length);
		ck_assert_uint_eq(used(RT_MEMORY_READ), (length + PAGE - 1) / PAGE * PAGE);
		assert_well_formed(&buffer);
		rt_memory_give(memory, &buffer);
		ck_assert_uint_eq(used(RT_MEMORY_READ), 0);
		ck_assert_uint_eq(buffer.segment_count, 0);
		ck_assert_uint_eq(buffer.length_bytes, 0);
	}
}
END_TEST

START_TEST(a_take_fills_the_rest_of_the_last_page_first)
{
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 5000, &buffer), 0);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 3000, &buffer), 0);
	ck_assert_uint_eq(buffer.segment_count, 1);
	ck_assert_uint_eq(buffer.pages[RT_MEMORY_READ], 2);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_SOLICITED, 1000, &buffer), 0);
	ck_assert_uint_eq(buffer.segment_count, 2);
	ck_assert_uint_eq(buffer.pages[RT_MEMORY_SOLICITED], 1);
	ck_assert_uint_eq(buffer.segments[1].length, 1000 - 192);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 0, &buffer), 0);
	assert_well_formed(&buffer);
	for (uint32_t i = 0; i < buffer.segment_count; i++)
		memset(buffer.segments[i].address, 1, buffer.segments[i].length); /* all of it may be touched */
	rt_memory_give(memory, &buffer);
	ck_assert_uint_eq(used(RT_MEMORY_READ), 0);
	ck_assert_uint_eq(used(RT_MEMORY_SOLICITED), 0);
}
END_TEST

START_TEST(the_page_given_last_is_taken_first)
{
	void *hot;

	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, PAGE, &singles[single_count++]), 0);
	hot = singles[1].segments[0].address;
	rt_memory_give(memory, &singles[1]);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, PAGE, &buffer), 0);
	ck_assert_ptr_eq(buffer.segments[0].address, hot);
}
END_TEST

START_TEST(a_full_share_refuses_and_leaves_the_buffer_alone)
{
	take_single_pages(RT_MEMORY_READ);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 1, &buffer), -ENOMEM);
	ck_assert_uint_eq(buffer.segment_count, 0);
	ck_assert_uint_eq(buffer.length_bytes, 0);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_SOLICITED, 1, &buffer), 0);
}
END_TEST

START_TEST(what_can_never_fit_is_told_apart)
{
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, limit(RT_MEMORY_READ) + 1, &buffer), -E2BIG);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, SIZE_MAX, &buffer), -E2BIG);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, limit(RT_MEMORY_READ), &buffer), 0);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 1, &buffer), -E2BIG);
	rt_memory_give(memory, &buffer);
	buffer.segment_count = RT_BUFFER_MAXIMUM_SEGMENTS;
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 1, &buffer), -E2BIG);
	buffer.segment_count = 0;
}
END_TEST

START_TEST(fragments_serve_as_far_as_the_segments_reach)
{
	size_t used_before;

	take_single_pages(RT_MEMORY_READ);
	give_every_second_page();
	used_before = used(RT_MEMORY_READ);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, RT_BUFFER_MAXIMUM_SEGMENTS * PAGE + 1, &buffer),
			 -ENOMEM);
	ck_assert_uint_eq(buffer.segment_count, 0);
	ck_assert_uint_eq(used(RT_MEMORY_READ), used_before);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, RT_BUFFER_MAXIMUM_SEGMENTS * PAGE, &buffer), 0);
	ck_assert_uint_eq(buffer.segment_count, RT_BUFFER_MAXIMUM_SEGMENTS);
	assert_well_formed(&buffer);
}
END_TEST

START_TEST(a_take_that_fails_half_way_loses_no_page)
{
	take_single_pages(RT_MEMORY_READ);
	give_every_second_page();
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 2 * RT_BUFFER_MAXIMUM_SEGMENTS * PAGE, &buffer),
			 -ENOMEM);
	for (size_t i = 0; i < single_count; i++)
		rt_memory_give(memory, &singles[i]);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, limit(RT_MEMORY_READ), &buffer), 0);
	ck_assert_uint_eq(buffer.segment_count, limit(RT_MEMORY_READ) / RT_MEMORY_LARGEST_BLOCK_BYTES);
}
END_TEST

START_TEST(a_class_that_has_drained_is_whole_again)
{
	take_single_pages(RT_MEMORY_READ);
	for (size_t i = 0; i < single_count; i++)
		rt_memory_give(memory, &singles[i]);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 2u << 20, &buffer), 0);
	ck_assert_uint_eq(buffer.segment_count, 2);
}
END_TEST

START_TEST(the_largest_transfer_fits_every_class)
{
	static const size_t sizes[] = {RT_MEMORY_MINIMUM_BYTES, 100u << 20, (size_t)1 << 30};

	for (unsigned i = 0; i < 3; i++) {
		size_t largest = rt_memory_largest_transfer(sizes[i]);

		rt_memory_destroy(memory);
		ck_assert_int_eq(rt_memory_create(&memory, loop, REGION, sizes[i]), 0);
		ck_assert_uint_eq(largest & (largest - 1), 0);
		ck_assert_uint_ge(largest, 1u << 20);
		for (enum rt_memory_class class = 0; class < RT_MEMORY_CLASSES; ++class) {
			if (class == RT_MEMORY_WINDOW)
				ck_assert(rt_memory_reserve(memory, largest));
			ck_assert_int_eq(rt_memory_take(memory, class, largest, &buffer), 0);
			rt_memory_give(memory, &buffer);
		}
	}
	ck_assert_uint_eq(rt_memory_largest_transfer((size_t)1 << 40), 16u << 20);
}
END_TEST

static void fill(const struct rt_buffer *filled, uint8_t mark)
{
	for (uint32_t i = 0; i < filled->segment_count; i++)
		memset(filled->segments[i].address, mark, filled->segments[i].length);
}

static bool is_filled(const struct rt_buffer *filled, uint8_t mark)
{
	bool sound = true;

	for (uint32_t i = 0; i < filled->segment_count; i++) {
		const uint8_t *bytes = filled->segments[i].address;

		for (uint32_t at = 0; at < filled->segments[i].length; at += 512)
			sound &= bytes[at] == mark;
		sound &= bytes[filled->segments[i].length - 1] == mark;
	}
	return sound;
}

/* Every buffer is filled with its own byte and checked before it is given back. */
START_TEST(buffers_never_overlap)
{
	static uint8_t marks[64];
	unsigned taken = 0;
	bool sound = true;

	srandom(1);
	single_count = 64;
	for (unsigned step = 0; step < 20000; step++) {
		unsigned chosen = (unsigned)random() % 64;
		enum rt_memory_class class = 1 + (unsigned)random() % (RT_MEMORY_CLASSES - 1);
		size_t length = 1 + (size_t)random() % (random() % 8 == 0 ? 300000 : 9000);

		sound &= is_filled(&singles[chosen], marks[chosen]);
		rt_memory_give(memory, &singles[chosen]);
		if (rt_memory_take(memory, class, length, &singles[chosen]) < 0)
			continue;
		marks[chosen] = (uint8_t)random();
		fill(&singles[chosen], marks[chosen]);
		taken++;
	}
	ck_assert(sound);
	ck_assert_uint_gt(taken, 15000);
}
END_TEST

/* ---- Credit --------------------------------------------------------------------------------------------------- */

START_TEST(credit_and_what_is_taken_stay_within_the_share)
{
	size_t share = limit(RT_MEMORY_WINDOW);

	ck_assert(!rt_memory_reserve(memory, share + 1));
	ck_assert(!rt_memory_reserve(memory, SIZE_MAX));
	ck_assert(rt_memory_reserve(memory, share));
	ck_assert(!rt_memory_reserve(memory, 1));
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_WINDOW, 2 * PAGE, &buffer), 0);
	ck_assert_uint_eq(rt_memory_usage(memory).reserved_bytes, share - 2 * PAGE);
	ck_assert(!rt_memory_reserve(memory, 1));
	rt_memory_give(memory, &buffer);
	ck_assert_uint_eq(rt_memory_usage(memory).reserved_bytes, share - 2 * PAGE);
	ck_assert(rt_memory_reserve(memory, PAGE + 1));
	ck_assert(!rt_memory_reserve(memory, 1));
	rt_memory_unreserve(memory, PAGE);
	ck_assert(rt_memory_reserve(memory, 1));
}
END_TEST

/* The worst that can be made of the share, then takes of one length until it is used up. */
static void take_window_from_fragments(uint32_t length)
{
	take_single_pages(RT_MEMORY_WINDOW);
	give_every_second_page();
	while (rt_memory_reserve(memory, length)) {
		ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_WINDOW, length, &buffer), 0);
		assert_well_formed(&buffer);
		singles[single_count++] = buffer;
		memset(&buffer, 0, sizeof(buffer));
	}
	ck_assert_uint_gt(used(RT_MEMORY_WINDOW) + length, limit(RT_MEMORY_WINDOW));
}

START_TEST(window_takes_succeed_however_fragmented)
{
	static const uint32_t lengths[] = {PAGE, 16 * PAGE, 17 * PAGE, 64 * PAGE - 1, 255 * PAGE, 256 * PAGE};

	take_window_from_fragments(lengths[_i]);
}
END_TEST

START_TEST(window_takes_of_large_units_do_not_break_each_other)
{
	uint32_t length = 32 * PAGE;

	while (rt_memory_reserve(memory, length))
		ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_WINDOW, length, &singles[single_count++]), 0);
	give_every_second_page();
	ck_assert(rt_memory_reserve(memory, 256 * PAGE));
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_WINDOW, 255 * PAGE, &buffer), 0);
	assert_well_formed(&buffer);
}
END_TEST

static void take_window_memory_without_credit(void)
{
	rt_memory_reserve(memory, PAGE);
	rt_memory_take(memory, RT_MEMORY_WINDOW, PAGE + 1, &buffer);
}

START_TEST(taking_window_memory_without_credit_is_caught)
{
	unit_expect_abort(take_window_memory_without_credit);
}
END_TEST

static void destroy_with_pages_out(void)
{
	rt_memory_take(memory, RT_MEMORY_READ, 1, &buffer);
	rt_memory_destroy(memory);
}

START_TEST(destroying_with_pages_out_is_caught)
{
	unit_expect_abort(destroy_with_pages_out);
}
END_TEST

/* ---- Waiters -------------------------------------------------------------------------------------------------- */

struct taker {
	struct rt_memory_waiter waiter;
	enum rt_memory_class class;
	size_t length;
	unsigned asked;
	bool frees_itself;
	struct rt_buffer buffer;
};

static struct taker takers[3];
static struct taker *served[3];
static unsigned served_count;

static void take_or_wait(struct rt_memory_waiter *self)
{
	struct taker *taker = RT_CONTAINER_OF(self, struct taker, waiter);

	taker->asked++;
	if (rt_memory_take_first(memory, taker->class, taker->length, &taker->buffer) < 0) {
		rt_memory_wait(memory, taker->class, self);
		return;
	}
	served[served_count++] = taker;
	if (taker->frees_itself) {
		rt_memory_give(memory, &taker->buffer);
		free(taker);
	}
}

static void setup_takers(void)
{
	memset(takers, 0, sizeof(takers));
	served_count = 0;
	for (unsigned i = 0; i < 3; i++) {
		takers[i].waiter.room = take_or_wait;
		takers[i].class = RT_MEMORY_READ;
		takers[i].length = PAGE;
	}
}

static void teardown_takers(void)
{
	for (unsigned i = 0; i < 3; i++) {
		rt_memory_cancel_wait(memory, &takers[i].waiter);
		rt_memory_give(memory, &takers[i].buffer);
	}
}

static void all_wait(void)
{
	take_single_pages(RT_MEMORY_READ);
	for (unsigned i = 0; i < 3; i++)
		rt_memory_wait(memory, RT_MEMORY_READ, &takers[i].waiter);
}

START_TEST(waiters_are_served_in_order_from_the_loop)
{
	all_wait();
	rt_memory_give(memory, &singles[0]);
	rt_memory_give(memory, &singles[1]);
	ck_assert_uint_eq(served_count, 0);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(served_count, 2);
	ck_assert_ptr_eq(served[0], &takers[0]);
	ck_assert_ptr_eq(served[1], &takers[1]);
	rt_memory_give(memory, &singles[2]);
	rt_loop_turn(loop, -1);
	ck_assert_ptr_eq(served[2], &takers[2]);
}
END_TEST

START_TEST(a_waiter_that_needs_more_keeps_its_place_and_those_behind_are_not_asked)
{
	takers[0].length = 2 * PAGE;
	all_wait();
	rt_memory_give(memory, &singles[0]);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(takers[0].asked, 1);
	ck_assert_uint_eq(takers[1].asked, 0);
	rt_memory_give(memory, &singles[1]);
	rt_memory_give(memory, &singles[2]);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(served_count, 2);
	ck_assert_ptr_eq(served[0], &takers[0]);
	ck_assert_ptr_eq(served[1], &takers[1]);
}
END_TEST

START_TEST(nobody_overtakes_those_that_wait)
{
	all_wait();
	rt_memory_give(memory, &singles[0]);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, 1, &buffer), -ENOMEM);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_READ, limit(RT_MEMORY_READ) + 1, &buffer), -E2BIG);
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_SOLICITED, 1, &buffer), 0);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(served_count, 1);
}
END_TEST

START_TEST(a_waiter_that_gives_up_lets_the_next_one_try)
{
	takers[0].length = 2 * PAGE;
	all_wait();
	rt_memory_give(memory, &singles[0]);
	rt_loop_turn(loop, -1);
	rt_memory_cancel_wait(memory, &takers[0].waiter);
	rt_memory_cancel_wait(memory, &takers[0].waiter);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(served_count, 1);
	ck_assert_ptr_eq(served[0], &takers[1]);
}
END_TEST

START_TEST(a_waiter_may_go_away_when_it_is_served)
{
	struct taker *taker = calloc(1, sizeof(*taker));

	*taker = (struct taker){{.room = take_or_wait}, .class = RT_MEMORY_READ, .length = 1, .frees_itself = true};
	take_single_pages(RT_MEMORY_READ);
	rt_memory_wait(memory, RT_MEMORY_READ, &taker->waiter);
	rt_memory_wait(memory, RT_MEMORY_READ, &takers[1].waiter);
	rt_memory_give(memory, &singles[0]);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(served_count, 2);
}
END_TEST

/* Takes one page, cannot have the second, gives the first back. */
static void take_half_and_give_back(struct rt_memory_waiter *self)
{
	struct taker *taker = RT_CONTAINER_OF(self, struct taker, waiter);

	taker->asked++;
	ck_assert_int_eq(rt_memory_take_first(memory, taker->class, PAGE, &taker->buffer), 0);
	ck_assert_int_eq(rt_memory_take_first(memory, taker->class, PAGE, &taker->buffer), -ENOMEM);
	rt_memory_give(memory, &taker->buffer);
	rt_memory_wait(memory, taker->class, self);
}

START_TEST(an_attempt_that_gives_back_what_it_took_is_not_repeated_for_ever)
{
	takers[0].waiter.room = take_half_and_give_back;
	all_wait();
	rt_memory_give(memory, &singles[0]);
	rt_loop_turn(loop, -1);
	rt_loop_turn(loop, 0);
	ck_assert_uint_eq(takers[0].asked, 1);
}
END_TEST

static void reserve_or_wait(struct rt_memory_waiter *self)
{
	if (rt_memory_reserve(memory, PAGE))
		served_count++;
	else
		rt_memory_wait(memory, RT_MEMORY_WINDOW, self);
}

START_TEST(those_that_want_credit_are_asked_when_some_is_free)
{
	for (unsigned i = 0; i < 3; i++)
		takers[i].waiter.room = reserve_or_wait;
	ck_assert(rt_memory_reserve(memory, limit(RT_MEMORY_WINDOW)));
	ck_assert_int_eq(rt_memory_take(memory, RT_MEMORY_WINDOW, PAGE, &buffer), 0);
	for (unsigned i = 0; i < 3; i++)
		rt_memory_wait(memory, RT_MEMORY_WINDOW, &takers[i].waiter);
	rt_memory_unreserve(memory, PAGE);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(served_count, 1);
	rt_memory_give(memory, &buffer);
	rt_loop_turn(loop, -1);
	ck_assert_uint_eq(served_count, 2);
}
END_TEST

static void add_take_tests(Suite *suite)
{
	TCase *tests = tcase_create("takes");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, shares_are_as_documented);
	tcase_add_test(tests, every_length_is_one_piece_of_exact_pages_when_nothing_is_fragmented);
	tcase_add_test(tests, a_take_fills_the_rest_of_the_last_page_first);
	tcase_add_test(tests, the_page_given_last_is_taken_first);
	tcase_add_test(tests, a_full_share_refuses_and_leaves_the_buffer_alone);
	tcase_add_test(tests, what_can_never_fit_is_told_apart);
	tcase_add_test(tests, fragments_serve_as_far_as_the_segments_reach);
	tcase_add_test(tests, a_take_that_fails_half_way_loses_no_page);
	tcase_add_test(tests, a_class_that_has_drained_is_whole_again);
	tcase_add_test(tests, the_largest_transfer_fits_every_class);
	tcase_add_test(tests, buffers_never_overlap);
	tcase_add_test(tests, destroying_with_pages_out_is_caught);
	suite_add_tcase(suite, tests);
}

static void add_credit_tests(Suite *suite)
{
	TCase *tests = tcase_create("credit");

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, credit_and_what_is_taken_stay_within_the_share);
	tcase_add_loop_test(tests, window_takes_succeed_however_fragmented, 0, 6);
	tcase_add_test(tests, window_takes_of_large_units_do_not_break_each_other);
	tcase_add_test(tests, taking_window_memory_without_credit_is_caught);
	suite_add_tcase(suite, tests);
}

static void add_waiter_tests(Suite *suite)
{
	TCase *tests = tcase_create("waiters");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_checked_fixture(tests, setup_takers, teardown_takers);
	tcase_add_test(tests, waiters_are_served_in_order_from_the_loop);
	tcase_add_test(tests, a_waiter_that_needs_more_keeps_its_place_and_those_behind_are_not_asked);
	tcase_add_test(tests, nobody_overtakes_those_that_wait);
	tcase_add_test(tests, a_waiter_that_gives_up_lets_the_next_one_try);
	tcase_add_test(tests, a_waiter_may_go_away_when_it_is_served);
	tcase_add_test(tests, an_attempt_that_gives_back_what_it_took_is_not_repeated_for_ever);
	tcase_add_test(tests, those_that_want_credit_are_asked_when_some_is_free);
	suite_add_tcase(suite, tests);
}

Suite *memory_suite(void)
{
	Suite *suite = suite_create("memory");

	add_take_tests(suite);
	add_credit_tests(suite);
	add_waiter_tests(suite);
	return suite;
}
