/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin whose binary is of the version of the ABI that its header has: the structures are as long as that, and not a
 * byte longer.
 */
#include <string.h>

#include <tgtkit/plugin.h>

static int abi_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		    struct tgtkit_error *error)
{
	(void)args;
	(void)error;
	*handle = NULL;
	capabilities->size_bytes = 1 << 20;
	return 0;
}

static void abi_close(void *handle)
{
	(void)handle;
}

static int abi_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
	(void)handle;
	(void)offset;
	memset(buffer, 'r', length);
	return 0;
}

static int abi_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	(void)handle;
	(void)args;
	*queue_context = NULL;
	return 0;
}

static int abi_submit(void *queue_context, struct tgtkit_request *request)
{
	(void)queue_context;
	(void)request;
	return 0;
}

#if TGTKIT_ABI_MINOR > 1
static int later(void)
{
	return 42;
}
#define LATER , .later = later
#else
#define LATER
#endif

static const char *const prefixes[] = {"abi", NULL};
static const struct tgtkit_blocking blocking = {.size = sizeof(blocking), .pread = abi_pread LATER};
static const struct tgtkit_async async = {
    .size = sizeof(async), .queue_open = abi_queue_open, .submit = abi_submit, .queue_close = abi_close LATER};
static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "abi",
    .version = "1",
    .description = "of a version",
    .prefixes = prefixes,
    .open = abi_open,
    .close = abi_close,
    .blocking = &blocking LATER,
};
static const struct tgtkit_plugin async_plugin = {
    .size = sizeof(async_plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "abi",
    .version = "1",
    .description = "of a version",
    .prefixes = prefixes,
    .open = abi_open,
    .close = abi_close,
    .async = &async LATER,
};

/* Of the two, the async one without a host. */
TGTKIT_EXPORT const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	return host != NULL ? &plugin : &async_plugin;
}
