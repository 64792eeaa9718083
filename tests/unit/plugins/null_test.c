/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <time.h>

#include "plugins_test.h"

static struct fh_unit *unit;

static int open_null(const char *path, const char *latency_us)
{
	const struct fh_option options[] = {{latency_us == NULL ? NULL : "latency_us", latency_us}, {NULL, NULL}};
	const struct fh_spec spec = {.plugin = fh_load(NULL_PLUGIN), .path = path, .options = options};
	const int status = fh_check(&spec);

	/* The check says what the open will say. */
	ck_status(fh_open(&spec, &unit), status);
	return status;
}

static void tear_down(void)
{
	ck_assert_uint_eq(fh_violations(), 0);
}

static const struct {
	const char *text;
	uint64_t size_bytes; /* 0: refused */
} sizes[] = {
    {"1", 1},
    {"512", 512},
    {"4K", 4096},
    {"4k", 4096},
    {"3M", 3u << 20},
    {"2G", 2ull << 30},
    {"1T", 1ull << 40},
    {"1P", 1ull << 50},
    {"9223372036854775807", INT64_MAX},
    {"8191P", 8191ull << 50},
    {"0008", 8},
    {"9223372036854775808", 0},
    {"8192P", 0},
    {"18446744073709551617", 0},
    {"99999999999999999999999999", 0},
    {"0", 0},
    {"0K", 0},
    {"", 0},
    {"K", 0},
    {"-1", 0},
    {" 1", 0},
    {"1 ", 0},
    {"1KB", 0},
    {"1E", 0},
    {"0x10", 0},
    {"1.5G", 0},
};

START_TEST(sizes_are_read_as_people_write_them)
{
	if (sizes[_i].size_bytes == 0) {
		ck_status(open_null(sizes[_i].text, NULL), -EINVAL);
		ck_assert_ptr_nonnull(strstr(fh_error(), "is not a size"));
		return;
	}
	ck_status(open_null(sizes[_i].text, NULL), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, sizes[_i].size_bytes);
	fh_close(unit);
}
END_TEST

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

START_TEST(every_request_takes_the_latency_and_all_of_them_together_not_more)
{
	unsigned char data[512];
	struct fh_pending *pending[64];
	uint64_t start = now_us(), took;

	ck_status(open_null("1G", "20000"), 0);
	for (unsigned i = 0; i < 64; i++)
		pending[i] = fh_start(unit, TGTKIT_READ, data, sizeof(data), i * 512, 0);
	for (unsigned i = 0; i < 64; i++)
		ck_status(fh_wait(pending[i]), 0);
	took = now_us() - start;
	ck_assert_uint_ge(took, 20000);
	/* One after the other they would have taken 1.28 s. */
	ck_assert_uint_lt(took, 1000000);
	ck_assert_uint_eq(data[0], 0);
	fh_close(unit);
}
END_TEST

START_TEST(requests_complete_in_the_order_of_their_submission)
{
	struct fh_pending *pending[8];

	ck_status(open_null("1G", "5000"), 0);
	for (unsigned i = 0; i < 8; i++)
		pending[i] = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	for (unsigned i = 0; i < 8; i++) {
		ck_status(fh_wait(pending[i]), 0);
		for (unsigned later = i + 2; later < 8; later++)
			ck_assert(fh_is_done(pending[i + 1]) || !fh_is_done(pending[later]));
	}
	fh_close(unit);
}
END_TEST

START_TEST(a_waiting_request_can_be_cancelled_wherever_it_stands)
{
	struct fh_pending *pending[4];

	/* Ten seconds: what is not cancelled would be noticed. */
	ck_status(open_null("1G", "10000000"), 0);
	for (unsigned i = 0; i < 4; i++)
		pending[i] = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	fh_cancel(pending[1]);
	fh_cancel(pending[3]);
	fh_cancel(pending[0]);
	fh_cancel(pending[2]);
	for (unsigned i = 0; i < 4; i++)
		ck_status(fh_wait(pending[i]), -ECANCELED);
	/* The queue is as good as new. */
	pending[0] = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	fh_cancel(pending[0]);
	ck_status(fh_wait(pending[0]), -ECANCELED);
	fh_close(unit);
}
END_TEST

START_TEST(latency_has_bounds)
{
	ck_status(open_null("1G", "10000000"), 0);
	fh_close(unit);
	ck_status(open_null("1G", "10000001"), -EINVAL);
	ck_status(open_null("1G", "-1"), -EINVAL);
}
END_TEST

START_TEST(an_operation_it_does_not_know_is_refused)
{
	struct fh_pending *pending;

	ck_status(open_null("1G", NULL), 0);
	pending = fh_start(unit, TGTKIT_COPY, NULL, 512, 0, 0);
	ck_status(fh_wait(pending), -EOPNOTSUPP);
	fh_close(unit);
}
END_TEST

TCase *null_tests(void)
{
	TCase *tests = tcase_create("null");

	tcase_add_checked_fixture(tests, NULL, tear_down);
	tcase_set_timeout(tests, 30);
	tcase_add_loop_test(tests, sizes_are_read_as_people_write_them, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(tests, every_request_takes_the_latency_and_all_of_them_together_not_more);
	tcase_add_test(tests, requests_complete_in_the_order_of_their_submission);
	tcase_add_test(tests, a_waiting_request_can_be_cancelled_wherever_it_stands);
	tcase_add_test(tests, latency_has_bounds);
	tcase_add_test(tests, an_operation_it_does_not_know_is_refused);
	return tests;
}
