/* SPDX-License-Identifier: Apache-2.0
 *
 * A plugin for tests of the loader.  It takes its name, and what is wrong with it, from the file that it is loaded
 * from:
 *
 *     liar-*      declares another name        null-*   cannot work here        clash-X   claims X's path prefix
 *     old-*       another ABI version          rbd      three path prefixes     anything else is in order
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tgtkit/plugin.h>

static char name[64];
static const char *prefixes[4];

static int specimen_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
			 struct tgtkit_error *error)
{
	(void)args;
	(void)handle;
	(void)capabilities;
	(void)error;
	return -ENXIO;
}

static void specimen_close(void *handle)
{
	(void)handle;
}

static int specimen_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
	(void)handle;
	(void)buffer;
	(void)length;
	(void)offset;
	return -EIO;
}

static const struct tgtkit_blocking blocking = {.size = sizeof(blocking), .pread = specimen_pread};

static struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = name,
    .version = "1",
    .description = "for tests of the loader",
    .prefixes = prefixes,
    .open = specimen_open,
    .close = specimen_close,
    .blocking = &blocking,
};

static int begins_with(const char *start)
{
	return strncmp(name, start, strlen(start)) == 0;
}

static void take_name(void)
{
	const char *file;
	Dl_info info;

	dladdr(&plugin, &info);
	file = strrchr(info.dli_fname, '/') + 1;
	snprintf(name, sizeof(name), "%.*s", (int)(strlen(file) - strlen(".so")), file);
}

TGTKIT_EXPORT const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	take_name();
	host->log(NULL, TGTKIT_LOG_DEBUG, "this is %s", name);
	prefixes[0] = name;
	if (begins_with("clash-"))
		prefixes[0] = name + strlen("clash-");
	if (strcmp(name, "rbd") == 0) {
		prefixes[1] = "ceph";
		prefixes[2] = "ceph-rbd";
	}
	if (begins_with("old-"))
		plugin.abi_minor = 0; /* which was never declared */
	if (begins_with("liar-"))
		plugin.name = "somebody-else";
	return begins_with("null-") ? NULL : &plugin;
}
