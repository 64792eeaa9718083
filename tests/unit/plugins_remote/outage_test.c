/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers that stay away, hang, or come back as something else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "remote_test.h"
#include "rogue_server.h"

static const struct fh_option short_timeout[] = {{"timeout_s", "1"}, {NULL, NULL}};
static const struct fh_option short_timeout_four[] = {{"timeout_s", "1"}, {"connections", "4"}, {NULL, NULL}};
static const struct fh_option *const short_timeouts[] = {short_timeout, short_timeout_four};
static unsigned char data[MIB], seen[MIB];

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool set_up_server(const struct fh_option *options)
{
	if (!nbd_server_has("nbdkit"))
		return false;
	make_file("disk", 4 * MIB);
	nbd_server_start(&server, in_scratch("socket"), ARGUMENTS("nbdkit", "-f", "file", in_scratch("disk")));
	fill(data, sizeof(data), 9);
	open_unit(options);
	wait_for_counter("connections", options == short_timeout_four ? 4 : 1);
	return true;
}

static void come_back(void)
{
	nbd_server_restart(&server);
	fh_wait_event(unit, TGTKIT_EVENT_BACK, 1);
}

START_TEST(requests_wait_for_the_timeout_and_the_host_is_told)
{
	const double start = now_s();
	struct fh_pending *read, *write;

	if (!set_up_server(short_timeouts[_i]))
		return;
	nbd_server_kill(&server, SIGKILL);
	read = fh_start(unit, TGTKIT_READ, seen, 4096, 0, 0);
	write = fh_start(unit, TGTKIT_WRITE, data, 4096, 0, 0);
	ck_status(fh_wait(write), -ETIMEDOUT);
	ck_status(fh_wait(read), -ETIMEDOUT);
	ck_assert(now_s() - start >= 1);
	ck_assert(now_s() - start < 10);
	ck_assert_uint_eq(counter_value("timed_out_total"), 2);
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	/* What is known to be lost is not waited for. */
	ck_status(fh_read(unit, seen, 4096, 0), -ESHUTDOWN);
	come_back();
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	ck_status(fh_flush(unit), 0);
	ck_assert_uint_eq(fh_event_count(unit, TGTKIT_EVENT_LOST), 1);
	fh_close(unit);
}
END_TEST

START_TEST(an_idle_unit_notices_too)
{
	if (!set_up_server(short_timeout))
		return;
	nbd_server_kill(&server, SIGKILL);
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_ERROR), "is lost"));
	come_back();
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	fh_close(unit);
}
END_TEST

