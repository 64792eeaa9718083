/* SPDX-License-Identifier: Apache-2.0
 *
 * What a flush says after a connection has broken: success only for data that is where it should be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "remote_test.h"
#include "rogue_server.h"

static const struct fh_option no_replay[] = {{"replay_size", "0"}, {NULL, NULL}};
static unsigned char data[MIB], seen[MIB];

static void restart(void)
{
	const uint64_t before = counter_value("reconnects_total");

	nbd_server_kill(&server, SIGKILL);
	nbd_server_restart(&server);
	wait_for_counter("reconnects_total", before + 1);
}

static bool set_up_server(const struct fh_option *options)
{
	if (!nbd_server_has("nbdkit"))
		return false;
	make_file("disk", 4 * MIB);
	nbd_server_start(&server, in_scratch("socket"), ARGUMENTS("nbdkit", "-f", "file", in_scratch("disk")));
	fill(data, sizeof(data), 3);
	open_unit(options);
	return true;
}

START_TEST(the_flush_after_an_outage_fails_once_if_nothing_could_be_replayed)
{
	if (!set_up_server(no_replay))
		return;
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	restart();
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_ERROR), 0);
	ck_status(fh_flush(unit), -EIO);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_ERROR), 1);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_ERROR), "this flush fails"));
	/* Whoever wrote knows; what is written from now on is vouched for again. */
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

START_TEST(an_outage_with_nothing_unflushed_costs_no_flush)
{
	if (!set_up_server(no_replay))
		return;
	restart();
	ck_status(fh_flush(unit), 0);
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_status(fh_flush(unit), 0);
	restart();
	ck_status(fh_flush(unit), 0);
	/* Stable writes are never unflushed, and what is discarded may come back. */
	ck_status(fh_write(unit, data, 4096, 0, TGTKIT_REQUEST_FUA), 0);
	ck_status(fh_zero(unit, 8192, 4096, TGTKIT_REQUEST_FUA), 0);
	ck_status(fh_discard(unit, 16384, 4096, 0), 0);
	restart();
	ck_status(fh_flush(unit), 0);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_ERROR), 0);
	fh_close(unit);
}
END_TEST

START_TEST(an_unflushed_zero_counts_like_a_write)
{
	if (!set_up_server(no_replay))
		return;
	ck_status(fh_zero(unit, 8192, 4096, 0), 0);
	restart();
	ck_status(fh_flush(unit), -EIO);
	fh_close(unit);
}
END_TEST

