/* SPDX-License-Identifier: Apache-2.0
 *
 * The control verbs.
 */
#include "store/store.h"

#include <errno.h>

#include "store/host.h"
#include "unit/runner.h"
#include "unit/store/rig.h"

#define SIZE_BYTES (1u << 20)

static char error[STORE_ERROR_BYTES];

static void setup(void)
{
	rig_reset(SIZE_BYTES);
	error[0] = '\0';
}

static void teardown(void)
{
	rig_close();
	rig_free();
}

/* ---- Opening -------------------------------------------------------------------------------------------------------
 */

START_TEST(an_opened_store_says_what_it_is)
{
	rig.capabilities.optimal_transfer_bytes = 65536;
	rig_open();
	ck_assert_str_eq(store_name(rig_store), "rig:test");
	ck_assert_uint_eq(store_size_bytes(rig_store), SIZE_BYTES);
	ck_assert_uint_eq(store_capabilities(rig_store)->optimal_transfer_bytes, 65536);
	ck_assert_ptr_eq(store_plugin_of(rig_store), rig_plugin());
	ck_assert_int_eq(rig.last_number, 5);
}
END_TEST

START_TEST(a_store_can_be_closed_where_no_worker_ever_ran)
{
	rig.blocking = true;
	rig_open();
	rig_close();
	ck_assert_uint_eq(rig.opens, 1);
	ck_assert_uint_eq(rig.closes, 1);
}
END_TEST

START_TEST(the_plugins_reason_is_given_with_the_stores_name)
{
	rig.open_status = -ENXIO;
	ck_assert_int_eq(rig_try_open(error), -ENXIO);
	ck_assert_str_eq(error, "rig:test: the disk is gone");
	ck_assert_uint_eq(rig.closes, 0);
}
END_TEST

START_TEST(settings_reach_the_plugin_and_wrong_ones_do_not)
{
	const struct store_setting good = {"number", "7"}, wrong = {"nubmer", "7"};
	struct store_spec spec = {
	    .plugin = rig_plugin(),
	    .path = "test",
	    .settings = &wrong,
	    .setting_count = 1,
	    .logical_block_bytes = RIG_BLOCK,
	};

	ck_assert_int_eq(store_check(&spec, error), -EINVAL);
	ck_assert_int_eq(store_open(&spec, &rig_store, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "rig:test"));
	ck_assert_ptr_nonnull(strstr(error, "nubmer"));
	ck_assert_uint_eq(rig.opens, 0);
	spec.settings = &good;
	ck_assert_int_eq(store_check(&spec, error), 0);
	ck_assert_uint_eq(rig.opens, 0);
	ck_assert_int_eq(store_open(&spec, &rig_store, error), 0);
	ck_assert_int_eq(rig.last_number, 7);
}
END_TEST

START_TEST(impossible_wishes_are_refused_before_the_plugin_is_asked)
{
	struct store_spec spec = {
	    .plugin = rig_plugin(),
	    .path = "test",
	    .create = true,
	    .size_bytes = 1000,
	    .logical_block_bytes = RIG_BLOCK,
	};

	ck_assert_int_eq(store_open(&spec, &rig_store, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "multiple"));
	spec.size_bytes = 1024;
	spec.read_only = true;
	ck_assert_int_eq(store_check(&spec, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "read-only"));
	ck_assert_uint_eq(rig.opens, 0);
}
END_TEST

/* ---- What a plugin may declare -------------------------------------------------------------------------------------
 */

static void assert_refused(const char *word)
{
	unsigned opens = rig.opens, closes = rig.closes;

	ck_assert_int_eq(rig_try_open(error), -EINVAL);
	ck_assert_msg(strstr(error, word) != NULL, "'%s' does not say '%s'", error, word);
	ck_assert_uint_eq(rig.opens, opens + 1);
	ck_assert_uint_eq(rig.closes, closes + 1);
	rig_free();
	rig_reset(SIZE_BYTES);
}

START_TEST(contradictory_capabilities_are_refused_and_the_store_closed)
{
	rig.capabilities.flags = 1u << 30;
	assert_refused("0x40000000");
	rig.capabilities.flags = TGTKIT_VOLATILE_CACHE;
	assert_refused("flush");
	rig.capabilities.flags |= TGTKIT_DISCARD_READS_ZERO;
	assert_refused("discard");
	rig.blocking = true;
	rig.capabilities.flags |= TGTKIT_CAN_COPY;
	assert_refused("copy");
	rig.capabilities.max_parallel = 1u << 20;
	assert_refused("max_parallel");
	memset(rig.capabilities.identity, 'x', sizeof(rig.capabilities.identity));
	assert_refused("identity");
}
END_TEST

START_TEST(impossible_limits_are_refused)
{
	rig.capabilities.offset_alignment_bytes = 3;
	assert_refused("offset_alignment_bytes 3");
	rig.capabilities.offset_alignment_bytes = 2u << 20;
	assert_refused("offset_alignment_bytes");
	rig.capabilities.memory_alignment_bytes = 8192;
	assert_refused("memory_alignment_bytes 8192");
	rig.capabilities.physical_block_bytes = 1000;
	assert_refused("physical_block_bytes");
	rig.capabilities.maximum_transfer_bytes = 256;
	assert_refused("maximum_transfer_bytes 256");
	rig.capabilities.size_bytes = 100;
	assert_refused("100 bytes");
	rig.capabilities.size_bytes = (uint64_t)INT64_MAX + 1;
	assert_refused("2^63");
}
END_TEST

