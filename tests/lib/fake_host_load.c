/* SPDX-License-Identifier: Apache-2.0
 *
 * Plugins: loaded once per file, never unloaded.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "fake_host_private.h"

#define LOADED_LIMIT 16

static struct {
	char *file;
	const struct tgtkit_plugin *plugin;
} loaded[LOADED_LIMIT];

static void check_descriptor(const char *file, const struct tgtkit_plugin *plugin)
{
	if (plugin == NULL)
		fh_die("%s: its entry point returned NULL: %s", file, fh_last_log(TGTKIT_LOG_DEBUG));
	if (plugin->size != sizeof(*plugin) || plugin->abi_major != TGTKIT_ABI_MAJOR ||
	    plugin->abi_minor != TGTKIT_ABI_MINOR)
		fh_die("%s: ABI %u.%u, size %zu", file, plugin->abi_major, plugin->abi_minor, plugin->size);
	if (plugin->name == NULL || plugin->version == NULL || plugin->description == NULL ||
	    plugin->prefixes == NULL || plugin->prefixes[0] == NULL || plugin->open == NULL || plugin->close == NULL ||
	    plugin->reserved != 0)
		fh_violation("%s: the descriptor is incomplete", file);
	if ((plugin->blocking == NULL) == (plugin->async == NULL))
		fh_die("%s: not exactly one tier", file);
	if (plugin->blocking != NULL && plugin->blocking->size != sizeof(*plugin->blocking))
		fh_violation("%s: size of the blocking tier", file);
	if (plugin->async != NULL && plugin->async->size != sizeof(*plugin->async))
		fh_violation("%s: size of the async tier", file);
}

const struct tgtkit_plugin *fh_load(const char *file)
{
	const struct tgtkit_plugin *(*entry)(const struct tgtkit_host *host);
	size_t slot = 0;
	void *library;

	fh_start_loop();
	for (; slot < LOADED_LIMIT && loaded[slot].file != NULL; slot++)
		if (strcmp(loaded[slot].file, file) == 0)
			return loaded[slot].plugin;
	if (slot == LOADED_LIMIT)
		fh_die("too many plugins");
	library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		fh_die("%s", dlerror());
	*(void **)&entry = dlsym(library, TGTKIT_PLUGIN_SYMBOL);
	if (entry == NULL)
		fh_die("%s", dlerror());
	loaded[slot].file = strdup(file);
	loaded[slot].plugin = entry(&fh_services);
	check_descriptor(file, loaded[slot].plugin);
	return loaded[slot].plugin;
}
