/* SPDX-License-Identifier: Apache-2.0
 *
 * The asynchronous rig: other tests rely on the faults that it is ordered to have.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugins_test.h"

#define SIZE_BYTES (1u << 20)

static struct fh_unit *unit;
static int control;
static unsigned char data[4096], seen[4096];

static void connect_control(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, in_scratch("control"));
	control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(control, (struct sockaddr *)&address, sizeof(address)), 0);
}

/* With one more option. */
static void open_rig(const char *key, const char *value)
{
	const struct fh_option options[] = {
	    {"control", in_scratch("control")}, {"backing", in_scratch("backing")}, {key, value}, {NULL, NULL}};
	const struct fh_spec spec = {.plugin = fh_load(RIG_PLUGIN), .path = "1048576", .options = options};

	ck_status(fh_open(&spec, &unit), 0);
	connect_control();
	fill(data, sizeof(data), 1);
}

static void close_rig(void)
{
	close(control);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}

/* The answer to a command, without its newline. */
static const char *answer(void)
{
	static char line[512];
	size_t length = 0;

	do
		ck_assert_int_eq(recv(control, &line[length], 1, 0), 1);
	while (line[length++] != '\n' && length < sizeof(line));
	line[length - 1] = '\0';
	return line;
}

static const char *ask(const char *command)
{
	char line[256];
	const int length = snprintf(line, sizeof(line), "%s\n", command);

	ck_assert_int_eq(send(control, line, (size_t)length, 0), length);
	return answer();
}

#define ck_order(command) ck_assert_str_eq(ask(command), "ok")

START_TEST(failures_hit_what_they_were_ordered_for)
{
	open_rig(NULL, NULL);
	ck_order("fail write EIO 2 4096 4096");
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_status(fh_read(unit, seen, 4096, 4096), 0);
	ck_status(fh_write(unit, data, 4096, 4096, 0), -EIO);
	ck_status(fh_write(unit, data, 512, 8192 - 512, 0), -EIO);
	ck_status(fh_write(unit, data, 4096, 4096, 0), 0);
	ck_order("fail flush ENOSPC 1");
	ck_order("fail any 5 1");
	ck_status(fh_flush(unit), -ENOSPC);
	ck_status(fh_flush(unit), -EIO);
	ck_status(fh_flush(unit), 0);
	ck_order("fail read ETIMEDOUT 100");
	ck_order("clear");
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	close_rig();
}
END_TEST

START_TEST(a_failed_write_changes_nothing)
{
	open_rig(NULL, NULL);
	ck_order("fail write EIO 1");
	ck_status(fh_write(unit, data, 4096, 0, 0), -EIO);
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_uint_eq(seen[0] | seen[1] | seen[4095], 0);
	close_rig();
}
END_TEST

START_TEST(hung_requests_wait_for_their_release)
{
	struct fh_pending *hung[2], *other;

	open_rig(NULL, NULL);
	ck_order("hang write 2");
	hung[0] = fh_start(unit, TGTKIT_WRITE, data, 4096, 0, 0);
	hung[1] = fh_start(unit, TGTKIT_WRITE, data, 4096, 4096, 0);
	other = fh_start(unit, TGTKIT_READ, seen, 4096, 0, 0);
	ck_status(fh_wait(other), 0);
	ck_order("wait-hung 2");
	ck_assert(!fh_is_done(hung[0]) && !fh_is_done(hung[1]));
	ck_assert_uint_eq(seen[0] | seen[1] | seen[2], 0);
	ck_order("release");
	ck_status(fh_wait(hung[0]), 0);
	ck_status(fh_wait(hung[1]), 0);
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	close_rig();
}
END_TEST

START_TEST(a_hung_request_is_cancelled_only_where_that_was_asked_for)
{
	struct fh_pending *hung;

	open_rig("cancellable", "true");
	ck_order("hang read 1");
	hung = fh_start(unit, TGTKIT_READ, seen, 4096, 0, 0);
	ck_status(fh_flush(unit), 0);
	ck_order("wait-hung 1");
	fh_cancel(hung);
	ck_status(fh_wait(hung), -ECANCELED);
	close_rig();
	open_rig(NULL, NULL);
	ck_order("hang read 1");
	hung = fh_start(unit, TGTKIT_READ, seen, 4096, 0, 0);
	ck_status(fh_flush(unit), 0);
	ck_order("wait-hung 1");
	fh_cancel(hung);
	ck_assert(!fh_is_done(hung));
	ck_order("release");
	ck_status(fh_wait(hung), 0);
	close_rig();
}
END_TEST

