/* SPDX-License-Identifier: Apache-2.0 */
/* A whole plugin of the blocking tier: memory as a disk, "ram:BYTES".  Explained in docs/plugin-authors.md. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tgtkit/plugin.h>

static int ram_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		    struct tgtkit_error *error)
{
	char *end;
	const unsigned long long size_bytes = strtoull(args->path, &end, 10);

	if (size_bytes == 0 || *end != '\0' || size_bytes > SIZE_MAX / 2) {
		snprintf(error->message, sizeof(error->message), "'%s' is not a number of bytes", args->path);
		return -EINVAL;
	}
	*handle = calloc(1, (size_t)size_bytes);
	if (*handle == NULL) {
		snprintf(error->message, sizeof(error->message), "no memory for %llu bytes", size_bytes);
		return -ENOMEM;
	}
	capabilities->size_bytes = size_bytes;
	capabilities->max_parallel = 1; /* else blocks of two overlapping writes could mix */
	return 0;
}

static int ram_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
	memcpy(buffer, (const char *)handle + offset, length);
	return 0;
}

static int ram_pwrite(void *handle, const void *buffer, size_t length, uint64_t offset, uint32_t flags)
{
	(void)flags; /* FUA was not declared, so none arrives */
	memcpy((char *)handle + offset, buffer, length);
	return 0;
}

/* clang-format off */
static const char *const prefixes[] = {"ram", NULL};
static const struct tgtkit_blocking blocking = {.size = sizeof(blocking), .pread = ram_pread, .pwrite = ram_pwrite};
static const struct tgtkit_plugin plugin = {
	.size = sizeof(plugin), .abi_major = TGTKIT_ABI_MAJOR, .abi_minor = TGTKIT_ABI_MINOR,
	.name = "ramdisk", .version = "1", .description = "memory as a disk", .prefixes = prefixes,
	.open = ram_open, .close = free, .blocking = &blocking,
};
/* clang-format on */

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	(void)host; /* nothing to call back for */
	return &plugin;
}
