/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugins of files: making, opening, resizing, extents.  What goes wrong in service is in file_failure_test.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "plugins_test.h"

#define MIB (1u << 20)

static struct fh_unit *unit;

static struct fh_spec spec_of(const char *name, uint32_t flags)
{
	return (struct fh_spec){.plugin = fh_load(posix_plugin->file),
				.options = posix_plugin->buffered,
				.path = name[0] == '/' || name[0] == '\0' ? name : in_scratch(name),
				.flags = flags,
				.size_bytes = flags & TGTKIT_OPEN_CREATE ? 4 * MIB : 0};
}

static int open_named(const char *name, uint32_t flags)
{
	const struct fh_spec spec = spec_of(name, flags);

	return fh_open(&spec, &unit);
}

static void assert_says(const char *text)
{
	ck_assert_msg(strstr(fh_error(), text) != NULL, "the error does not say '%s': %s", text, fh_error());
}

static void tear_down(void)
{
	ck_assert_uint_eq(fh_violations(), 0);
	tear_down_scratch();
}

/* ---- Making
 * ---------------------------------------------------------------------------------------------------------- */

START_TEST(a_new_store_is_sparse_private_and_of_the_size_asked_for)
{
	struct stat seen;

	if (!use_posix_plugin(_i))
		return;
	ck_status(open_named("new", TGTKIT_OPEN_CREATE), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 4 * MIB);
	ck_assert_int_eq(stat(in_scratch("new"), &seen), 0);
	ck_assert_int_eq(seen.st_size, 4 * MIB);
	ck_assert_int_eq(seen.st_blocks, 0);
	ck_assert_uint_eq(seen.st_mode & 0777, 0600);
	fh_close(unit);
}
END_TEST

START_TEST(a_new_store_can_be_made_for_reading_only)
{
	if (!use_posix_plugin(_i))
		return;
	ck_status(open_named("new", TGTKIT_OPEN_CREATE | TGTKIT_OPEN_READ_ONLY), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 4 * MIB);
	ck_assert(fh_capabilities(unit)->flags & TGTKIT_READ_ONLY);
	fh_close(unit);
}
END_TEST

START_TEST(an_existing_stores_own_size_wins_over_create)
{
	if (!use_posix_plugin(_i))
		return;
	make_file("old", 3 * MIB);
	ck_status(open_named("old", TGTKIT_OPEN_CREATE), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 3 * MIB);
	fh_close(unit);
}
END_TEST

START_TEST(an_empty_file_is_finished_by_create_and_refused_without)
{
	if (!use_posix_plugin(_i))
		return;
	make_file("cut-short", 0);
	ck_status(open_named("cut-short", 0), -EINVAL);
	assert_says("is empty");
	ck_status(open_named("cut-short", TGTKIT_OPEN_CREATE), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 4 * MIB);
	fh_close(unit);
}
END_TEST

START_TEST(a_store_without_a_size_is_not_made)
{
	struct fh_spec spec;

	if (!use_posix_plugin(_i))
		return;
	spec = spec_of("new", TGTKIT_OPEN_CREATE);
	spec.size_bytes = 0;
	ck_status(fh_check(&spec), -EINVAL);
	ck_status(fh_open(&spec, &unit), -EINVAL);
	assert_says("without a size");
	ck_assert_int_ne(access(in_scratch("new"), F_OK), 0);
}
END_TEST

START_TEST(a_store_that_cannot_be_made_leaves_no_file)
{
	struct fh_spec spec;

	if (!use_posix_plugin(_i))
		return;
	spec = spec_of("new", TGTKIT_OPEN_CREATE);
	/* More than any file system here holds in one file. */
	spec.size_bytes = INT64_MAX;
	ck_assert_int_lt(fh_open(&spec, &unit), 0);
	assert_says("new' cannot be made with 9223372036854775807 bytes");
	ck_assert_int_ne(access(in_scratch("new"), F_OK), 0);
	spec.size_bytes = UINT64_MAX;
	ck_status(fh_open(&spec, &unit), -EFBIG);
	ck_assert_int_ne(access(in_scratch("new"), F_OK), 0);
}
END_TEST

/* ---- What is refused
 * --------------------------------------------------------------------------------------------------- */

/* Both the check and the open say the same. */
static void assert_refused(const char *name, uint32_t flags, int status, const char *text)
{
	const struct fh_spec spec = spec_of(name, flags);

	ck_status(fh_check(&spec), status);
	assert_says(text);
	ck_status(fh_open(&spec, &unit), status);
	assert_says(text);
}