START_TEST(events_arrive)
{
	open_rig(NULL, NULL);
	ck_order("event lost");
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	ck_order("event back");
	fh_wait_event(unit, TGTKIT_EVENT_BACK, 1);
	ck_order("event fenced");
	fh_wait_event(unit, TGTKIT_EVENT_FENCED, 1);
	ck_order("event capacity");
	fh_wait_event(unit, TGTKIT_EVENT_CAPACITY_CHANGED, 1);
	ck_assert_uint_eq(fh_event_count(unit, TGTKIT_EVENT_LOST), 1);
	close_rig();
}
END_TEST

START_TEST(a_resize_is_announced_and_seen_by_refresh)
{
	open_rig(NULL, NULL);
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_order("resize 2097152");
	fh_wait_event(unit, TGTKIT_EVENT_CAPACITY_CHANGED, 1);
	ck_status(fh_refresh(unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 2 * SIZE_BYTES);
	ck_status(fh_write(unit, data, 4096, 2 * SIZE_BYTES - 4096, 0), 0);
	ck_status(fh_resize(unit, SIZE_BYTES, 0), -EINVAL);
	ck_status(fh_resize(unit, SIZE_BYTES, TGTKIT_RESIZE_SHRINK), 0);
	ck_status(fh_read(unit, seen, 4096, 2 * SIZE_BYTES - 4096), -EIO);
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	close_rig();
}
END_TEST

static void read_backing(uint64_t offset)
{
	int fd = open(in_scratch("backing"), O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(pread(fd, seen, sizeof(seen), (off_t)offset), sizeof(seen));
	close(fd);
}

START_TEST(the_backing_file_shows_what_was_written)
{
	open_rig(NULL, NULL);
	ck_status(fh_write(unit, data, 4096, 8192, 0), 0);
	read_backing(8192);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	close_rig();
	open_rig(NULL, NULL);
	memset(seen, 0, sizeof(seen));
	ck_status(fh_read(unit, seen, 4096, 8192), 0);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	close_rig();
}
END_TEST

START_TEST(a_power_cut_takes_what_no_flush_has_covered)
{
	open_rig("capabilities", "flush,fua,volatile");
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_status(fh_flush(unit), 0);
	ck_status(fh_write(unit, data, 4096, 4096, TGTKIT_REQUEST_FUA), 0);
	ck_status(fh_write(unit, data, 4096, 8192, 0), 0);
	ck_order("power-cut");
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	ck_status(fh_read(unit, seen, 4096, 4096), 0);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	ck_status(fh_read(unit, seen, 4096, 8192), 0);
	ck_assert_uint_eq(seen[0] | seen[1] | seen[2], 0);
	close_rig();
}
END_TEST

/* After a failed flush Linux forgets what was dirty; a store that keeps it can flush it yet. */
START_TEST(a_failed_flush_loses_data_unless_dirty_data_is_retained)
{
	static const char *const capabilities[] = {"flush,volatile", "flush,volatile,retains_dirty"};
	bool is_there;

	open_rig("capabilities", capabilities[_i]);
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_order("fail flush EIO 1");
	ck_status(fh_flush(unit), -EIO);
	ck_status(fh_flush(unit), 0);
	ck_order("power-cut");
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	is_there = memcmp(seen, data, 4096) == 0;
	ck_assert_int_eq(is_there, _i == 1);
	close_rig();
}
END_TEST

START_TEST(promises_that_the_host_breaks_are_counted)
{
	open_rig("capabilities", "flush");
	ck_assert_ptr_nonnull(strstr(ask("status"), " violations=0 "));
	ck_status(fh_zero(unit, 0, 4096, 0), -EINVAL);
	ck_status(fh_write(unit, data, 4096, 0, TGTKIT_REQUEST_FUA), -EINVAL);
	ck_assert_ptr_nonnull(strstr(ask("status"), " violations=2 "));
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_ERROR), "broke its promise"));
	close_rig();
}
END_TEST

