/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "target/state_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_FILE_LIMIT_BYTES (256u << 20)

static int __attribute__((format(printf, 3, 4)))
fail(int code, char error[static TARGET_ERROR_BYTES], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, TARGET_ERROR_BYTES, format, arguments);
	va_end(arguments);
	return -code;
}

/* Another daemon's process id, as it wrote it into the lock file; 0 where it cannot be read. */
static int lock_owner(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
}

/* The id serves people only, so a failure to write it does no harm: a reader then sees 0. */
static void write_owner(int fd)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)length, 0) != length)
		(void)!ftruncate(fd, 0);
}

static int lock_folder(struct target_state_folder *folder, char error[static TARGET_ERROR_BYTES])
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	folder->lock_fd = openat(folder->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (folder->lock_fd < 0)
		return fail(errno, error, "state folder %s: cannot open its lock: %s", folder->path, strerror(errno));
	if (!fcntl(folder->lock_fd, F_OFD_SETLK, &whole)) {
		write_owner(folder->lock_fd);
		return 0;
	}
	if (errno != EAGAIN && errno != EACCES)
		return fail(errno, error, "state folder %s: cannot lock it: %s", folder->path, strerror(errno));
	return fail(EBUSY, error,
		    "state folder %s is in use by another tgtkitd (process %d): stop that one or set daemon.state_dir",
		    folder->path, lock_owner(folder->lock_fd));
}

static int open_folder(struct target_state_folder *folder, char error[static TARGET_ERROR_BYTES])
{
	if (mkdir(folder->path, 0750) && errno != EEXIST)
		return fail(errno, error, "state folder %s: cannot make it: %s; make it or set daemon.state_dir",
			    folder->path, strerror(errno));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return fail(errno, error, "state folder %s: %s", folder->path, strerror(errno));
	return lock_folder(folder, error);
}

int target_state_folder_open(const char *path, struct target_state_folder *folder,
			     char error[static TARGET_ERROR_BYTES])
{
	int status;

	*folder = (struct target_state_folder){.path = strdup(path), .fd = -1, .lock_fd = -1};
	status = folder->path ? open_folder(folder, error) : fail(ENOMEM, error, "out of memory");
	if (status)
		target_state_folder_close(folder);
	return status;
}

void target_state_folder_close(struct target_state_folder *folder)
{
	if (folder->lock_fd >= 0)
		close(folder->lock_fd);
	if (folder->fd >= 0)
		close(folder->fd);
	free(folder->path);
	*folder = (struct target_state_folder){.fd = -1, .lock_fd = -1};
}

static int read_whole(int fd, char *text, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = read(fd, text + done, length - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count ? -errno : -EIO;
		done += (size_t)count;
	}
	return 0;
}

static int read_fd(int fd, char **text, size_t *length)
{
	struct stat status;
	int result;

	if (fstat(fd, &status))
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_size > STATE_FILE_LIMIT_BYTES)
		return -EINVAL;
	*length = (size_t)status.st_size;
	*text = malloc(*length + 1);
	if (!*text)
		return -ENOMEM;
	(*text)[*length] = '\0';
	result = read_whole(fd, *text, *length);
	if (result) {
		free(*text);
		*text = NULL;
	}
	return result;
}

int target_state_read(const struct target_state_folder *folder, const char *name, char **text, size_t *length,
		      char error[static TARGET_ERROR_BYTES])
{
	int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int status;

	*text = NULL;
	*length = 0;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return fail(errno, error, "%s/%s cannot be read: %s", folder->path, name, strerror(errno));
	status = read_fd(fd, text, length);
	close(fd);
	return status ? fail(-status, error, "%s/%s cannot be read: %s", folder->path, name, strerror(-status)) : 0;
}

static int write_whole(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t count = write(fd, text, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		text += count;
		length -= (size_t)count;
	}
	return 0;
}

static int write_temporary(const struct target_state_folder *folder, const char *temporary, const char *text,
			   size_t length)
{
	int fd = openat(folder->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int status;

	if (fd < 0)
		return -errno;
	status = write_whole(fd, text, length);
	if (!status && fsync(fd))
		status = -errno;
	if (close(fd) && !status)
		status = -errno;
	return status;
}

/* The new file takes the name; `kept`: the old one has the temporary's, so that it can be put back. */
static int take_name(const struct target_state_folder *folder, const char *temporary, const char *name, bool *kept)
{
	struct stat status;
	bool is_there = !fstatat(folder->fd, name, &status, AT_SYMLINK_NOFOLLOW) && S_ISREG(status.st_mode);

	/* Not every file system can exchange two names. */
	*kept = is_there && !renameat2(folder->fd, temporary, folder->fd, name, RENAME_EXCHANGE);
	return *kept || !renameat(folder->fd, temporary, folder->fd, name) ? 0 : -errno;
}

/* The folder could not be written through: a change that is refused for that must not be there after a restart. */
static void give_name_back(const struct target_state_folder *folder, const char *temporary, const char *name, bool kept,
			   bool was_there)
{
	if (kept)
		renameat2(folder->fd, temporary, folder->fd, name, RENAME_EXCHANGE);
	else if (!was_there)
		unlinkat(folder->fd, name, 0);
	fsync(folder->fd);
}

static int publish(const struct target_state_folder *folder, const char *temporary, const char *name)
{
	bool was_there = !faccessat(folder->fd, name, F_OK, AT_SYMLINK_NOFOLLOW), kept;
	int status = take_name(folder, temporary, name, &kept);

	if (status)
		return status;
	if (fsync(folder->fd)) {
		status = -errno;
		give_name_back(folder, temporary, name, kept, was_there);
	} else if (kept) {
		unlinkat(folder->fd, temporary, 0);
	}
	return status;
}

int target_state_write(const struct target_state_folder *folder, const char *name, const char *text, size_t length,
		       char error[static TARGET_ERROR_BYTES])
{
	char temporary[NAME_MAX + 1];
	int status;

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	status = write_temporary(folder, temporary, text, length);
	if (!status)
		status = publish(folder, temporary, name);
	if (status) {
		/* What there is of it only takes room. */
		unlinkat(folder->fd, temporary, 0);
		return fail(-status, error, "%s/%s cannot be written: %s", folder->path, name, strerror(-status));
	}
	return 0;
}

int target_state_remove(const struct target_state_folder *folder, const char *name,
			char error[static TARGET_ERROR_BYTES])
{
	if ((unlinkat(folder->fd, name, 0) && errno != ENOENT) || fsync(folder->fd))
		return fail(errno, error, "%s/%s cannot be removed: %s", folder->path, name, strerror(errno));
	return 0;
}
