/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests stand on: a scratch folder, loop devices, a small file system.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plugins_test.h"

char scratch[64];
static char loop_name[32];
static int loop_fd = -1;
static char small[80];
static char shared_memory[40];
static char root[40]; /* that the scratch folders of all tests are in */

/* ---- Scratch folder ------------------------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *seen, int kind, struct FTW *where)
{
	(void)seen;
	(void)kind;
	(void)where;
	return remove(path);
}

static void remove_tree(const char *folder)
{
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void set_up_root(void)
{
	/* Not in /tmp, which may be a tmpfs without direct I/O. */
	snprintf(root, sizeof(root), "/var/tmp/tgtkit-plugins-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chmod(root, 0755), 0);
	snprintf(shared_memory, sizeof(shared_memory), "/dev/shm/tgtkit-plugins-XXXXXX");
	if (mkdtemp(shared_memory) == NULL)
		shared_memory[0] = '\0';
}

static void tear_down_root(void)
{
	remove_tree(root);
	if (shared_memory[0] != '\0')
		remove_tree(shared_memory);
}

/* Outside of the process of each test: one that fails ends without a tear-down of its own. */
void use_scratch(TCase *tests)
{
	tcase_add_unchecked_fixture(tests, set_up_root, tear_down_root);
}

void set_up_scratch(void)
{
	snprintf(scratch, sizeof(scratch), "%s/%d", root, (int)getpid());
	ck_assert_int_eq(mkdir(scratch, 0755), 0);
	ck_assert_int_eq(chmod(scratch, 0755), 0);
}

void tear_down_scratch(void)
{
	loop_detach();
	small_tmpfs_remove();
	remove_tree(scratch);
}

const char *in_scratch(const char *name)
{
	static char names[8][256];
	static unsigned next;
	char *result = names[next++ % 8];

	snprintf(result, sizeof(names[0]), "%s/%s", scratch, name);
	return result;
}

const char *in_shared_memory(void)
{
	static char name[80];

	snprintf(name, sizeof(name), "%s/%d", shared_memory, (int)getpid());
	return shared_memory[0] == '\0' ? NULL : name;
}

void make_file(const char *name, uint64_t size_bytes)
{
	int fd = open(in_scratch(name), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size_bytes), 0);
	close(fd);
}

/* ---- Block devices and file systems
 * ------------------------------------------------------------------------------------ */

const char *loop_attach(const char *file)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), backing = open(file, O_RDWR | O_CLOEXEC), number;
	struct loop_config config = {.fd = (uint32_t)backing, .info.lo_flags = LO_FLAGS_AUTOCLEAR};

	/* Another program may take the free one first. */
	for (int attempt = 0; control >= 0 && backing >= 0 && loop_fd < 0 && attempt < 8; attempt++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(loop_name, sizeof(loop_name), "/dev/loop%d", number);
		loop_fd = number < 0 ? -1 : open(loop_name, O_RDWR | O_CLOEXEC);
		if (loop_fd < 0)
			break;
		/* It goes with the last descriptor, however the test ends. */
		if (ioctl(loop_fd, LOOP_CONFIGURE, &config) != 0) {
			close(loop_fd);
			loop_fd = -1;
		}
	}
	if (control >= 0)
		close(control);
	if (backing >= 0)
		close(backing);
	return loop_fd >= 0 ? loop_name : NULL;
}

void loop_detach(void)
{
	if (loop_fd < 0)
		return;
	ioctl(loop_fd, LOOP_CLR_FD, 0);
	close(loop_fd);
	loop_fd = -1;
}

const char *small_tmpfs(unsigned size_bytes)
{
	char options[32];

	/* In a mount namespace of this process alone, so that it goes with it, however the test ends. */
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return NULL;
	snprintf(small, sizeof(small), "%s/small", scratch);
	snprintf(options, sizeof(options), "size=%u", size_bytes);
	if (mkdir(small, 0755) != 0 || mount("none", small, "tmpfs", 0, options) != 0) {
		small[0] = '\0';
		return NULL;
	}
	return small;
}

void small_tmpfs_remove(void)
{
	if (small[0] == '\0')
		return;
	umount2(small, MNT_DETACH);
	small[0] = '\0';
}

bool io_uring_is_allowed(void)
{
	struct io_uring_params parameters = {0};
	int fd = (int)syscall(SYS_io_uring_setup, 1, &parameters);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* ---- Plugins of files and block devices ----------------------------------------------------------------------------
 */

static const struct fh_option file_direct[] = {{"direct", "true"}, {NULL, NULL}};
#ifdef IOURING_PLUGIN
static const struct fh_option iouring_buffered[] = {{"buffered", "true"}, {NULL, NULL}};
#endif

const struct posix_plugin posix_plugins[] = {
    {"file", FILE_PLUGIN, NULL, file_direct, "direct = false", false},
#ifdef IOURING_PLUGIN
    {"iouring", IOURING_PLUGIN, iouring_buffered, NULL, "buffered = true", true},
#endif
};
const int posix_plugin_count = sizeof(posix_plugins) / sizeof(posix_plugins[0]);

const struct posix_plugin *posix_plugin = &posix_plugins[0];

bool use_posix_plugin(int number)
{
	posix_plugin = &posix_plugins[number];
	if (!posix_plugin->needs_io_uring || io_uring_is_allowed())
		return true;
	fprintf(stderr, "skipped: %s is not to be had here\n", posix_plugin->name);
	return false;
}

/* ---- Odds and ends
 * --------------------------------------------------------------------------------------------------------- */

void fill(void *buffer, size_t length, uint32_t seed)
{
	unsigned char *bytes = buffer;

	seed = seed * 2654435761u + 1;
	for (size_t i = 0; i < length; i++) {
		seed = seed * 1664525u + 1013904223u;
		bytes[i] = (unsigned char)(seed >> 24);
	}
}

static unsigned entries_of(const char *path)
{
	DIR *folder = opendir(path);
	unsigned count = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
}

unsigned open_descriptors(void)
{
	return entries_of("/proc/self/fd");
}

unsigned running_threads(void)
{
	return entries_of("/proc/self/task");
}

extern size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t allocated_bytes(void)
{
	struct mallinfo2 info;

	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();
	info = mallinfo2();
	return info.uordblks + info.hblkhd;
}