START_TEST(counters_and_status_tell_what_was_submitted)
{
	uint64_t values[3];

	open_rig(NULL, NULL);
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_status(fh_flush(unit), 0);
	ck_assert_str_eq(ask("status"), "ok submitted=3 refused=0 violations=0 failed=0 reads=1 writes=1 flushes=1 "
					"pending=0 hung=0 size=1048576");
	fh_load(RIG_PLUGIN)->read_counters(fh_handle(unit), values);
	ck_assert_uint_eq(values[0], 3);
	ck_assert_uint_eq(values[1], 0);
	close_rig();
}
END_TEST

START_TEST(a_reloaded_option_takes_effect)
{
	static const struct fh_option slower[] = {{"delay_us", "60000000"}, {NULL, NULL}};
	struct fh_pending *slow;

	open_rig("cancellable", "true");
	ck_status(fh_flush(unit), 0);
	ck_status(fh_reload(unit, slower), 0);
	slow = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	ck_assert_ptr_nonnull(strstr(ask("status"), " pending=1 "));
	fh_cancel(slow);
	ck_status(fh_wait(slow), -ECANCELED);
	ck_order("delay 0");
	ck_status(fh_flush(unit), 0);
	close_rig();
}
END_TEST

static const char *const nonsense[] = {
    "what",
    "fail",
    "fail read",
    "fail read EIO",
    "fail read ENOTHING 1",
    "fail seek EIO 1",
    "fail read EIO -1",
    "fail read EIO 1 0",
    "hang read",
    "event",
    "event none",
    "resize",
    "resize 0",
    "delay x",
    "wait-hung",
    "wait-hung 0",
};

START_TEST(a_command_that_makes_no_sense_is_refused)
{
	open_rig(NULL, NULL);
	ck_assert_msg(strncmp(ask(nonsense[_i]), "error ", 6) == 0, "'%s' was not refused", nonsense[_i]);
	ck_status(fh_flush(unit), 0);
	close_rig();
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused)
{
	static const struct fh_option always[] = {{"again_every", "1"}, {NULL, NULL}};
	static const struct fh_option unknown[] = {{"capabilities", "flush,fly"}, {NULL, NULL}};
	struct fh_spec spec = {.plugin = fh_load(RIG_PLUGIN), .path = "1048576", .options = always};

	ck_status(fh_open(&spec, &unit), -EINVAL);
	spec.options = unknown;
	ck_status(fh_open(&spec, &unit), -EINVAL);
	spec.options = NULL;
	spec.path = "much";
	ck_status(fh_open(&spec, &unit), -EINVAL);
}
END_TEST

TCase *rig_tests(void)
{
	TCase *tests = tcase_create("rig");

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down_scratch);
	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, failures_hit_what_they_were_ordered_for);
	tcase_add_test(tests, a_failed_write_changes_nothing);
	tcase_add_test(tests, hung_requests_wait_for_their_release);
	tcase_add_test(tests, a_hung_request_is_cancelled_only_where_that_was_asked_for);
	tcase_add_test(tests, events_arrive);
	tcase_add_test(tests, a_resize_is_announced_and_seen_by_refresh);
	tcase_add_test(tests, the_backing_file_shows_what_was_written);
	tcase_add_test(tests, a_power_cut_takes_what_no_flush_has_covered);
	tcase_add_loop_test(tests, a_failed_flush_loses_data_unless_dirty_data_is_retained, 0, 2);
	tcase_add_test(tests, promises_that_the_host_breaks_are_counted);
	tcase_add_test(tests, counters_and_status_tell_what_was_submitted);
	tcase_add_test(tests, a_reloaded_option_takes_effect);
	tcase_add_loop_test(tests, a_command_that_makes_no_sense_is_refused, 0, sizeof(nonsense) / sizeof(nonsense[0]));
	tcase_add_test(tests, options_that_make_no_sense_are_refused);
	return tests;
}
