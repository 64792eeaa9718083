/* SPDX-License-Identifier: Apache-2.0 */
#include "target/secret_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/log.h"

#define FOLDER	     "secrets"
#define RANDOM_BYTES 16u
#define NAME_BYTES   (2 * RANDOM_BYTES + 1)

/* A descriptor of the folder, or negative errno. */
static int open_folder(const struct target_state_folder *folder, bool make)
{
	int fd;

	if (make && mkdirat(folder->fd, FOLDER, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(folder->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (make && fsync(folder->fd)) {
		int status = -errno;

		close(fd);
		return status;
	}
	return fd;
}

static int make_name(char name[static NAME_BYTES])
{
	uint8_t bytes[RANDOM_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(name + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static int write_value(int fd, const char *value)
{
	FILE *stream = fdopen(fd, "w");
	int status = 0;

	if (!stream) {
		status = -errno;
		close(fd);
		return status;
	}
	/* The value goes to no buffer that outlives it. */
	setvbuf(stream, NULL, _IONBF, 0);
	if (fputs(value, stream) < 0 || putc('\n', stream) < 0 || fflush(stream) || fsync(fd))
		status = -errno;
	if (fclose(stream) && !status)
		status = -errno;
	return status;
}

static int write_file(int folder_fd, const char *name, const char *value)
{
	int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int status = fd < 0 ? -errno : write_value(fd, value);

	if (!status && fsync(folder_fd))
		status = -errno;
	if (status && fd >= 0)
		unlinkat(folder_fd, name, 0);
	return status;
}

/* The state folder may have been given by a relative path, and the daemon gone elsewhere since. */
static int absolute_path(int folder_fd, const char *name, char path[static PATH_MAX])
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", folder_fd);
	length = readlink(link, path, PATH_MAX);
	if (length < 0)
		return -errno;
	if ((size_t)length + 1 + NAME_BYTES > PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(path + length, PATH_MAX - (size_t)length, "/%s", name);
	return 0;
}

int target_secrets_keep(const struct target_state_folder *folder, const char *value, char path[static PATH_MAX],
			char error[static TARGET_ERROR_BYTES])
{
	int fd = open_folder(folder, true);
	char name[NAME_BYTES];
	int status = fd < 0 ? fd : make_name(name);

	if (!status)
		status = absolute_path(fd, name, path);
	if (!status)
		status = write_file(fd, name, value);
	if (status)
		snprintf(error, TARGET_ERROR_BYTES, "%s/" FOLDER ": a secret cannot be written: %s", folder->path,
			 strerror(-status));
	if (fd >= 0)
		close(fd);
	return status;
}

static bool is_wanted(const char *name, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (texts[i] && strstr(texts[i], name))
			return true;
	return false;
}

/* Files of other names are not ours. */
static bool is_ours(const char *name)
{
	return strlen(name) == NAME_BYTES - 1 && strspn(name, "0123456789abcdef") == NAME_BYTES - 1;
}

void target_secrets_sweep(const struct target_state_folder *folder, const char *const *texts, size_t count)
{
	int fd = open_folder(folder, false);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!stream) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(stream)))
		if (is_ours(entry->d_name) && !is_wanted(entry->d_name, texts, count) &&
		    unlinkat(dirfd(stream), entry->d_name, 0))
			rt_log(RT_LOG_WARNING, "%s/" FOLDER "/%s: nobody needs it, and it cannot be removed: %s",
			       folder->path, entry->d_name, strerror(errno));
	closedir(stream);
}
