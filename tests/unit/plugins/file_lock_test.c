/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugins of files: no store is open for writing twice.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
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

START_TEST(a_store_is_opened_for_writing_once)
{
	struct fh_unit *first;

	if (!use_posix_plugin(_i))
		return;
	make_file("store", MIB);
	ck_status(open_named("store", 0), 0);
	first = unit;
	ck_status(open_named("store", 0), -EBUSY);
	assert_says("store' is locked for use by another daemon");
	ck_status(open_named("store", TGTKIT_OPEN_READ_ONLY), -EBUSY);
	fh_close(first);
	ck_status(open_named("store", 0), 0);
	fh_close(unit);
}
END_TEST

START_TEST(readers_share_a_store_and_keep_a_writer_out)
{
	struct fh_unit *first;

	if (!use_posix_plugin(_i))
		return;
	make_file("store", MIB);
	ck_status(open_named("store", TGTKIT_OPEN_READ_ONLY), 0);
	first = unit;
	ck_status(open_named("store", 0), -EBUSY);
	ck_status(open_named("store", TGTKIT_OPEN_READ_ONLY), 0);
	fh_close(unit);
	fh_close(first);
}
END_TEST

START_TEST(the_lock_outlives_other_closes_of_the_same_file)
{
	struct fh_unit *first;

	if (!use_posix_plugin(_i))
		return;
	make_file("store", MIB);
	ck_status(open_named("store", 0), 0);
	first = unit;
	/* A lock of the process would end here. */
	close(open(in_scratch("store"), O_RDWR | O_CLOEXEC));
	ck_status(open_named("store", 0), -EBUSY);
	fh_close(first);
}
END_TEST

/* Takes the lock of an ordinary program, says so, and waits to be killed. */
static pid_t fork_locker(const char *path)
{
	int announce[2];
	char told;
	pid_t child;

	ck_assert_int_eq(pipe2(announce, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd = open(path, O_RDWR | O_CLOEXEC);

		if (fcntl(fd, F_SETLK, &lock) == 0 && write(announce[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(announce[1]);
	ck_assert_int_eq(read(announce[0], &told, 1), 1);
	close(announce[0]);
	return child;
}

START_TEST(the_process_that_holds_a_lock_is_named)
{
	char expected[64];
	pid_t child;

	if (!use_posix_plugin(_i))
		return;
	make_file("store", MIB);
	child = fork_locker(in_scratch("store"));
	snprintf(expected, sizeof(expected), "locked for use by process %d", (int)child);
	ck_status(open_named("store", 0), -EBUSY);
	assert_says(expected);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	ck_status(open_named("store", 0), 0);
	fh_close(unit);
}
END_TEST

START_TEST(a_block_device_is_claimed)
{
	const char *device;
	int fd;

	if (!use_posix_plugin(_i))
		return;
	make_file("disk", 4 * MIB);
	device = loop_attach(in_scratch("disk"));
	if (device == NULL)
		return;
	fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_status(open_named(device, 0), -EBUSY);
	assert_says("is in use: mounted, or claimed");
	close(fd);
	ck_status(open_named(device, 0), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 4 * MIB);
	ck_status(fh_resize(unit, 8 * MIB, 0), -EOPNOTSUPP);
	assert_says("is a block device");
	fh_close(unit);
}
END_TEST

TCase *file_lock_tests(void)
{
	TCase *tests = tcase_create("file, locks");

	use_scratch(tests);
	tcase_add_checked_fixture(tests, set_up_scratch, tear_down);
	tcase_add_loop_test(tests, a_store_is_opened_for_writing_once, 0, posix_plugin_count);
	tcase_add_loop_test(tests, readers_share_a_store_and_keep_a_writer_out, 0, posix_plugin_count);
	tcase_add_loop_test(tests, the_lock_outlives_other_closes_of_the_same_file, 0, posix_plugin_count);
	tcase_add_loop_test(tests, the_process_that_holds_a_lock_is_named, 0, posix_plugin_count);
	tcase_add_loop_test(tests, a_block_device_is_claimed, 0, posix_plugin_count);
	return tests;
}