START_TEST(a_tail_that_is_no_whole_block_is_not_served)
{
	rig.capabilities.size_bytes = SIZE_BYTES - 100;
	rig_open();
	ck_assert_uint_eq(store_size_bytes(rig_store), SIZE_BYTES - 512);
	rig_close();
	rig.capabilities.offset_alignment_bytes = 4096;
	rig_open();
	ck_assert_uint_eq(store_size_bytes(rig_store), SIZE_BYTES - 4096);
}
END_TEST

/* ---- Size and options ----------------------------------------------------------------------------------------------
 */

START_TEST(a_refresh_takes_the_new_size)
{
	rig_open();
	rig.capabilities.size_bytes = SIZE_BYTES / 2;
	ck_assert_int_eq(store_refresh(rig_store, error), 0);
	ck_assert_uint_eq(store_size_bytes(rig_store), SIZE_BYTES / 2);
	rig.capabilities.size_bytes = 1;
	ck_assert_int_eq(store_refresh(rig_store, error), -EINVAL);
	ck_assert_uint_eq(store_size_bytes(rig_store), SIZE_BYTES / 2);
}
END_TEST

START_TEST(a_resize_is_checked_and_passed_on)
{
	rig_open();
	ck_assert_int_eq(store_resize(rig_store, SIZE_BYTES - 1, true, error), -EINVAL);
	ck_assert_int_eq(store_resize(rig_store, 0, true, error), -EINVAL);
	ck_assert_int_eq(store_resize(rig_store, SIZE_BYTES / 2, false, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "--shrink"));
	ck_assert_uint_eq(rig.resized_to, 0);
	ck_assert_int_eq(store_resize(rig_store, SIZE_BYTES / 2, true, error), 0);
	ck_assert_uint_eq(rig.resized_to, SIZE_BYTES / 2);
	ck_assert_uint_eq(store_size_bytes(rig_store), SIZE_BYTES / 2);
	ck_assert_int_eq(store_resize(rig_store, SIZE_BYTES, false, error), 0);
	ck_assert_uint_eq(store_size_bytes(rig_store), SIZE_BYTES);
}
END_TEST

START_TEST(a_read_only_store_is_not_resized)
{
	rig.capabilities.flags |= TGTKIT_READ_ONLY;
	rig_open();
	ck_assert_int_eq(store_resize(rig_store, 2 * SIZE_BYTES, false, error), -EROFS);
}
END_TEST

START_TEST(new_options_are_checked_and_passed_on)
{
	const struct store_setting good = {"number", "9"}, wrong = {"number", "nine"};

	rig_open();
	ck_assert_int_lt(store_reload(rig_store, &wrong, 1, error), 0);
	ck_assert_uint_eq(rig.reloads, 0);
	ck_assert_int_eq(store_reload(rig_store, &good, 1, error), 0);
	ck_assert_int_eq(rig.last_number, 9);
	rig.reload_status = -EBUSY;
	ck_assert_int_eq(store_reload(rig_store, &good, 1, error), -EBUSY);
}
END_TEST

/* ---- Events --------------------------------------------------------------------------------------------------------
 */

static int last_event;

static void note_event(void *context, enum tgtkit_event event)
{
	ck_assert_ptr_eq(context, &last_event);
	last_event = (int)event;
}

START_TEST(events_reach_the_one_who_opened_the_store)
{
	struct store_spec spec = {
	    .plugin = rig_plugin(),
	    .path = "test",
	    .logical_block_bytes = RIG_BLOCK,
	    .event = note_event,
	    .event_context = &last_event,
	};

	ck_assert_int_eq(store_open(&spec, &rig_store, error), 0);
	store_host()->event(rig.unit, TGTKIT_EVENT_LOST);
	ck_assert_int_eq(last_event, TGTKIT_EVENT_LOST);
	store_host()->event(rig.unit, 77);
	ck_assert_int_eq(last_event, TGTKIT_EVENT_LOST);
}
END_TEST

Suite *store_suite(void)
{
	Suite *suite = suite_create("store");
	TCase *tests = tcase_create("control");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, an_opened_store_says_what_it_is);
	tcase_add_test(tests, a_store_can_be_closed_where_no_worker_ever_ran);
	tcase_add_test(tests, the_plugins_reason_is_given_with_the_stores_name);
	tcase_add_test(tests, settings_reach_the_plugin_and_wrong_ones_do_not);
	tcase_add_test(tests, impossible_wishes_are_refused_before_the_plugin_is_asked);
	tcase_add_test(tests, contradictory_capabilities_are_refused_and_the_store_closed);
	tcase_add_test(tests, impossible_limits_are_refused);
	tcase_add_test(tests, a_tail_that_is_no_whole_block_is_not_served);
	tcase_add_test(tests, a_refresh_takes_the_new_size);
	tcase_add_test(tests, a_resize_is_checked_and_passed_on);
	tcase_add_test(tests, a_read_only_store_is_not_resized);
	tcase_add_test(tests, new_options_are_checked_and_passed_on);
	tcase_add_test(tests, events_reach_the_one_who_opened_the_store);
	suite_add_tcase(suite, tests);
	return suite;
}
