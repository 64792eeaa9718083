/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugins of files when their file system or device fails under them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include "plugins_test.h"

#define MIB (1u << 20)

static struct fh_unit *unit;
static unsigned char data[MIB];

static void set_up(void)
{
	set_up_scratch();
	memset(data, 7, sizeof(data));
}

static void tear_down(void)
{
	ck_assert_uint_eq(fh_violations(), 0);
	tear_down_scratch();
}

static void open_with(const struct fh_option *options, const char *path, uint64_t size_bytes)
{
	const struct fh_spec spec = {.plugin = fh_load(posix_plugin->file),
				     .path = path,
				     .options = options,
				     .flags = size_bytes == 0 ? 0 : TGTKIT_OPEN_CREATE,
				     .size_bytes = size_bytes};

	ck_status(fh_open(&spec, &unit), 0);
}

static void open_path(const char *path, uint64_t size_bytes)
{
	open_with(posix_plugin->buffered, path, size_bytes);
}

START_TEST(a_file_cut_short_fails_reads_and_is_logged_once)
{
	if (!use_posix_plugin(_i))
		return;
	open_path(in_scratch("store"), 2 * MIB);
	ck_assert_int_eq(truncate(in_scratch("store"), MIB), 0);
	ck_status(fh_read(unit, data, 4096, MIB + 4096), -EIO);
	/* Half of it is there, which is as good as nothing. */
	ck_status(fh_read(unit, data, 8192, MIB - 4096), -EIO);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_ERROR), 1);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_ERROR), "was cut short"));
	ck_status(fh_read(unit, data, 4096, MIB - 4096), 0);
	fh_close(unit);
}
END_TEST

START_TEST(a_direct_read_that_ends_within_a_sector_is_cut_short)
{
	if (!use_posix_plugin(_i))
		return;
	open_with(posix_plugin->direct, in_scratch("store"), 2 * MIB);
	ck_assert_int_eq(truncate(in_scratch("store"), MIB + 100), 0);
	ck_status(fh_read(unit, data, 8192, MIB - 4096), -EIO);
	ck_status(fh_read(unit, data, 4096, MIB), -EIO);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_ERROR), 1);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_ERROR), "was cut short"));
	ck_status(fh_read(unit, data, 4096, MIB - 4096), 0);
	fh_close(unit);
}
END_TEST

START_TEST(a_full_file_system_is_no_space)
{
	const char *folder;
	int status = 0;

	if (!use_posix_plugin(_i))
		return;
	folder = small_tmpfs(MIB / 2);
	if (folder == NULL)
		return;
	open_path(in_scratch("small/store"), 8 * MIB);
	for (unsigned i = 0; i < 8 && status == 0; i++)
		status = fh_write(unit, data, MIB, i * MIB, 0);
	ck_assert_int_eq(status, -ENOSPC);
	/* What has space still works. */
	ck_status(fh_discard(unit, 0, 8 * MIB, 0), 0);
	ck_status(fh_write(unit, data, 4096, 0, TGTKIT_REQUEST_FUA), 0);
	ck_status(fh_flush(unit), 0);
	fh_close(unit);
}
END_TEST

START_TEST(a_limit_on_file_size_is_no_space)
{
	struct rlimit before, limit;

	if (!use_posix_plugin(_i))
		return;
	open_path(in_scratch("store"), 4 * MIB);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){.rlim_cur = MIB, .rlim_max = before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_status(fh_write(unit, data, 4096, 2 * MIB, 0), -ENOSPC);
	ck_status(fh_write(unit, data, 4096, 2 * MIB, TGTKIT_REQUEST_FUA), -ENOSPC);
	/* Across the limit: the first half went in, and the write has failed all the same. */
	ck_status(fh_write(unit, data, 8192, MIB - 4096, 0), -ENOSPC);
	ck_status(fh_write(unit, data, 4096, 0, 0), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	fh_close(unit);
}
END_TEST

/* A block device whose writes go to the page cache, and from there to a file that has no room for them. */
static const char *failing_device(void)
{
	if (small_tmpfs(MIB) == NULL)
		return NULL;
	make_file("small/disk", 16 * MIB);
	return loop_attach(in_scratch("small/disk"));
}

/* Loop devices take a write that went in half for a good one, so not a byte may be left. */
static void take_all_space(void)
{
	int fd = open(in_scratch("small/ballast"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	while (write(fd, data, sizeof(data)) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}

static bool is_loss(int status)
{
	return status == -EIO || status == -ENOSPC;
}

START_TEST(a_failed_flush_is_reported_now_and_ever_after)
{
	const char *device;
	int status;

	if (!use_posix_plugin(_i))
		return;
	device = failing_device();
	if (device == NULL)
		return;
	open_path(device, 0);
	take_all_space();
	ck_status(fh_write(unit, data, MIB, MIB, 0), 0);
	status = fh_flush(unit);
	ck_assert_msg(is_loss(status), "the flush returned %d", status);
	/* Linux would answer 0 now, as it has told the error once. */
	ck_status(fh_flush(unit), status);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_ERROR), 1);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_ERROR), "may be lost"));
	fh_close(unit);
}
END_TEST