START_TEST(a_write_that_was_in_flight_and_sent_again_is_not_lost)
{
	struct fh_pending *write, *flush;

	if (!set_up_server(no_replay))
		return;
	nbd_server_freeze(&server);
	write = fh_start(unit, TGTKIT_WRITE, data, 4096, 0, 0);
	flush = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	restart();
	ck_status(fh_wait(write), 0);
	ck_status(fh_wait(flush), 0);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

/* The plugin's own flush is not answered, so that the journal overflows. */
START_TEST(more_unflushed_data_than_is_kept_makes_the_flush_fail)
{
	rogue_start(ROGUE_HOLDS_FLUSHES, false);
	open_unit(OPTIONS({"replay_size", "64K"}));
	for (unsigned i = 0; i < 4; i++)
		ck_status(fh_write(unit, data, 32 * KIB, i * 32 * KIB, 0), 0);
	rogue_cut(0);
	wait_for_counter("reconnects_total", 1);
	rogue_behave(ROGUE_HONEST);
	ck_status(fh_flush(unit), -EIO);
	ck_status(fh_flush(unit), 0);
	ck_assert_uint_eq(counter_value("replayed_bytes_total"), 0);
	fh_close(unit);
	rogue_stop();
}
END_TEST

/* The server's cache is its memory, and one write of many is replaced by the stable one that came after it. */
START_TEST(a_replay_does_not_undo_a_stable_write)
{
	if (!nbd_server_has("nbdkit"))
		return;
	make_file("disk", 4 * MIB);
	serve("nbdkit", "-f", "--filter=cache", "file", in_scratch("disk"), "cache=writeback");
	open_unit(NULL);
	memset(data, 1, 64 * KIB);
	ck_status(fh_write(unit, data, 64 * KIB, 0, 0), 0);
	memset(data + 8192, 2, 4096);
	ck_status(fh_write(unit, data + 8192, 4096, 8192, TGTKIT_REQUEST_FUA), 0);
	memset(data + 16384, 0, 4096);
	ck_status(fh_zero(unit, 16384, 4096, TGTKIT_REQUEST_FUA), 0);
	restart();
	ck_status(fh_read(unit, seen, 64 * KIB, 0), 0);
	ck_assert_int_eq(memcmp(seen, data, 64 * KIB), 0);
	/* No byte twice: that would have been a moment with old data on the disk. */
	ck_assert_uint_eq(counter_value("replayed_bytes_total"), 64 * KIB);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
	nbd_server_kill(&server, SIGKILL);
	read_file("disk", seen, 64 * KIB, 0);
	ck_assert_int_eq(memcmp(seen, data, 64 * KIB), 0);
}
END_TEST

START_TEST(what_was_flushed_is_not_written_again)
{
	if (!set_up_server(NULL))
		return;
	ck_status(fh_write(unit, data, MIB, 0, 0), 0);
	ck_status(fh_flush(unit), 0);
	ck_status(fh_write(unit, data, 4096, MIB, 0), 0);
	restart();
	ck_status(fh_read(unit, seen, 4096, MIB), 0);
	ck_assert_uint_eq(counter_value("replayed_bytes_total"), 4096);
	/* A second outage before the flush: the same again. */
	restart();
	ck_status(fh_read(unit, seen, 4096, MIB), 0);
	ck_assert_uint_eq(counter_value("replayed_bytes_total"), 8192);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

/* nbdkit's eval plugin as a server whose flush fails when a file is there. */
START_TEST(a_failed_flush_of_the_plugins_own_is_told_to_the_host)
{
	char flush[300], pwrite[300];

	make_file("disk", MIB);
	snprintf(flush, sizeof(flush), "flush=if rm '%s' 2>/dev/null; then echo 'EIO disk trouble' >&2; exit 1; fi",
		 in_scratch("trouble"));
	snprintf(pwrite, sizeof(pwrite), "pwrite=dd of='%s' conv=notrunc oflag=seek_bytes seek=$4 2>/dev/null",
		 in_scratch("disk"));
	serve("nbdkit", "-f", "eval", "get_size=echo 1M", "can_write=exit 0", "can_flush=exit 0",
	      "pread=dd if=/dev/zero count=$3 iflag=count_bytes", pwrite, flush);
	open_unit(OPTIONS({"replay_size", "64K"}));
	make_file("trouble", 0);
	/* Half of the journal. */
	ck_status(fh_write(unit, data, 40 * KIB, 0, 0), 0);
	while (fh_log_count(TGTKIT_LOG_ERROR) == 0)
		ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_ERROR), "could not flush"));
	/* The server would say yes now. */
	ck_status(fh_flush(unit), -EIO);
	fh_close(unit);
}
END_TEST

START_TEST(a_connection_that_is_left_vouches_for_all)
{
	rogue_start(ROGUE_HONEST, true);
	open_unit(OPTIONS({"replay_size", "0"}, {"connections", "2"}));
	wait_for_counter("connections", 2);
	for (unsigned i = 0; i < 4; i++)
		ck_status(fh_write(unit, data, 4096, i * 4096, 0), 0);
	rogue_cut(0);
	wait_for_counter("reconnects_total", 1);
	ck_status(fh_flush(unit), 0);
	/* The new one is as good as the other by now. */
	rogue_cut(1);
	wait_for_counter("reconnects_total", 2);
	ck_status(fh_flush(unit), 0);
	/* But not if there is something that it does not know of. */
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	rogue_cut(2);
	wait_for_counter("reconnects_total", 3);
	rogue_cut(3);
	wait_for_counter("reconnects_total", 4);
	ck_status(fh_flush(unit), -EIO);
	fh_close(unit);
	rogue_stop();
}
END_TEST

TCase *durability_tests(void)
{
	TCase *tests = make_case("durability");

	tcase_add_test(tests, the_flush_after_an_outage_fails_once_if_nothing_could_be_replayed);
	tcase_add_test(tests, an_outage_with_nothing_unflushed_costs_no_flush);
	tcase_add_test(tests, an_unflushed_zero_counts_like_a_write);
	tcase_add_test(tests, a_write_that_was_in_flight_and_sent_again_is_not_lost);
	tcase_add_test(tests, more_unflushed_data_than_is_kept_makes_the_flush_fail);
	tcase_add_test(tests, a_replay_does_not_undo_a_stable_write);
	tcase_add_test(tests, what_was_flushed_is_not_written_again);
	tcase_add_test(tests, a_failed_flush_of_the_plugins_own_is_told_to_the_host);
	tcase_add_test(tests, a_connection_that_is_left_vouches_for_all);
	return tests;
}
