/* SPDX-License-Identifier: Apache-2.0
 *
 * Start and stop of the model, its snapshot, and what the stores report while it runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "scsi/lun_map.h"
#include "target/check.h"
#include "target/model.h"
#include "target/unit.h"
#include "unit/runner.h"
#include "unit/target/fakes.h"
#include "unit/target/folder.h"
#include "unit/target/sample.h"

static struct target_configuration configuration;
static struct target_spec *target;
static struct target_model *model;
static char error[TARGET_ERROR_BYTES];

enum { NOT_CALLED = 12345 };
static int started_status, stop_result;

static void setup(void)
{
	fakes_init();
	folder_make();
	sample_init(&configuration);
	target = sample_add_target(&configuration, "a");
	started_status = stop_result = NOT_CALLED;
}

static void teardown(void)
{
	target_model_free(model);
	target_configuration_free(&configuration);
	folder_remove();
	fakes_end();
}

static void started(void *context, int status)
{
	ck_assert_ptr_eq(context, &configuration);
	ck_assert_int_eq(started_status, NOT_CALLED);
	started_status = status;
}

static void stopped(void *context, enum target_stop_result result)
{
	ck_assert_ptr_eq(context, &configuration);
	ck_assert_int_eq(stop_result, NOT_CALLED);
	stop_result = (int)result;
}

static void begin(void)
{
	target_check(&configuration, &sample_problem_sink);
	ck_assert_str_eq(sample_problems, "");
	ck_assert_int_eq(target_model_create(fakes.control, &configuration, &model, error), 0);
	target_model_start(model, started, &configuration);
}

static int start(void)
{
	begin();
	fakes_settle();
	return started_status;
}

static int stop(void)
{
	target_model_stop(model, stopped, &configuration);
	fakes_settle();
	return stop_result;
}

/* Everything that was opened has been closed again, units before their stores (the fakes see to the order). */
static void check_all_closed(void)
{
	for (unsigned i = 0; i < fakes.store_count; i++)
		ck_assert(!fakes.stores[i].is_open);
	for (unsigned i = 0; i < fakes.unit_count; i++)
		ck_assert(!fakes.units[i].exists);
	for (unsigned i = 0; i < fakes.listener_count; i++)
		ck_assert(!fakes.listeners[i].is_open);
	ck_assert(!fakes.server_runs);
}

