/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix_error.h"
#include "posix_store.h"

static int refuse_kind(const char *path, mode_t mode, struct tgtkit_error *error)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return 0;
	if (S_ISDIR(mode))
		return posix_error(error, EISDIR, "'%s' is a directory, not a file or block device", path);
	return posix_error(error, EINVAL, "'%s' is a %s, not a file or block device", path,
			   S_ISCHR(mode)    ? "character device"
			   : S_ISFIFO(mode) ? "FIFO"
			   : S_ISSOCK(mode) ? "socket"
					    : "special file");
}

static int refuse_missing(const char *path, struct tgtkit_error *error)
{
	return posix_error(error, ENOENT, "'%s' does not exist; ask for its creation, with a size, to have it made",
			   path);
}

static int check_creation(const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	if (args->size_bytes == 0)
		return posix_error(error, EINVAL, "'%s' cannot be made without a size", args->path);
	if (args->size_bytes > INT64_MAX)
		return posix_error(error, EFBIG, "'%s' cannot be made with %" PRIu64 " bytes: more than a file holds",
				   args->path, args->size_bytes);
	return 0;
}

static int refuse_empty_path(const char *path, struct tgtkit_error *error)
{
	return path[0] != '\0' ? 0 : posix_error(error, EINVAL, "a path to a file or block device is missing");
}

/* The folder of `path`, in memory to be freed. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int check_folder(const char *path, struct tgtkit_error *error)
{
	char *folder = folder_of(path);
	int status = 0;

	if (folder == NULL)
		return posix_error(error, ENOMEM, "out of memory");
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0)
		status = posix_error(error, errno, "'%s' cannot be made in '%s': %m", path, folder);
	free(folder);
	return status;
}

int posix_store_check(const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	const bool read_only = args->flags & TGTKIT_OPEN_READ_ONLY, create = args->flags & TGTKIT_OPEN_CREATE;
	struct stat seen;
	int status = refuse_empty_path(args->path, error);

	if (status != 0)
		return status;
	if (stat(args->path, &seen) != 0) {
		if (errno != ENOENT)
			return posix_error(error, errno, "'%s': %m", args->path);
		if (!create)
			return refuse_missing(args->path, error);
		status = check_creation(args, error);
		return status != 0 ? status : check_folder(args->path, error);
	}
	status = refuse_kind(args->path, seen.st_mode, error);
	if (status == 0 && faccessat(AT_FDCWD, args->path, read_only ? R_OK : R_OK | W_OK, AT_EACCESS) != 0)
		status = posix_error(error, errno, "'%s' cannot be opened for %s: %m", args->path,
				     read_only ? "reading" : "writing; serve it read-only, or change its permissions");
	return status;
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static int refuse_open(const struct posix_store *store, int errno_value, struct tgtkit_error *error)
{
	const char *path = store->path;

	switch (errno_value) {
	case EINVAL:
		if (store->direct)
			return posix_error(error, EINVAL, "'%s': its file system does not do direct I/O; use %s", path,
					   store->without_direct);
		break;
	case EROFS:
		return posix_error(error, EROFS, "'%s' is on a read-only file system or device; serve it read-only",
				   path);
	case EACCES:
	case EPERM:
		return posix_error(error, errno_value, "'%s' cannot be opened for %s: %m%s", path,
				   store->read_only ? "reading" : "writing",
				   store->read_only ? "" : "; serve it read-only, or change its permissions");
	case EBUSY:
		return posix_error(error, EBUSY, "'%s' is in use: mounted, or claimed by another program", path);
	case ENOENT:
		return refuse_missing(path, error);
	}
	return posix_error(error, errno_value, "'%s' cannot be opened: %m", path);
}

/* Opens what is there.  A block device is claimed, so that a mounted one is never written to. */
static int open_existing(struct posix_store *store, struct tgtkit_error *error)
{
	struct stat seen;
	int status, flags = O_CLOEXEC | O_NOCTTY | (store->read_only ? O_RDONLY : O_RDWR);

	/* By name first: merely opening a device or FIFO may block or have effects. */
	if (stat(store->path, &seen) != 0)
		return refuse_open(store, errno, error);
	status = refuse_kind(store->path, seen.st_mode, error);
	if (status != 0)
		return status;
	if (store->direct)
		flags |= O_DIRECT;
	if (S_ISBLK(seen.st_mode) && !store->read_only)
		flags |= O_EXCL;
	store->fd = open(store->path, flags);
	if (store->fd < 0)
		return refuse_open(store, errno, error);
	if (fstat(store->fd, &seen) != 0)
		return posix_error(error, errno, "'%s': %m", store->path);
	store->is_block_device = S_ISBLK(seen.st_mode);
	store->device = store->is_block_device ? seen.st_rdev : seen.st_dev;
	return refuse_kind(store->path, seen.st_mode, error);
}