START_TEST(a_flush_with_nothing_to_do_succeeds_without_the_server)
{
	if (!set_up_server(short_timeout))
		return;
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_status(fh_flush(unit), 0);
	nbd_server_kill(&server, SIGKILL);
	ck_status(fh_flush(unit), 0);
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

START_TEST(after_a_long_outage_nothing_old_is_written)
{
	static unsigned char others[64 * KIB];
	struct fh_pending *write;

	if (!set_up_server(short_timeout))
		return;
	ck_status(fh_write(unit, data, 64 * KIB, 0, 0), 0);
	nbd_server_kill(&server, SIGKILL);
	write = fh_start(unit, TGTKIT_WRITE, data, 64 * KIB, 64 * KIB, 0);
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	ck_status(fh_wait(write), -ETIMEDOUT);
	/* Another host at work on the export. */
	memset(others, 0x77, sizeof(others));
	write_file("disk", others, sizeof(others), 0);
	write_file("disk", others, sizeof(others), 64 * KIB);
	come_back();
	ck_status(fh_read(unit, seen, 128 * KIB, 0), 0);
	ck_assert_int_eq(memcmp(seen, others, sizeof(others)), 0);
	ck_assert_int_eq(memcmp(seen + 64 * KIB, others, sizeof(others)), 0);
	/* Whether the first write was stable nobody knows. */
	ck_status(fh_flush(unit), -EIO);
	fh_close(unit);
}
END_TEST

START_TEST(a_hanging_server_is_given_up_and_its_late_writes_harm_nobody)
{
	struct fh_pending *old;

	if (!set_up_server(short_timeouts[_i]))
		return;
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	nbd_server_freeze(&server);
	memset(seen, 1, 4096);
	old = fh_start(unit, TGTKIT_WRITE, seen, 4096, 8192, 0);
	ck_status(fh_wait(old), -ETIMEDOUT);
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	ck_status(fh_write(unit, data, 4096, 8192, 0), -ESHUTDOWN);
	kill(server.pid, SIGCONT);
	fh_wait_event(unit, TGTKIT_EVENT_BACK, 1);
	ck_status(fh_write(unit, data, 4096, 8192, 0), 0);
	fh_close(unit);
	nbd_server_kill(&server, SIGTERM);
	read_file("disk", seen, 4096, 8192);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
}
END_TEST

/* It answers reads, so that it is not taken for dead. */
START_TEST(a_slow_flush_is_waited_for_while_the_server_answers)
{
	struct fh_pending *flush;
	double start;

	rogue_start(ROGUE_HOLDS_FLUSHES, false);
	open_unit(short_timeout);
	flush = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	start = now_s();
	while (now_s() - start < 2)
		ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert(!fh_is_done(flush));
	/* But not for ever. */
	while (!fh_is_done(flush)) {
		const int status = fh_read(unit, seen, 4096, 0);

		ck_assert_msg(status == 0 || status == -ESHUTDOWN, "a read returned %d", status);
	}
	ck_assert(now_s() - start < 20);
	ck_status(fh_wait(flush), -ETIMEDOUT);
	fh_close(unit);
	rogue_stop();
}
END_TEST

START_TEST(what_waits_can_be_cancelled)
{
	struct fh_pending *first, *second;

	if (!set_up_server(NULL))
		return;
	nbd_server_freeze(&server);
	first = fh_start(unit, TGTKIT_WRITE, data, 4096, 0, 0);
	second = fh_start(unit, TGTKIT_WRITE, data, 4096, 0, 0);
	fh_cancel(second);
	ck_status(fh_wait(second), -ECANCELED);
	fh_cancel(first);
	kill(server.pid, SIGCONT);
	ck_status(fh_wait(first), 0);
	fh_close(unit);
}
END_TEST

static const struct {
	const char *before[8], *after[8], *says;
} changes[] = {
    {{"nbdkit", "-f", "memory", "1M"}, {"nbdkit", "-f", "memory", "2M"}, "2097152 bytes instead of 1048576"},
    {{"nbdkit", "-f", "memory", "2M"}, {"nbdkit", "-f", "memory", "1M"}, "1048576 bytes instead of 2097152"},
    {{"nbdkit", "-f", "memory", "1M"}, {"nbdkit", "-f", "-r", "memory", "1M"}, "read-only now"},
    {{"nbdkit", "-f", "memory", "1M"}, {"nbdkit", "-f", "--filter=nozero", "memory", "1M"}, "is missing now"},
    {{"nbdkit", "-f", "memory", "1M"},
     {"nbdkit", "-f", "--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=4K"},
     "minimum block is larger"},
};

static void change_server(const char *const *arguments)
{
	const struct nbd_server last = server;

	nbd_server_kill(&server, SIGKILL);
	nbd_server_start(&server, last.socket, arguments);
}

START_TEST(an_export_that_has_changed_is_refused_until_it_is_itself_again)
{
	if (!nbd_server_has("nbdkit"))
		return;
	nbd_server_start(&server, in_scratch("socket"), changes[_i].before);
	open_unit(NULL);
	change_server(changes[_i].after);
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	ck_assert_msg(strstr(fh_last_log(TGTKIT_LOG_ERROR), changes[_i].says) != NULL, "the log says '%s'",
		      fh_last_log(TGTKIT_LOG_ERROR));
	ck_status(fh_read(unit, seen, 4096, 0), -ESHUTDOWN);
	change_server(changes[_i].before);
	fh_wait_event(unit, TGTKIT_EVENT_BACK, 1);
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_ERROR), 1);
	fh_close(unit);
}
END_TEST

START_TEST(an_outage_is_one_warning_and_one_line_when_it_is_over)
{
	unsigned before;

	if (!set_up_server(short_timeout))
		return;
	before = fh_log_count(TGTKIT_LOG_WARNING);
	nbd_server_kill(&server, SIGKILL);
	fh_wait_event(unit, TGTKIT_EVENT_LOST, 1);
	/* The warning, and the error. */
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_WARNING), before + 2);
	come_back();
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_WARNING), before + 2);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_INFO), "is back"));
	fh_close(unit);
}
END_TEST

TCase *outage_tests(void)
{
	TCase *tests = make_case("outages");

	tcase_add_loop_test(tests, requests_wait_for_the_timeout_and_the_host_is_told, 0, 2);
	tcase_add_test(tests, an_idle_unit_notices_too);
	tcase_add_test(tests, a_flush_with_nothing_to_do_succeeds_without_the_server);
	tcase_add_test(tests, after_a_long_outage_nothing_old_is_written);
	tcase_add_loop_test(tests, a_hanging_server_is_given_up_and_its_late_writes_harm_nobody, 0, 2);
	tcase_add_test(tests, a_slow_flush_is_waited_for_while_the_server_answers);
	tcase_add_test(tests, what_waits_can_be_cancelled);
	tcase_add_loop_test(tests, an_export_that_has_changed_is_refused_until_it_is_itself_again, 0,
			    sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(tests, an_outage_is_one_warning_and_one_line_when_it_is_over);
	return tests;
}