START_TEST(a_configuration_is_served_and_ended)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	ck_assert_uint_eq(fakes.store_count, 1);
	ck_assert_uint_eq(fakes.unit_count, 1);
	ck_assert_str_eq(fakes.units[0].name, "mem:x");
	ck_assert(fakes.units[0].available);
	ck_assert_uint_eq(fakes.publications, 1);
	ck_assert_uint_eq(fakes.listener_count, 1);
	ck_assert_uint_eq(fakes.listeners[0].tag, 1);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(the_snapshot_is_sorted_and_complete)
{
	static const uint16_t tags[] = {2, 1};
	struct target_spec *first = sample_add_target(&configuration, "0");
	const struct iscsi_directory *directory;
	const struct iscsi_target *published;

	sample_add_group(&configuration, 2, "[::1]:3260", "[::1]:3261")->portals[1].advertise = "san.example.org";
	target->group_tags = tags;
	target->group_tag_count = 2;
	target->alias = "alias";
	target->parameters.max_sessions = 9;
	sample_add_lun(&configuration, target, 300, "mem:x");
	sample_add_lun(&configuration, target, 2, "mem:y")->read_only = true;
	sample_add_lun(&configuration, first, 1, "mem:x");
	ck_assert_int_eq(start(), 0);
	directory = fakes.directory;
	ck_assert_uint_eq(directory->target_count, 2);
	ck_assert_str_eq(directory->targets[0].name, first->name);
	published = iscsi_directory_find_target(directory, target->name);
	ck_assert_ptr_nonnull(published);
	ck_assert_str_eq(published->alias, "alias");
	ck_assert_uint_eq(published->parameters.max_sessions, 9);
	ck_assert_uint_eq(published->port_count, 2);
	ck_assert_uint_eq(iscsi_target_find_port(published, 2)->relative_target_port_id, 1);
	ck_assert_uint_eq(iscsi_target_find_port(published, 1)->relative_target_port_id, 2);
	ck_assert_uint_eq(published->lun_map->count, 2);
	ck_assert_uint_eq(published->lun_map->mappings[0].lun, 2);
	ck_assert(published->lun_map->mappings[0].read_only && !published->lun_map->mappings[1].read_only);
	/* One logical unit in two targets. */
	ck_assert_ptr_eq(published->lun_map->mappings[1].unit, directory->targets[0].lun_map->mappings[0].unit);
	ck_assert_uint_eq(directory->group_count, 2);
	ck_assert_uint_eq(directory->groups[1].tag, 2);
	ck_assert_ptr_null(directory->groups[1].portals[0].advertise);
	ck_assert_str_eq(directory->groups[1].portals[1].advertise, "san.example.org:3260");
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(without_targets_there_is_discovery_of_nothing)
{
	configuration.target_count = 0;
	ck_assert_int_eq(start(), 0);
	ck_assert_uint_eq(fakes.directory->target_count, 0);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(a_port_that_the_kernel_picked_is_published)
{
	configuration.groups[0].portals[0].listen = "127.0.0.1:0";
	ck_assert_int_eq(start(), 0);
	ck_assert_uint_eq(fakes.publications, 2);
	ck_assert_uint_eq(ntohs(((const struct sockaddr_in *)&fakes.directory->groups[0].portals[0].address)->sin_port),
			  40000);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

/* ---- Serials -------------------------------------------------------------------------------------------------------
 */

START_TEST(the_serial_is_the_configurations_else_the_stores_else_the_ledgers)
{
	struct lun_spec *lun = sample_add_lun(&configuration, target, 0, "mem:x");
	char derived[TARGET_SERIAL_BYTES];

	lun->serial = _i == 0 ? "configured" : "";
	fakes.identity = _i < 2 ? "identity" : NULL;
	ck_assert_int_eq(start(), 0);
	target_serial_of_store("mem", "x", derived);
	ck_assert_str_eq(fakes.units[0].serial, _i == 0 ? "configured" : _i == 1 ? "identity" : derived);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(two_stores_that_say_they_are_the_same_are_refused)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	sample_add_lun(&configuration, target, 1, "mem:y");
	fakes.identity = "identity";
	ck_assert_int_eq(start(), -EEXIST);
	ck_assert_uint_eq(fakes.listener_count, 0);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(serials_are_durable_before_anybody_sees_them)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	configuration.daemon.state_dir = folder;
	begin();
	/* The open, then the save, which waits for the pool. */
	fakes_run_jobs();
	rt_loop_turn(fakes.control, 0);
	ck_assert_uint_eq(fakes.unit_count, 1);
	ck_assert_uint_eq(fakes.publications, 0);
	fakes_settle();
	ck_assert_uint_eq(fakes.publications, 1);
	ck_assert_ptr_nonnull(strstr(folder_read("serials"), fakes.units[0].serial));
	ck_assert_str_eq(folder_read("ports"), "tgtkit ports 1\n1 iqn.2026-11.org.example:a,1\n");
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

/* ---- A start that fails --------------------------------------------------------------------------------------------
 */

START_TEST(a_store_that_does_not_open_ends_the_start_and_closes_the_others)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	sample_add_lun(&configuration, target, 1, "mem:y");
	fakes.fail_open = "y";
	ck_assert_int_eq(start(), -EIO);
	ck_assert_uint_eq(fakes.store_count, 1);
	ck_assert_uint_eq(fakes.publications, 0);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(a_store_that_hangs_in_open_ends_the_start_in_time)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	configuration.daemon.open_timeout_s = 0;
	begin();
	rt_loop_turn(fakes.control, 0);
	rt_loop_turn(fakes.control, 0);
	ck_assert_int_eq(started_status, -ETIMEDOUT);
	target_model_stop(model, stopped, &configuration);
	ck_assert_int_eq(stop_result, TARGET_STUCK);
	/* It comes back after all: nobody is told again. */
	fakes_settle();
	ck_assert_int_eq(started_status, -ETIMEDOUT);
	ck_assert_uint_eq(fakes.publications, 0);
}
END_TEST

static struct scsi_lun_map *published_map(void)
{
	return iscsi_directory_find_target(fakes.directory, target->name)->lun_map;
}

static void start_with_absent_store(void)
{
	configuration.daemon.retry_open_s = 3600;
	sample_add_lun(&configuration, target, 0, "mem:x");
	sample_add_lun(&configuration, target, 1, "mem:absent");
	fakes.fail_open = "absent";
	ck_assert_int_eq(start(), 0);
}

static struct target_unit *unit_of(size_t lun)
{
	return target_model_unit(model, &configuration.targets[0].luns[lun]);
}

START_TEST(a_store_that_does_not_open_is_waited_for_and_published_when_it_is_there)
{
	start_with_absent_store();
	ck_assert_uint_eq(published_map()->count, 2);
	ck_assert_ptr_nonnull(published_map()->mappings[0].unit);
	ck_assert(scsi_lun_map_awaits(published_map(), 1));
	ck_assert(target_unit_is_waiting(unit_of(1)));
	ck_assert_ptr_nonnull(strstr(unit_of(1)->last_error, "absent"));
	target_unit_retry_now(unit_of(1));
	fakes_settle();
	ck_assert(target_unit_is_waiting(unit_of(1)) && fakes.publications == 1);
	fakes.fail_open = NULL;
	target_unit_retry_now(unit_of(1));
	fakes_settle();
	ck_assert(!target_unit_is_waiting(unit_of(1)) && !unit_of(1)->awaited);
	ck_assert_uint_eq(fakes.publications, 2);
	ck_assert_ptr_eq(published_map()->mappings[1].unit, unit_of(1)->logical_unit);
	ck_assert_ptr_nonnull(published_map()->mappings[1].unit);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(a_store_that_is_waited_for_holds_up_no_end)
{
	start_with_absent_store();
	target_unit_retry_now(unit_of(1)); /* on its way while the model stops */
	fakes.fail_open = _i ? NULL : "absent";
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(an_opening_that_hangs_is_waited_for_and_its_end_is_no_loss)
{
	configuration.daemon.retry_open_s = 3600;
	configuration.daemon.open_timeout_s = configuration.daemon.shutdown_timeout_s = 0;
	configuration.daemon.state_dir = "";
	sample_add_lun(&configuration, target, 0, "mem:x");
	begin();
	/* The pool's job does not run: the opening is late. */
	while (started_status == NOT_CALLED)
		rt_loop_turn(fakes.control, 0);
	ck_assert_int_eq(started_status, 0);
	ck_assert(target_unit_is_waiting(unit_of(0)));
	target_model_stop(model, stopped, &configuration);
	while (stop_result == NOT_CALLED)
		rt_loop_turn(fakes.control, 0);
	ck_assert_int_eq(stop_result, TARGET_STUCK_OPENING);
	fakes_settle();
}
END_TEST

START_TEST(a_portal_that_is_taken_ends_the_start)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	sample_add_group(&configuration, 2, "127.0.0.1:4000", NULL);
	fakes.fail_listen_port = 4000;
	ck_assert_int_eq(start(), -EADDRINUSE);
	ck_assert_uint_eq(fakes.listener_count, 1);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(a_start_can_be_canceled)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	begin();
	target_model_cancel_start(model);
	fakes_settle();
	ck_assert_int_eq(started_status, -ECANCELED);
	ck_assert_uint_eq(fakes.publications, 0);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	check_all_closed();
}
END_TEST

START_TEST(a_state_folder_in_use_is_an_error)
{
	struct target_model *second = NULL;

	configuration.daemon.state_dir = folder;
	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(target_model_create(fakes.control, &configuration, &second, error), -EBUSY);
	ck_assert_ptr_null(second);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

/* ---- Events of stores ----------------------------------------------------------------------------------------------
 */

static void raise_event(enum tgtkit_event event)
{
	fakes.stores[0].event(fakes.stores[0].event_context, event);
}

START_TEST(a_lost_backend_makes_its_unit_unavailable_until_it_is_back)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	raise_event(TGTKIT_EVENT_LOST);
	fakes_settle();
	ck_assert(!fakes.units[0].available);
	raise_event(TGTKIT_EVENT_BACK);
	fakes_settle();
	ck_assert(fakes.units[0].available);
	raise_event(TGTKIT_EVENT_LOST);
	raise_event(TGTKIT_EVENT_BACK);
	raise_event(TGTKIT_EVENT_LOST);
	fakes_settle();
	ck_assert(!fakes.units[0].available);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

static int taken_over_status;

static void taken_over(struct target_unit *unit)
{
	taken_over_status = unit->status;
}

START_TEST(a_store_of_another_host_is_in_standby_until_it_is_taken_over)
{
	struct target_unit *unit;

	sample_add_lun(&configuration, target, 0, "mem:x");
	fakes_can_take_over(true);
	fakes.event_in_open = TGTKIT_EVENT_STANDBY;
	ck_assert_int_eq(start(), 0);
	ck_assert(fakes.units[0].standby && fakes.units[0].available);
	unit = target_model_unit(model, &target_model_configuration(model)->targets[0].luns[0]);
	taken_over_status = 1;
	fakes.take_over_status = -EBUSY;
	ck_assert_int_eq(target_unit_take_over(unit, taken_over), 0);
	ck_assert_int_eq(target_unit_take_over(unit, taken_over), -EBUSY);
	fakes_settle();
	ck_assert_int_eq(taken_over_status, -EBUSY);
	ck_assert(fakes.units[0].standby);
	fakes.take_over_status = 0;
	ck_assert_int_eq(target_unit_take_over(unit, taken_over), 0);
	fakes_settle();
	ck_assert_int_eq(taken_over_status, 0);
	ck_assert(!fakes.units[0].standby);
	raise_event(TGTKIT_EVENT_STANDBY);
	fakes_settle();
	ck_assert(fakes.units[0].standby);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(a_fenced_unit_does_not_come_back)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	raise_event(TGTKIT_EVENT_FENCED);
	raise_event(TGTKIT_EVENT_BACK);
	fakes_settle();
	ck_assert(!fakes.units[0].available);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(an_offline_unit_stays_so_when_its_backend_is_back)
{
	sample_add_lun(&configuration, target, 0, "mem:x")->online = false;
	ck_assert_int_eq(start(), 0);
	ck_assert(!fakes.units[0].available);
	raise_event(TGTKIT_EVENT_BACK);
	fakes_settle();
	ck_assert(!fakes.units[0].available);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(a_backend_lost_before_the_unit_was_made_is_not_forgotten)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	fakes.event_in_open = TGTKIT_EVENT_LOST;
	ck_assert_int_eq(start(), 0);
	ck_assert(!fakes.units[0].available);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(a_changed_capacity_is_looked_at_on_the_pool_and_told)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	raise_event(TGTKIT_EVENT_CAPACITY_CHANGED);
	rt_loop_turn(fakes.control, 0);
	ck_assert_uint_eq(fakes.stores[0].refreshes, 0);
	fakes.growth_bytes = 512;
	/* Another while the first waits for the pool: one more look afterwards. */
	raise_event(TGTKIT_EVENT_CAPACITY_CHANGED);
	rt_loop_turn(fakes.control, 0);
	fakes_settle();
	ck_assert_uint_eq(fakes.stores[0].refreshes, 2);
	ck_assert_uint_eq(fakes.units[0].capacity_changes, 2);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(a_capacity_that_has_not_changed_is_not_told)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	raise_event(TGTKIT_EVENT_CAPACITY_CHANGED);
	fakes_settle();
	fakes.refresh_status = -EIO;
	raise_event(TGTKIT_EVENT_CAPACITY_CHANGED);
	fakes_settle();
	ck_assert_uint_eq(fakes.stores[0].refreshes, 2);
	ck_assert_uint_eq(fakes.units[0].capacity_changes, 0);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

/* As no event needs to tell of growth, of either tier. */
START_TEST(a_store_is_looked_at_now_and_then)
{
	const int longer_than_the_interval_ms = 5000;

	sample_add_lun(&configuration, target, 0, "mem:x");
	configuration.daemon.refresh_interval_s = 1;
	fakes_be_asynchronous(_i == 1);
	ck_assert_int_eq(start(), 0);
	fakes.growth_bytes = 512;
	for (unsigned turns = 0; fakes.stores[0].refreshes < 2 && turns < 16; turns++) {
		rt_loop_turn(fakes.control, longer_than_the_interval_ms);
		fakes_run_jobs();
	}
	fakes_settle();
	ck_assert_uint_eq(fakes.stores[0].refreshes, 2);
	ck_assert_uint_eq(fakes.units[0].capacity_changes, 2);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(a_capacity_that_changed_during_the_open_is_looked_at_again)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	fakes.event_in_open = TGTKIT_EVENT_CAPACITY_CHANGED;
	ck_assert_int_eq(start(), 0);
	ck_assert_uint_eq(fakes.stores[0].refreshes, 1);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(a_refresh_under_way_ends_before_the_store_is_closed)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	raise_event(TGTKIT_EVENT_CAPACITY_CHANGED);
	rt_loop_turn(fakes.control, 0);
	target_model_stop(model, stopped, &configuration);
	for (unsigned i = 0; i < 8; i++)
		rt_loop_turn(fakes.control, 0);
	ck_assert_int_eq(stop_result, NOT_CALLED);
	fakes_settle();
	ck_assert_int_eq(stop_result, TARGET_STOPPED);
	ck_assert_uint_eq(fakes.stores[0].refreshes, 1);
	check_all_closed();
}
END_TEST

static int resize_status;

/* As far as the end comes while the pool does nothing. */
static void begin_stop(void)
{
	target_model_stop(model, stopped, &configuration);
	for (unsigned i = 0; i < 8; i++)
		rt_loop_turn(fakes.control, 0);
	ck_assert_int_eq(stop_result, NOT_CALLED);
}

static void resized(struct target_unit *unit)
{
	ck_assert_int_eq(resize_status, NOT_CALLED);
	resize_status = unit->status;
}

START_TEST(a_change_of_size_that_waits_is_answered_when_the_unit_closes)
{
	struct target_unit *unit;

	resize_status = NOT_CALLED;
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	unit = target_model_unit(model, &configuration.targets[0].luns[0]);
	target_unit_refresh(unit); /* what it waits for */
	ck_assert_int_eq(target_unit_resize(unit, 2u << 20, false, resized), 0);
	begin_stop();
	fakes_settle();
	ck_assert_int_eq(stop_result, TARGET_STOPPED);
	ck_assert_int_eq(resize_status, -ECANCELED);
	check_all_closed();
}
END_TEST

/* The unit is made quiet to shrink, and then again to end. */
START_TEST(a_shrinking_is_answered_when_the_unit_closes)
{
	struct target_unit *unit;

	resize_status = NOT_CALLED;
	sample_add_lun(&configuration, target, 0, "mem:x")->online = false;
	ck_assert_int_eq(start(), 0);
	unit = target_model_unit(model, &configuration.targets[0].luns[0]);
	fakes.holds_quiesce = true;
	ck_assert_int_eq(target_unit_resize(unit, 1u << 19, true, resized), 0);
	begin_stop();
	fakes.holds_quiesce = false;
	rt_loop_post(fakes.control, &fakes.units[0].quiesce->done);
	fakes_settle();
	ck_assert_int_eq(stop_result, TARGET_STOPPED);
	ck_assert_int_eq(resize_status, -ECANCELED);
	check_all_closed();
}
END_TEST

/* ---- The end -------------------------------------------------------------------------------------------------------
 */

START_TEST(sessions_get_half_of_the_time_so_that_the_flush_has_some)
{
	ck_assert_int_eq(start(), 0);
	ck_assert_int_eq(stop(), TARGET_STOPPED);
	ck_assert_uint_eq(fakes.server_stop_timeout_us, 2500000);
}
END_TEST

START_TEST(a_failed_flush_is_a_loss_and_the_rest_is_closed_all_the_same)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	sample_add_lun(&configuration, target, 1, "mem:y");
	ck_assert_int_eq(start(), 0);
	fakes.flush_status = -EIO;
	ck_assert_int_eq(stop(), TARGET_STOPPED_WITH_LOSS);
	check_all_closed();
}
END_TEST

START_TEST(a_read_only_unit_has_nothing_to_flush)
{
	sample_add_lun(&configuration, target, 0, "mem:x")->read_only = true;
	ck_assert_int_eq(start(), 0);
	ck_assert(fakes.stores[0].read_only && fakes.units[0].read_only);
	fakes.flush_status = -EIO;
	ck_assert_int_eq(stop(), TARGET_STOPPED);
}
END_TEST

START_TEST(a_flush_that_hangs_ends_the_stop_in_time)
{
	sample_add_lun(&configuration, target, 0, "mem:x");
	ck_assert_int_eq(start(), 0);
	configuration.daemon.shutdown_timeout_s = 0;
	fakes.holds_quiesce = true;
	ck_assert_int_eq(stop(), TARGET_STUCK);
	/* It comes back after all: nothing is touched any more. */
	rt_loop_post(fakes.control, &fakes.units[0].quiesce->done);
	fakes_settle();
	ck_assert(fakes.units[0].exists);
}
END_TEST

static void add_start_tests(Suite *suite)
{
	TCase *tests = tcase_create("start");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_configuration_is_served_and_ended);
	tcase_add_test(tests, the_snapshot_is_sorted_and_complete);
	tcase_add_test(tests, without_targets_there_is_discovery_of_nothing);
	tcase_add_test(tests, a_port_that_the_kernel_picked_is_published);
	tcase_add_loop_test(tests, the_serial_is_the_configurations_else_the_stores_else_the_ledgers, 0, 3);
	tcase_add_test(tests, two_stores_that_say_they_are_the_same_are_refused);
	tcase_add_test(tests, serials_are_durable_before_anybody_sees_them);
	tcase_add_test(tests, a_store_that_does_not_open_ends_the_start_and_closes_the_others);
	tcase_add_test(tests, a_store_that_hangs_in_open_ends_the_start_in_time);
	tcase_add_test(tests, a_store_that_does_not_open_is_waited_for_and_published_when_it_is_there);
	tcase_add_loop_test(tests, a_store_that_is_waited_for_holds_up_no_end, 0, 2);
	tcase_add_test(tests, an_opening_that_hangs_is_waited_for_and_its_end_is_no_loss);
	tcase_add_test(tests, a_portal_that_is_taken_ends_the_start);
	tcase_add_test(tests, a_start_can_be_canceled);
	tcase_add_test(tests, a_state_folder_in_use_is_an_error);
	suite_add_tcase(suite, tests);
}

Suite *model_suite(void)
{
	Suite *suite = suite_create("model");
	TCase *tests = tcase_create("run");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_lost_backend_makes_its_unit_unavailable_until_it_is_back);
	tcase_add_test(tests, a_fenced_unit_does_not_come_back);
	tcase_add_test(tests, a_store_of_another_host_is_in_standby_until_it_is_taken_over);
	tcase_add_test(tests, an_offline_unit_stays_so_when_its_backend_is_back);
	tcase_add_test(tests, a_backend_lost_before_the_unit_was_made_is_not_forgotten);
	tcase_add_test(tests, a_changed_capacity_is_looked_at_on_the_pool_and_told);
	tcase_add_test(tests, a_capacity_that_has_not_changed_is_not_told);
	tcase_add_loop_test(tests, a_store_is_looked_at_now_and_then, 0, 2);
	tcase_add_test(tests, a_capacity_that_changed_during_the_open_is_looked_at_again);
	tcase_add_test(tests, a_refresh_under_way_ends_before_the_store_is_closed);
	tcase_add_test(tests, a_change_of_size_that_waits_is_answered_when_the_unit_closes);
	tcase_add_test(tests, a_shrinking_is_answered_when_the_unit_closes);
	tcase_add_test(tests, sessions_get_half_of_the_time_so_that_the_flush_has_some);
	tcase_add_test(tests, a_failed_flush_is_a_loss_and_the_rest_is_closed_all_the_same);
	tcase_add_test(tests, a_read_only_unit_has_nothing_to_flush);
	tcase_add_test(tests, a_flush_that_hangs_ends_the_stop_in_time);
	suite_add_tcase(suite, tests);
	add_start_tests(suite);
	return suite;
}
