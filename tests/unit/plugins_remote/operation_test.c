/* SPDX-License-Identifier: Apache-2.0
 *
 * What each operation becomes at the server.  That data is right is for tests/unit/plugins/stores_test.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "remote_test.h"

static unsigned char data[MIB], seen[MIB], zeros[MIB];

/* Lines of nbdkit's log (the filter "log") that hold `text`. */
static unsigned logged(const char *text)
{
	char *log = NULL;
	size_t capacity = 0;
	unsigned count = 0;
	FILE *stream = fopen(in_scratch("log"), "r");

	ck_assert_ptr_nonnull(stream);
	while (getline(&log, &capacity, stream) > 0)
		count += strstr(log, text) != NULL;
	fclose(stream);
	free(log);
	return count;
}

static const char *log_option(void)
{
	static char option[200];

	snprintf(option, sizeof(option), "logfile=%s", in_scratch("log"));
	return option;
}

START_TEST(flags_reach_the_server)
{
	serve("nbdkit", "-f", "--filter=log", "memory", "1M", log_option());
	open_unit(NULL);
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_assert_uint_eq(logged(" Write id=1 offset=0x0 count=0x1000 fua=0"), 1);
	ck_status(fh_write(unit, data, 4096, 8192, TGTKIT_REQUEST_FUA), 0);
	ck_assert_uint_eq(logged("offset=0x2000 count=0x1000 fua=1"), 1);
	ck_status(fh_flush(unit), 0);
	ck_assert_uint_eq(logged(" Flush "), 1);
	ck_status(fh_zero(unit, 0, 4096, 0), 0);
	ck_assert_uint_eq(logged("trim=0 fua=0 fast=1"), 1);
	ck_status(fh_zero(unit, 0, 4096, TGTKIT_REQUEST_MAY_UNMAP | TGTKIT_REQUEST_FUA), 0);
	ck_assert_uint_eq(logged("trim=1 fua=1 fast=1"), 1);
	ck_status(fh_discard(unit, 4096, 512, TGTKIT_REQUEST_FUA), 0);
	ck_assert_uint_eq(logged(" Trim id=6 offset=0x1000 count=0x200 fua=1"), 1);
	fh_close(unit);
}
END_TEST

START_TEST(a_zero_that_is_not_fast_goes_in_pieces)
{
	const uint64_t length = 100 * (uint64_t)MIB;

	serve("nbdkit", "-f", "--filter=log", "--filter=nozero", "memory", "128M", "zeromode=plugin", "fastzeromode=slow",
	      log_option());
	open_unit(NULL);
	ck_assert_uint_ge(fh_capabilities(unit)->maximum_zero_bytes, length);
	memset(data, 1, sizeof(data));
	ck_status(fh_write(unit, data, MIB, length - MIB, 0), 0);
	ck_status(fh_write(unit, data, MIB, length, 0), 0);
	ck_status(fh_zero(unit, 0, length, 0), 0);
	ck_assert_uint_eq(logged("fast=1"), 1);
	ck_assert_uint_eq(logged("fast=0"), 4);
	ck_status(fh_read(unit, seen, MIB, length - MIB), 0);
	memset(zeros, 0, sizeof(zeros));
	ck_assert_int_eq(memcmp(seen, zeros, MIB), 0);
	ck_status(fh_read(unit, seen, MIB, length), 0);
	ck_assert_int_eq(memcmp(seen, data, MIB), 0);
	fh_close(unit);
}
END_TEST

START_TEST(a_zero_without_unmap_leaves_no_hole_and_one_with_it_does)
{
	struct tgtkit_extent extents[8];
	uint32_t count;

	make_file("disk", 4 * MIB);
	serve("nbdkit", "-f", "file", in_scratch("disk"));
	open_unit(NULL);
	memset(data, 1, sizeof(data));
	ck_status(fh_write(unit, data, MIB, 0, 0), 0);
	ck_status(fh_zero(unit, 0, 64 * KIB, 0), 0);
	ck_status(fh_zero(unit, 256 * KIB, 64 * KIB, TGTKIT_REQUEST_MAY_UNMAP), 0);
	shell("test $(stat -c %b disk) -lt 2048 && test $(stat -c %b disk) -ge 1920");
	ck_status(fh_extents(unit, 256 * KIB, 128 * KIB, extents, 8, &count), 0);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(extents[0].length, 64 * KIB);
	ck_assert_uint_eq(extents[0].flags, TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO);
	ck_assert_uint_eq(extents[1].flags, TGTKIT_EXTENT_DATA);
	fh_close(unit);
}
END_TEST