static int refuse_locked(const struct posix_store *store, struct flock wanted, struct tgtkit_error *error)
{
	const char *use = store->read_only ? "writing" : "use";

	/* Who it is can be told of a lock that a process owns; one of an open file has no owner to name. */
	if (fcntl(store->fd, F_OFD_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK && wanted.l_pid > 0)
		return posix_error(error, EBUSY, "'%s' is locked for %s by process %ld; stop that first", store->path,
				   use, (long)wanted.l_pid);
	return posix_error(error, EBUSY, "'%s' is locked for %s by another daemon or program; stop that first",
			   store->path, use);
}

/* Held by the open file, so it ends with it and not with any other close in this process. */
static int lock_store(const struct posix_store *store, struct tgtkit_error *error)
{
	struct flock lock = {.l_type = store->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(store->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return refuse_locked(store, lock, error);
	return posix_error(error, errno, "'%s' cannot be locked against a second writer: %m", store->path);
}

/* ---- Making --------------------------------------------------------------------------------------------------- */

/* Makes an empty file, which gives nobody else access.  `made` says whether it was not there before. */
static int make_empty(const char *path, bool *made, struct tgtkit_error *error)
{
	int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0600);

	*made = fd >= 0;
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	return errno == EEXIST ? 0 : posix_error(error, errno, "'%s' cannot be made: %m", path);
}

static int sync_folder(const char *path)
{
	char *folder = folder_of(path);
	int fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A folder that cannot be opened or synced leaves the name to the file system's own time. */
	int status = fd < 0 ? 0 : fsync(fd);

	free(folder);
	if (fd >= 0)
		close(fd);
	return status;
}

/* Gives a size to a file without one.  Read-only service still needs one writable open for it. */
static int give_size(const struct posix_store *store, uint64_t size_bytes, struct tgtkit_error *error)
{
	int fd = store->read_only ? open(store->path, O_WRONLY | O_CLOEXEC | O_NOCTTY) : store->fd, status = 0;

	if (fd < 0)
		return refuse_open(store, errno, error);
	if (ftruncate(fd, (off_t)size_bytes) != 0 || fsync(fd) != 0 || sync_folder(store->path) != 0)
		status = posix_error(error, errno, "'%s' cannot be made with %" PRIu64 " bytes: %m", store->path,
				     size_bytes);
	if (fd != store->fd)
		close(fd);
	return status;
}

/* An empty regular file counts as one whose making was cut short. */
static int complete_creation(const struct posix_store *store, const struct tgtkit_open_args *args,
			     struct tgtkit_error *error)
{
	uint64_t size_bytes;
	int status = posix_store_size(store, &size_bytes);

	if (status != 0)
		return posix_error(error, -status, "'%s': its size cannot be read: %m", store->path);
	if (size_bytes != 0)
		return 0;
	if (store->is_block_device || !(args->flags & TGTKIT_OPEN_CREATE))
		return posix_error(error, EINVAL, "'%s' is empty (0 bytes)", store->path);
	status = check_creation(args, error);
	return status != 0 ? status : give_size(store, args->size_bytes, error);
}

static int open_locked(struct posix_store *store, const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	int status = open_existing(store, error);

	if (status == 0)
		status = lock_store(store, error);
	if (status == 0)
		status = complete_creation(store, args, error);
	if (status == 0)
		status = posix_store_probe(store, error);
	return status;
}

static bool is_missing(const char *path)
{
	struct stat seen;

	return stat(path, &seen) != 0 && errno == ENOENT;
}

int posix_store_open(struct posix_store *store, const struct tgtkit_host *host, const struct tgtkit_open_args *args,
		     bool direct, const char *without_direct, struct tgtkit_error *error)
{
	bool made = false;
	int status = refuse_empty_path(args->path, error);

	*store = (struct posix_store){.host = host,
				      .unit = args->unit,
				      .fd = -1,
				      .direct = direct,
				      .without_direct = without_direct,
				      .read_only = args->flags & TGTKIT_OPEN_READ_ONLY,
				      .logical_block_bytes = args->logical_block_bytes};
	if (status == 0 && (args->flags & TGTKIT_OPEN_CREATE) && is_missing(args->path)) {
		status = check_creation(args, error);
		if (status == 0)
			status = make_empty(args->path, &made, error);
	}
	if (status != 0)
		return status;
	store->path = strdup(args->path);
	status = store->path == NULL ? posix_error(error, ENOMEM, "out of memory") : open_locked(store, args, error);
	if (status != 0) {
		/* Locked by somebody else, it has become theirs. */
		if (made && status != -EBUSY)
			unlink(args->path);
		posix_store_close(store);
	}
	return status;
}

void posix_store_close(struct posix_store *store)
{
	if (store->fd >= 0)
		close(store->fd);
	free(store->path);
}

/* ---- Size ------------------------------------------------------------------------------------------------------ */

int posix_store_size(const struct posix_store *store, uint64_t *size_bytes)
{
	struct stat seen;

	if (store->is_block_device)
		return ioctl(store->fd, BLKGETSIZE64, size_bytes) == 0 ? 0 : -errno;
	if (fstat(store->fd, &seen) != 0)
		return -errno;
	*size_bytes = (uint64_t)seen.st_size;
	return 0;
}

int posix_store_resize(struct posix_store *store, struct posix_sync *sync, uint64_t size_bytes, uint32_t flags,
		       struct tgtkit_error *error)
{
	uint64_t old_bytes;
	int status = posix_store_size(store, &old_bytes);

	if (status != 0)
		return posix_error(error, -status, "'%s': its size cannot be read: %m", store->path);
	if (store->is_block_device)
		return posix_error(error, EOPNOTSUPP, "'%s' is a block device: resize the device itself, then refresh",
				   store->path);
	if (store->read_only)
		return posix_error(error, EROFS, "'%s' is open read-only", store->path);
	if (size_bytes == 0 || size_bytes > INT64_MAX)
		return posix_error(error, EINVAL, "'%s' cannot have %" PRIu64 " bytes", store->path, size_bytes);
	if (size_bytes < old_bytes && !(flags & TGTKIT_RESIZE_SHRINK))
		return posix_error(error, EINVAL, "'%s' has %" PRIu64 " bytes: %" PRIu64 " would cut off data",
				   store->path, old_bytes, size_bytes);
	if (store->direct && size_bytes % store->sector_bytes != 0)
		return posix_error(error, EINVAL,
				   "'%s': with direct I/O its size has to be a multiple of %" PRIu32 " bytes",
				   store->path, store->sector_bytes);
	if (ftruncate(store->fd, (off_t)size_bytes) != 0)
		return posix_error(error, errno, "'%s' cannot be given %" PRIu64 " bytes: %m", store->path, size_bytes);
	/* Not by an fsync of its own, which would use up the report of a lost write. */
	status = posix_store_flush(store, sync);
	if (status != 0)
		return posix_error(error, -status, "'%s' was resized, but the new size could not be made durable: %m",
				   store->path);
	return 0;
}

/* ---- Its name --------------------------------------------------------------------------------------------------- */

static bool is_same(const struct posix_store *store, const struct stat *opened, const struct stat *named)
{
	if (store->is_block_device)
		return S_ISBLK(named->st_mode) && named->st_rdev == store->device;
	return named->st_dev == opened->st_dev && named->st_ino == opened->st_ino;
}

int posix_store_find(const struct posix_store *store, struct tgtkit_error *error)
{
	struct stat opened, named;
	int status = 0;

	if (fstat(store->fd, &opened) != 0)
		return posix_error(error, errno, "'%s': %m", store->path);
	if (stat(store->path, &named) != 0)
		status = -errno;
	else if (!is_same(store, &opened, &named))
		status = -ESTALE;
	/* Anything else, such as a folder that may not be searched any more, says nothing about the file. */
	if (status != -ENOENT && status != -ESTALE)
		return 0;
	if (opened.st_nlink == 0)
		return posix_error(error, -status,
				   "'%s' was removed while in use: it is served on, and gone when it is closed; until "
				   "then it can be copied from /proc/%ld/fd/%d",
				   store->path, (long)getpid(), store->fd);
	return posix_error(
	    error, -status,
	    "'%s' does not lead any more to what was opened there, which is served on: put it back before "
	    "the next start",
	    store->path);
}

/* ---- In service ---------------------------------------------------------------------------------------------------
 */

bool posix_store_read_ended(const struct posix_store *store, uint64_t bytes)
{
	/* Direct I/O stops within a sector nowhere else, and cannot go on from there. */
	return bytes == 0 || (store->direct && bytes % store->sector_bytes != 0);
}

int posix_store_cut_short(struct posix_store *store, uint64_t offset)
{
	if (!atomic_exchange(&store->short_read_logged, true))
		store->host->log(store->unit, TGTKIT_LOG_ERROR,
				 "'%s' ends at byte %" PRIu64 ", inside its size: it was cut short while in use; "
				 "reads there fail",
				 store->path, offset);
	return -EIO;
}

void posix_store_flush_failed(struct posix_store *store, int status)
{
	if (!atomic_exchange(&store->flush_failure_logged, true))
		store->host->log(store->unit, TGTKIT_LOG_ERROR,
				 "'%s' cannot be flushed (%s): data written to it may be lost", store->path,
				 strerror(-status));
}

int posix_store_flush(struct posix_store *store, struct posix_sync *sync)
{
	int status = posix_sync_flush(sync);

	if (status != 0)
		posix_store_flush_failed(store, status);
	return status;
}
