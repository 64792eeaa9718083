/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests stand on: a scratch folder, loop devices, a small file system.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/loop.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugins_test.h"

char scratch[64];
static char loop_name[32];
static int loop_fd = -1;
static char small[80];

/* ---- Scratch folder ------------------------------------------------------------------------------------------------
 */

void set_up_scratch(void)
{
	/* Not in /tmp, which may be a tmpfs without direct I/O. */
	snprintf(scratch, sizeof(scratch), "/var/tmp/tgtkit-plugins-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	ck_assert_int_eq(chmod(scratch, 0755), 0);
}

static int remove_one(const char *path, const struct stat *seen, int kind, struct FTW *where)
{
	(void)seen;
	(void)kind;
	(void)where;
	return remove(path);
}

void tear_down_scratch(void)
{
	loop_detach();
	small_tmpfs_remove();
	nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

const char *in_scratch(const char *name)
{
	static char names[8][256];
	static unsigned next;
	char *result = names[next++ % 8];

	snprintf(result, sizeof(names[0]), "%s/%s", scratch, name);
	return result;
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

	/* Another program may take the free one first. */
	for (int attempt = 0; control >= 0 && backing >= 0 && loop_fd < 0 && attempt < 8; attempt++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(loop_name, sizeof(loop_name), "/dev/loop%d", number);
		loop_fd = number < 0 ? -1 : open(loop_name, O_RDWR | O_CLOEXEC);
		if (loop_fd < 0)
			break;
		if (ioctl(loop_fd, LOOP_SET_FD, backing) != 0) {
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

unsigned open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned count = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count;
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