START_TEST(a_failed_flush_fails_all_that_come_with_it)
{
	const char *device;
	struct fh_pending *flushes[8];

	if (!use_posix_plugin(_i))
		return;
	device = failing_device();
	if (device == NULL)
		return;
	open_path(device, 0);
	take_all_space();
	ck_status(fh_write(unit, data, MIB, MIB, 0), 0);
	for (unsigned i = 0; i < 8; i++)
		flushes[i] = fh_start(unit, TGTKIT_FLUSH, NULL, 0, 0, 0);
	for (unsigned i = 0; i < 8; i++) {
		const int status = fh_wait(flushes[i]);

		ck_assert_msg(is_loss(status), "flush %u returned %d", i, status);
	}
	fh_close(unit);
}
END_TEST

START_TEST(a_failed_write_with_fua_does_not_use_up_the_flushs_error)
{
	const char *device;
	int status;

	if (!use_posix_plugin(_i))
		return;
	device = failing_device();
	if (device == NULL)
		return;
	open_path(device, 0);
	/* The description that syncs itself exists before the error. */
	ck_status(fh_write(unit, data, 4096, 0, TGTKIT_REQUEST_FUA), 0);
	take_all_space();
	ck_status(fh_write(unit, data, MIB, MIB, 0), 0);
	/* The same pages: once this has failed, nothing is left for the flush to fail with but the report. */
	status = fh_write(unit, data, MIB, MIB, TGTKIT_REQUEST_FUA);
	ck_assert_msg(is_loss(status), "the write returned %d", status);
	status = fh_flush(unit);
	ck_assert_msg(is_loss(status), "the flush returned %d", status);
	fh_close(unit);
}
END_TEST

/* The description for it cannot be made.  Back before the test ends: the sanitizers want it. */
START_TEST(without_proc_a_write_with_fua_flushes)
{
	const char *device;
	int status;

	if (!use_posix_plugin(_i))
		return;
	device = failing_device();
	if (device == NULL)
		return;
	ck_assert_int_eq(mount("none", "/proc", "tmpfs", 0, ""), 0);
	open_path(device, 0);
	ck_status(fh_write(unit, data, 4096, 0, TGTKIT_REQUEST_FUA), 0);
	take_all_space();
	ck_status(fh_write(unit, data, MIB, MIB, 0), 0);
	status = fh_write(unit, data, 4096, 0, TGTKIT_REQUEST_FUA);
	ck_assert_int_eq(umount2("/proc", MNT_DETACH), 0);
	ck_assert_msg(is_loss(status), "the write returned %d", status);
	fh_close(unit);
}
END_TEST

TCase *file_failure_tests(void)
{
	TCase *tests = tcase_create("file, failing");

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_file_cut_short_fails_reads_and_is_logged_once, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_direct_read_that_ends_within_a_sector_is_cut_short, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_full_file_system_is_no_space, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_limit_on_file_size_is_no_space, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_failed_flush_is_reported_now_and_ever_after, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_failed_flush_fails_all_that_come_with_it, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_failed_write_with_fua_does_not_use_up_the_flushs_error, 0, posix_plugin_count);
	tcase_add_loop_test(tests, without_proc_a_write_with_fua_flushes, 0, posix_plugin_count);
	return tests;
}