START_TEST(other_kinds_of_file_are_refused_by_name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!use_posix_plugin(_i))
		return;
	ck_assert_int_eq(mkdir(in_scratch("folder"), 0755), 0);
	ck_assert_int_eq(mkfifo(in_scratch("fifo"), 0600), 0);
	strcpy(address.sun_path, in_scratch("socket"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_refused("folder", 0, -EISDIR, "folder' is a directory");
	assert_refused("folder", TGTKIT_OPEN_CREATE, -EISDIR, "folder' is a directory");
	assert_refused("fifo", 0, -EINVAL, "fifo' is a FIFO");
	assert_refused("socket", 0, -EINVAL, "socket' is a socket");
	assert_refused("/dev/null", 0, -EINVAL, "'/dev/null' is a character device");
	close(fd);
}
END_TEST

START_TEST(what_is_missing_is_refused_by_name)
{
	if (!use_posix_plugin(_i))
		return;
	assert_refused("", 0, -EINVAL, "missing");
	assert_refused("nowhere", 0, -ENOENT, "nowhere' does not exist");
	assert_refused("no/folder", TGTKIT_OPEN_CREATE, -ENOENT, "no/folder' cannot be made");
}
END_TEST

START_TEST(a_file_without_write_permission_is_served_read_only_at_most)
{
	const bool is_root = geteuid() == 0;

	if (!use_posix_plugin(_i))
		return;
	make_file("protected", MIB);
	ck_assert_int_eq(chmod(in_scratch("protected"), 0444), 0);
	if (is_root)
		ck_assert_int_eq(seteuid(65534), 0);
	assert_refused("protected", 0, -EACCES, "serve it read-only");
	assert_refused("new", is_root ? TGTKIT_OPEN_CREATE : 0, is_root ? -EACCES : -ENOENT, "new'");
	ck_status(open_named("protected", TGTKIT_OPEN_READ_ONLY), 0);
	fh_close(unit);
	if (is_root)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(direct_io_refuses_a_size_that_it_cannot_reach)
{
	struct fh_spec spec;

	if (!use_posix_plugin(_i))
		return;
	spec = spec_of("odd", 0);
	make_file("odd", MIB + 100);
	spec.options = posix_plugin->direct;
	ck_status(fh_open(&spec, &unit), -EINVAL);
	assert_says(posix_plugin->without_direct);
	ck_status(open_named("odd", 0), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, MIB + 100);
	fh_close(unit);
}
END_TEST

START_TEST(options_out_of_range_are_refused)
{
	static const struct fh_option none_parallel[] = {{"max_parallel", "0"}, {NULL, NULL}};
	static const struct fh_option too_parallel[] = {{"max_parallel", "257"}, {NULL, NULL}};
	static const struct fh_option most_parallel[] = {{"max_parallel", "256"}, {NULL, NULL}};
	struct fh_spec spec = spec_of("store", 0);

	make_file("store", MIB);
	spec.options = none_parallel;
	ck_status(fh_open(&spec, &unit), -EINVAL);
	spec.options = too_parallel;
	ck_status(fh_open(&spec, &unit), -EINVAL);
	spec.options = most_parallel;
	ck_status(fh_open(&spec, &unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->max_parallel, 256);
	fh_close(unit);
	ck_status(open_named("store", 0), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->max_parallel, 16);
	fh_close(unit);
}
END_TEST

/* ---- Size
 * ---------------------------------------------------------------------------------------------------------------- */

START_TEST(growth_from_outside_is_seen_by_refresh)
{
	unsigned char byte = 1;

	if (!use_posix_plugin(_i))
		return;
	make_file("store", MIB);
	ck_status(open_named("store", 0), 0);
	ck_assert_int_eq(truncate(in_scratch("store"), 2 * MIB), 0);
	ck_status(fh_refresh(unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 2 * MIB);
	ck_status(fh_read(unit, &byte, 1, 2 * MIB - 1), 0);
	ck_assert_uint_eq(byte, 0);
	fh_close(unit);
}
END_TEST

START_TEST(resize_grows_and_shrinks_only_when_told_to)
{
	struct stat seen;

	if (!use_posix_plugin(_i))
		return;
	make_file("store", 2 * MIB);
	ck_status(open_named("store", 0), 0);
	ck_status(fh_resize(unit, 3 * MIB, 0), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 3 * MIB);
	ck_status(fh_resize(unit, MIB, 0), -EINVAL);
	assert_says("would cut off data");
	ck_status(fh_resize(unit, MIB, TGTKIT_RESIZE_SHRINK), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, MIB);
	ck_status(fh_resize(unit, 0, TGTKIT_RESIZE_SHRINK), -EINVAL);
	ck_status(fh_resize(unit, UINT64_MAX, 0), -EINVAL);
	ck_assert_int_eq(stat(in_scratch("store"), &seen), 0);
	ck_assert_int_eq(seen.st_size, MIB);
	fh_close(unit);
	ck_status(open_named("store", TGTKIT_OPEN_READ_ONLY), 0);
	ck_status(fh_resize(unit, 2 * MIB, 0), -EROFS);
	fh_close(unit);
}
END_TEST

START_TEST(direct_io_grows_by_whole_units_only)
{
	struct fh_spec spec;

	if (!use_posix_plugin(_i))
		return;
	spec = spec_of("store", 0);
	make_file("store", MIB);
	spec.options = posix_plugin->direct;
	ck_status(fh_open(&spec, &unit), 0);
	ck_assert_uint_gt(fh_capabilities(unit)->offset_alignment_bytes, 1);
	ck_status(fh_resize(unit, MIB + 100, 0), -EINVAL);
	ck_assert_int_eq(truncate(in_scratch("store"), 2 * MIB + 100), 0);
	ck_status(fh_refresh(unit), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 2 * MIB);
	fh_close(unit);
}
END_TEST

/* ---- Extents, zero, waiting
 * --------------------------------------------------------------------------------------------- */

START_TEST(extents_are_those_of_the_file)
{
	struct tgtkit_extent extents[8];
	static unsigned char data[MIB];
	uint32_t count;

	if (!use_posix_plugin(_i))
		return;
	memset(data, 7, sizeof(data));
	ck_status(open_named("store", TGTKIT_OPEN_CREATE), 0);
	ck_status(fh_write(unit, data, MIB, MIB, 0), 0);
	ck_status(fh_extents(unit, 0, 4 * MIB, extents, 8, &count), 0);
	ck_assert_uint_eq(count, 3);
	ck_assert_uint_eq(extents[0].flags, TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO);
	ck_assert_uint_eq(extents[0].length, MIB);
	ck_assert_uint_eq(extents[1].flags, TGTKIT_EXTENT_DATA);
	ck_assert_uint_eq(extents[1].length, MIB);
	ck_assert_uint_eq(extents[2].flags, TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO);
	ck_assert_uint_eq(extents[2].length, 2 * MIB);
	/* Cut to the range, at both ends. */
	ck_status(fh_extents(unit, MIB + 4096, 8192, extents, 8, &count), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(extents[0].length, 8192);
	ck_status(fh_extents(unit, 4 * MIB - 4096, 4096, extents, 8, &count), 0);
	ck_assert_uint_eq(extents[0].flags, TGTKIT_EXTENT_HOLE | TGTKIT_EXTENT_ZERO);
	/* What is beyond the end of a file cut short is not known to be zero. */
	ck_assert_int_eq(truncate(in_scratch("store"), 2 * MIB), 0);
	ck_status(fh_extents(unit, 3 * MIB, MIB, extents, 8, &count), 0);
	ck_assert_uint_eq(extents[0].flags, TGTKIT_EXTENT_DATA);
	fh_close(unit);
}
END_TEST

static blkcnt_t blocks_of(const char *name)
{
	struct stat seen;

	ck_assert_int_eq(stat(in_scratch(name), &seen), 0);
	return seen.st_blocks;
}

START_TEST(discard_frees_space_and_zero_keeps_it_unless_it_may_not)
{
	static unsigned char data[MIB];
	blkcnt_t full;

	if (!use_posix_plugin(_i))
		return;
	memset(data, 7, sizeof(data));
	ck_status(open_named("store", TGTKIT_OPEN_CREATE), 0);
	ck_status(fh_write(unit, data, MIB, 0, TGTKIT_REQUEST_FUA), 0);
	full = blocks_of("store");
	ck_assert_int_ge(full * 512, MIB);
	ck_status(fh_zero(unit, 0, MIB / 2, 0), 0);
	ck_status(fh_flush(unit), 0);
	ck_assert_int_ge(blocks_of("store"), full);
	ck_status(fh_zero(unit, 0, MIB / 2, TGTKIT_REQUEST_MAY_UNMAP), 0);
	ck_assert_int_le(blocks_of("store"), full / 2 + 64);
	ck_status(fh_discard(unit, MIB / 2, MIB / 2, 0), 0);
	ck_assert_int_le(blocks_of("store"), 64);
	fh_close(unit);
}
END_TEST

START_TEST(what_is_cached_is_read_without_waiting)
{
	static unsigned char data[65536];
	struct iovec piece = {data, sizeof(data)};
	struct statfs seen;
	ssize_t got;

	ck_status(open_named("store", TGTKIT_OPEN_CREATE), 0);
	ck_status(fh_write(unit, data, sizeof(data), 0, 0), 0);
	ck_assert_int_eq(statfs(in_scratch("store"), &seen), 0);
	got = fh_load(FILE_PLUGIN)->blocking->preadv_nowait(fh_handle(unit), &piece, 1, 0);
	if (seen.f_type == EXT4_SUPER_MAGIC || seen.f_type == 0x58465342 /* XFS */)
		ck_assert_int_eq(got, sizeof(data));
	else
		ck_assert(got == sizeof(data) || got == -EOPNOTSUPP || got == -EAGAIN);
	fh_close(unit);
}
END_TEST

START_TEST(direct_io_never_runs_on_a_worker)
{
	static unsigned char data[8192];
	struct iovec piece = {data, sizeof(data)};
	const struct tgtkit_blocking *blocking = fh_load(FILE_PLUGIN)->blocking;
	struct fh_spec spec = spec_of("store", TGTKIT_OPEN_CREATE);

	spec.options = posix_plugin->direct;
	ck_status(fh_open(&spec, &unit), 0);
	ck_assert_int_eq(blocking->preadv_nowait(fh_handle(unit), &piece, 1, 0), -EOPNOTSUPP);
	ck_assert_int_eq(blocking->pwritev_nowait(fh_handle(unit), &piece, 1, 0), -EOPNOTSUPP);
	fh_close(unit);
}
END_TEST

/* ---- Many threads
 * ----------------------------------------------------------------------------------------------------------- */

#define THREADS 8

static void *write_and_flush(void *context)
{
	const struct tgtkit_blocking *blocking = fh_load(FILE_PLUGIN)->blocking;
	const uintptr_t number = (uintptr_t)context;
	unsigned char data[4096];
	int status = 0;

	memset(data, (int)number + 1, sizeof(data));
	for (unsigned i = 0; i < 50 && status == 0; i++) {
		const uint64_t offset = (number * 50 + i) * sizeof(data);

		status =
		    blocking->pwrite(fh_handle(unit), data, sizeof(data), offset, i % 2 == 0 ? TGTKIT_REQUEST_FUA : 0);
		if (status == 0 && i % 8 == 0)
			status = blocking->flush(fh_handle(unit));
	}
	return (void *)(intptr_t)status;
}

START_TEST(many_threads_write_and_flush_at_a_time)
{
	static unsigned char data[THREADS * 50 * 4096];
	pthread_t threads[THREADS];
	void *status;

	ck_status(open_named("store", TGTKIT_OPEN_CREATE), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_and_flush, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &status), 0);
		ck_assert_int_eq((int)(intptr_t)status, 0);
	}
	ck_status(fh_read(unit, data, sizeof(data), 0), 0);
	for (size_t i = 0; i < sizeof(data); i++)
		if (data[i] != i / (50 * 4096) + 1)
			ck_abort_msg("byte %zu is %u", i, data[i]);
	fh_close(unit);
}
END_TEST

TCase *file_tests(void)
{
	TCase *tests = tcase_create("file");

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_new_store_is_sparse_private_and_of_the_size_asked_for, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_new_store_can_be_made_for_reading_only, 0, posix_plugin_count);
	tcase_add_loop_test(tests, an_existing_stores_own_size_wins_over_create, 0, posix_plugin_count);
	tcase_add_loop_test(tests, an_empty_file_is_finished_by_create_and_refused_without, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_store_without_a_size_is_not_made, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_store_that_cannot_be_made_leaves_no_file, 0, posix_plugin_count);
	tcase_add_loop_test(tests, other_kinds_of_file_are_refused_by_name, 0, posix_plugin_count);
	tcase_add_loop_test(tests, what_is_missing_is_refused_by_name, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_file_without_write_permission_is_served_read_only_at_most, 0, posix_plugin_count);
	tcase_add_loop_test(tests, direct_io_refuses_a_size_that_it_cannot_reach, 0, posix_plugin_count);
	tcase_add_test(tests, options_out_of_range_are_refused);
	tcase_add_loop_test(tests, growth_from_outside_is_seen_by_refresh, 0, posix_plugin_count);
	tcase_add_loop_test(tests, resize_grows_and_shrinks_only_when_told_to, 0, posix_plugin_count);
	tcase_add_loop_test(tests, direct_io_grows_by_whole_units_only, 0, posix_plugin_count);
	tcase_add_loop_test(tests, extents_are_those_of_the_file, 0, posix_plugin_count);
	tcase_add_loop_test(tests, discard_frees_space_and_zero_keeps_it_unless_it_may_not, 0, posix_plugin_count);
	tcase_add_test(tests, what_is_cached_is_read_without_waiting);
	tcase_add_test(tests, direct_io_never_runs_on_a_worker);
	tcase_add_test(tests, many_threads_write_and_flush_at_a_time);
	return tests;
}
