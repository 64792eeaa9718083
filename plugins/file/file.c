/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin "file": a regular file or a block device, by plain system calls on the host's pool.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "common/posix_error.h"
#include "common/posix_range.h"
#include "file_io.h"

static const struct tgtkit_host *the_host;

enum { OPTION_DIRECT, OPTION_MAX_PARALLEL };

static const struct tgtkit_option options[] = {
    [OPTION_DIRECT] = {.key = "direct",
		       .type = TGTKIT_OPTION_BOOL,
		       .default_value = "false",
		       .help = "bypass the page cache (O_DIRECT)"},
    [OPTION_MAX_PARALLEL] = {.key = "max_parallel",
			     .type = TGTKIT_OPTION_INTEGER,
			     .default_value = "16",
			     .minimum = 1,
			     .maximum = POSIX_SYNC_DESCRIPTIONS,
			     .help = "how many system calls of this unit may be under way at a time"},
    {.key = NULL},
};

static int measure(struct file_handle *file, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	capabilities->max_parallel = file->max_parallel;
	return posix_store_measure(&file->store, capabilities, error);
}

static int file_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		     struct tgtkit_error *error)
{
	struct file_handle *file = calloc(1, sizeof(*file));
	int status;

	if (file == NULL)
		return posix_error(error, ENOMEM, "out of memory");
	file->max_parallel = (uint32_t)args->values[OPTION_MAX_PARALLEL].as.integer;
	status = posix_store_open(&file->store, the_host, args, args->values[OPTION_DIRECT].as.boolean,
				  "direct = false", error);
	if (status != 0) {
		free(file);
		return status;
	}
	status = posix_sync_init(&file->sync, file->store.fd, file->max_parallel);
	if (status != 0) {
		posix_store_close(&file->store);
		free(file);
		return posix_error(error, -status, "'%s': %m", args->path);
	}
	status = measure(file, capabilities, error);
	if (status == 0)
		*handle = file;
	else
		file_close(file);
	return status;
}

static int file_refresh(void *handle, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	struct file_handle *file = handle;
	int status = posix_store_find(&file->store, error);

	return status == 0 ? measure(file, capabilities, error) : status;
}

static int file_resize(void *handle, uint64_t size_bytes, uint32_t flags, struct tgtkit_capabilities *capabilities,
		       struct tgtkit_error *error)
{
	struct file_handle *file = handle;
	int status = posix_store_resize(&file->store, &file->sync, size_bytes, flags, error);

	return status == 0 ? measure(file, capabilities, error) : status;
}

/* ---- Discard, zero, extents ---------------------------------------------------------------------------------- */

static int after_change(struct file_handle *file, int status, uint32_t flags)
{
	return status == 0 && (flags & TGTKIT_REQUEST_FUA) ? file_flush(file) : status;
}

static int file_discard(void *handle, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct file_handle *file = handle;

	return after_change(file, posix_range_discard(&file->store, offset, length), flags);
}

static int file_zero(void *handle, uint64_t offset, uint64_t length, uint32_t flags)
{
	struct file_handle *file = handle;
	const bool may_unmap = flags & TGTKIT_REQUEST_MAY_UNMAP;

	return after_change(file, posix_range_zero(&file->store, offset, length, may_unmap), flags);
}

static int file_extents(void *handle, uint64_t offset, uint64_t length, struct tgtkit_extent *extents,
			uint32_t capacity, uint32_t *count)
{
	struct file_handle *file = handle;

	return posix_range_extents(&file->store, offset, length, extents, capacity, count);
}

/* ---- Descriptor -------------------------------------------------------------------------------------------------- */

static const struct tgtkit_blocking blocking = {
    .size = sizeof(blocking),
    .pread = file_pread,
    .pwrite = file_pwrite,
    .flush = file_flush,
    .discard = file_discard,
    .zero = file_zero,
    .extents = file_extents,
    .preadv_nowait = file_preadv_nowait,
    .pwritev_nowait = file_pwritev_nowait,
};

static const char *const prefixes[] = {"file", NULL};

static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "file",
    .version = PACKAGE_VERSION,
    .description = "regular files and block devices",
    .prefixes = prefixes,
    .options = options,
    .check = posix_store_check,
    .open = file_open,
    .refresh = file_refresh,
    .resize = file_resize,
    .close = file_close,
    .blocking = &blocking,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	return &plugin;
}
