/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers that do not keep to the protocol: an error at open, a new connection in service, and never a wrong byte.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "remote_test.h"
#include "rogue_server.h"

static unsigned char data[64 * KIB];
static const struct fh_option short_timeout[] = {{"timeout_s", "1"}, {NULL, NULL}};

/* ---- At open -------------------------------------------------------------------------------------------------------- */

static const struct {
	enum rogue_behaviour behaviour;
	int status; /* 0: any */
	const char *says;
} openings[] = {
    {ROGUE_SILENT, -ETIMEDOUT, "does not answer"},
    {ROGUE_CLOSES, 0, "disconnected"},
    {ROGUE_BABBLES, 0, "magic"},
    {ROGUE_LIES, 0, "2^63"},
};

START_TEST(a_server_that_cannot_begin_is_an_error_at_open)
{
	int status;

	rogue_start(openings[_i].behaviour, false);
	status = try_open(NULL, short_timeout);
	ck_assert_int_lt(status, 0);
	if (openings[_i].status != 0)
		ck_assert_int_eq(status, openings[_i].status);
	assert_error_says(openings[_i].says);
	rogue_stop();
}
END_TEST

/* ---- In service ----------------------------------------------------------------------------------------------------- */

static const enum rogue_behaviour reply_behaviours[] = {ROGUE_BAD_MAGIC, ROGUE_UNKNOWN_COOKIE, ROGUE_HANGS_UP,
							ROGUE_SHUTS_DOWN};

START_TEST(a_bad_reply_costs_the_connection_and_not_the_request)
{
	struct fh_pending *reads[4];

	rogue_start(ROGUE_HONEST, false);
	open_unit(NULL);
	fill(rogue_disk, sizeof(rogue_disk), 8);
	rogue_behave(reply_behaviours[_i]);
	for (unsigned i = 0; i < 4; i++)
		reads[i] = fh_start(unit, TGTKIT_READ, data, 4096, i * 4096, 0);
	wait_for_counter("reconnects_total", 2);
	rogue_behave(ROGUE_HONEST);
	for (unsigned i = 0; i < 4; i++) {
		ck_status(fh_wait(reads[i]), 0);
		ck_assert_int_eq(memcmp(data, rogue_disk + i * 4096, 4096), 0);
	}
	fh_close(unit);
	rogue_stop();
}
END_TEST

START_TEST(a_server_that_never_makes_sense_is_a_timeout)
{
	rogue_start(ROGUE_HONEST, false);
	open_unit(short_timeout);
	rogue_behave(reply_behaviours[_i]);
	ck_status(fh_read(unit, data, 4096, 0), -ETIMEDOUT);
	rogue_behave(ROGUE_HONEST);
	fh_close(unit);
	rogue_stop();
}
END_TEST

START_TEST(a_read_that_is_short_is_an_error_and_no_zeros)
{
	rogue_start(ROGUE_HONEST, false);
	open_unit(NULL);
	rogue_behave(ROGUE_SHORT_READ);
	ck_status(fh_read(unit, data, 8192, 0), -EIO);
	rogue_behave(ROGUE_HONEST);
	ck_status(fh_read(unit, data, 8192, 0), 0);
	fh_close(unit);
	rogue_stop();
}
END_TEST

START_TEST(a_reply_in_pieces_may_come_in_any_order)
{
	rogue_start(ROGUE_HONEST, false);
	open_unit(NULL);
	fill(rogue_disk, sizeof(rogue_disk), 9);
	rogue_behave(ROGUE_SECOND_HALF_FIRST);
	for (unsigned i = 0; i < 3; i++) {
		memset(data, 0xaa, sizeof(data));
		ck_status(fh_read(unit, data, 8192, 4096), 0);
		ck_assert_int_eq(memcmp(data, rogue_disk + 4096, 8192), 0);
	}
	rogue_behave(ROGUE_HONEST);
	fh_close(unit);
	rogue_stop();
}
END_TEST

/* As many bytes as were asked for, but not those. */
START_TEST(what_a_server_leaves_out_shows_nothing_of_the_memory)
{
	static unsigned char zeros[4096];

	rogue_start(ROGUE_HONEST, false);
	open_unit(NULL);
	fill(rogue_disk, sizeof(rogue_disk), 10);
	rogue_behave(ROGUE_FIRST_HALF_TWICE);
	for (unsigned i = 0; i < 3; i++) {
		memset(data, 0xaa, sizeof(data));
		ck_status(fh_read(unit, data, 8192, 0), 0);
		ck_assert_int_eq(memcmp(data, rogue_disk, 4096), 0);
		ck_assert_int_eq(memcmp(data + 4096, zeros, 4096), 0);
	}
	rogue_behave(ROGUE_HONEST);
	fh_close(unit);
	rogue_stop();
}
END_TEST

START_TEST(block_status_is_cut_to_what_was_asked_and_refused_if_empty)
{
	struct tgtkit_extent extents[4];
	uint32_t count;

	rogue_start(ROGUE_HONEST, false);
	open_unit(NULL);
	ck_status(fh_extents(unit, 4096, 8192, extents, 4, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(extents[1].flags, TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO);
	rogue_behave(ROGUE_FOREIGN_EXTENTS);
	ck_status(fh_extents(unit, 4096, 8192, extents, 4, &count), 0);
	ck_assert_uint_eq(extents[1].offset + extents[1].length, 4096 + 8192);
	ck_status(fh_extents(unit, 4096, 8192, extents, 1, &count), 0);
	ck_assert_uint_eq(count, 1);
	rogue_behave(ROGUE_EMPTY_EXTENTS);
	ck_status(fh_extents(unit, 4096, 8192, extents, 4, &count), -EIO);
	rogue_behave(ROGUE_HONEST);
	fh_close(unit);
	rogue_stop();
}
END_TEST

TCase *nonsense_tests(void)
{
	TCase *tests = make_case("nonsense");

	tcase_add_loop_test(tests, a_server_that_cannot_begin_is_an_error_at_open, 0,
			    sizeof(openings) / sizeof(openings[0]));
	tcase_add_loop_test(tests, a_bad_reply_costs_the_connection_and_not_the_request, 0,
			    sizeof(reply_behaviours) / sizeof(reply_behaviours[0]));
	tcase_add_loop_test(tests, a_server_that_never_makes_sense_is_a_timeout, 0,
			    sizeof(reply_behaviours) / sizeof(reply_behaviours[0]));
	tcase_add_test(tests, a_read_that_is_short_is_an_error_and_no_zeros);
	tcase_add_test(tests, a_reply_in_pieces_may_come_in_any_order);
	tcase_add_test(tests, what_a_server_leaves_out_shows_nothing_of_the_memory);
	tcase_add_test(tests, block_status_is_cut_to_what_was_asked_and_refused_if_empty);
	return tests;
}