START_TEST(ranges_that_are_not_the_servers_blocks_are_cut_to_them)
{
	struct tgtkit_extent extents[4];
	uint32_t count;

	serve("nbdkit", "-f", "--filter=log", "--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=4K",
	      "blocksize-error-policy=error", log_option());
	open_unit(NULL);
	memset(data, 1, sizeof(data));
	ck_status(fh_write(unit, data, 64 * KIB, 0, 0), 0);
	/* Two whole blocks, and a part before and after them. */
	ck_status(fh_discard(unit, 3584, 4096 + 8192, 0), 0);
	ck_assert_uint_eq(logged(" Trim id=2 offset=0x1000 count=0x2000"), 1);
	ck_status(fh_discard(unit, 512, 7168, 0), 0);
	ck_assert_uint_eq(logged(" Trim id"), 1);
	ck_status(fh_extents(unit, 512, 1024, extents, 4, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(extents[0].offset, 512);
	ck_assert_uint_eq(extents[0].length, 1024);
	ck_status(fh_read(unit, seen, 4096, 0), 0);
	ck_assert_int_eq(memcmp(seen, data, 4096), 0);
	fh_close(unit);
}
END_TEST

/* The servers' errors, through nbdkit's filter that makes them. */
static const struct {
	const char *error;
	uint32_t operation;
	int status;
} failures[] = {
    {"error=EIO", TGTKIT_READ, -EIO},	   {"error=EIO", TGTKIT_WRITE, -EIO},
    {"error=ENOSPC", TGTKIT_WRITE, -ENOSPC}, {"error=EPERM", TGTKIT_WRITE, -EROFS},
    {"error=EIO", TGTKIT_DISCARD, -EIO},	   {"error=EIO", TGTKIT_ZERO, -EIO},
    {"error=EIO", TGTKIT_EXTENTS, -EIO},	   {"error=ENOSPC", TGTKIT_ZERO, -ENOSPC},
};

START_TEST(errors_of_the_server_are_passed_on)
{
	struct tgtkit_extent extents[4];
	const uint32_t operation = failures[_i].operation;
	uint32_t count;

	/* Half of them fail; in the other half all is well. */
	serve("nbdkit", "-f", "--filter=error", "memory", "1M", failures[_i].error, "error-rate=50%");
	open_unit(NULL);
	for (unsigned i = 0, failed = 0; failed < 4; i++) {
		int status;

		ck_assert_uint_lt(i, 200);
		if (operation == TGTKIT_EXTENTS)
			status = fh_extents(unit, 0, 4096, extents, 4, &count);
		else
			status = fh_wait(fh_start(unit, operation, data, 4096, 0, 0));
		ck_assert_msg(status == 0 || status == failures[_i].status, "%s of operation %u is %d",
			      failures[_i].error, operation, status);
		failed += status != 0;
	}
	fh_close(unit);
}
END_TEST

START_TEST(an_operation_that_was_not_declared_is_refused)
{
	const struct fh_option *none = NULL;
	struct fh_io *io;

	serve("nbdkit", "-f", "memory", "1M");
	open_unit(none);
	io = fh_io_new(unit);
	io->request.operation = TGTKIT_COPY;
	io->request.length = 4096;
	fh_io_submit(io);
	fh_wait(fh_start(unit, TGTKIT_READ, seen, 4096, 0, 0));
	ck_assert_int_eq(io->status, -EOPNOTSUPP);
	fh_io_free(io);
	fh_close(unit);
}
END_TEST

START_TEST(a_qcow2_image_is_a_disk)
{
	if (!nbd_server_has("qemu-img"))
		return;
	shell("qemu-img create -f qcow2 image 64M");
	serve("qemu-nbd", "-t", "-f", "qcow2", "-e", "4", in_scratch("image"));
	open_unit(OPTIONS({"connections", "2"}));
	fill(data, sizeof(data), 5);
	for (unsigned i = 0; i < 8; i++)
		ck_status(fh_write(unit, data + i * 4096, 64 * KIB, i * 8 * (uint64_t)MIB, 0), 0);
	ck_status(fh_zero(unit, 16 * (uint64_t)MIB, 32 * KIB, TGTKIT_REQUEST_MAY_UNMAP), 0);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
	nbd_server_kill(&server, SIGTERM);
	shell("qemu-img check image");
	nbd_server_restart(&server);
	open_unit(NULL);
	for (unsigned i = 0; i < 8; i++) {
		ck_status(fh_read(unit, seen, 64 * KIB, i * 8 * (uint64_t)MIB), 0);
		if (i == 2)
			memset(data + i * 4096, 0, 32 * KIB);
		ck_assert_int_eq(memcmp(seen, data + i * 4096, 64 * KIB), 0);
		fill(data, sizeof(data), 5);
	}
	fh_close(unit);
}
END_TEST

TCase *operation_tests(void)
{
	TCase *tests = make_case("operations");

	tcase_add_test(tests, flags_reach_the_server);
	tcase_add_test(tests, a_zero_that_is_not_fast_goes_in_pieces);
	tcase_add_test(tests, a_zero_without_unmap_leaves_no_hole_and_one_with_it_does);
	tcase_add_test(tests, ranges_that_are_not_the_servers_blocks_are_cut_to_them);
	tcase_add_loop_test(tests, errors_of_the_server_are_passed_on, 0, sizeof(failures) / sizeof(failures[0]));
	tcase_add_test(tests, an_operation_that_was_not_declared_is_refused);
	tcase_add_test(tests, a_qcow2_image_is_a_disk);
	return tests;
}
