/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "store/plugins.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "store/load.h"
#include "store/registry.h"

#define MAXIMUM_PLUGINS 256u

/* Entries are written before the count that covers them, and never change: readers need no lock. */
static const struct store_plugin *plugins[MAXIMUM_PLUGINS];
static _Atomic size_t plugin_count;

static pthread_mutex_t folders_lock = PTHREAD_MUTEX_INITIALIZER;
static char searched_folders[STORE_ERROR_BYTES];

size_t store_plugins_count(void)
{
	return atomic_load_explicit(&plugin_count, memory_order_acquire);
}

const struct store_plugin *store_plugins_get(size_t index)
{
	return index < store_plugins_count() ? plugins[index] : NULL;
}

const struct store_plugin *store_plugins_by_name(const char *name)
{
	size_t count = store_plugins_count();

	for (size_t i = 0; i < count; i++) {
		if (strcmp(plugins[i]->descriptor->name, name) == 0)
			return plugins[i];
	}
	return NULL;
}

static bool claims(const struct tgtkit_plugin *descriptor, const char *prefix, size_t length)
{
	for (const char *const *claimed = descriptor->prefixes; *claimed != NULL; claimed++) {
		if (strlen(*claimed) == length && memcmp(*claimed, prefix, length) == 0)
			return true;
	}
	return false;
}

const struct store_plugin *store_plugins_by_prefix(const char *prefix, size_t prefix_length)
{
	size_t count = store_plugins_count();

	for (size_t i = 0; i < count; i++) {
		if (claims(plugins[i]->descriptor, prefix, prefix_length))
			return plugins[i];
	}
	return NULL;
}

/* ---- Registering ---------------------------------------------------------------------------------------------------
 */

static int check_prefixes_free(const char *file, const struct tgtkit_plugin *descriptor, char *error)
{
	for (const char *const *prefix = descriptor->prefixes; *prefix != NULL; prefix++) {
		const struct store_plugin *owner = store_plugins_by_prefix(*prefix, strlen(*prefix));

		if (owner == NULL || strcmp(owner->descriptor->name, descriptor->name) == 0)
			continue;
		snprintf(error, STORE_ERROR_BYTES, "%.384s: its path prefix '%s:' belongs to %.384s already", file,
			 *prefix, owner->file);
		return -EEXIST;
	}
	return 0;
}

static int append(const char *file, const struct tgtkit_plugin *descriptor, char *error)
{
	size_t count = store_plugins_count();
	struct store_plugin *plugin = calloc(1, sizeof(*plugin));

	if (plugin != NULL)
		plugin->file = strdup(file);
	if (count == MAXIMUM_PLUGINS || plugin == NULL || plugin->file == NULL) {
		free(plugin != NULL ? plugin->file : NULL);
		free(plugin);
		snprintf(error, STORE_ERROR_BYTES, "%.512s: no room for another plugin", file);
		return -ENOMEM;
	}
	plugin->descriptor = descriptor;
	plugin->index = (unsigned)count;
	plugins[count] = plugin;
	atomic_store_explicit(&plugin_count, count + 1, memory_order_release);
	rt_log_about(RT_ABOUT(.plugin = descriptor->name), RT_LOG_INFO, "plugin %s %s loaded from %s", descriptor->name,
		     descriptor->version, file);
	return 0;
}

static int load_and_register(const char *file, char *error)
{
	const struct tgtkit_plugin *descriptor;
	int status = store_load_file(file, &descriptor, error);

	if (status == 0)
		status = check_prefixes_free(file, descriptor, error);
	if (status == 0)
		status = append(file, descriptor, error);
	return status;
}

int store_plugins_check_file(const char *file, char error[static STORE_ERROR_BYTES])
{
	const struct tgtkit_plugin *descriptor;
	int status = store_load_file(file, &descriptor, error);

	return status != 0 ? status : check_prefixes_free(file, descriptor, error);
}

/* ---- Scanning ------------------------------------------------------------------------------------------------------
 */

static bool is_taken(const char *file_name)
{
	size_t length = store_load_name_length(file_name);
	size_t count = store_plugins_count();

	for (size_t i = 0; i < count; i++) {
		const char *name = plugins[i]->descriptor->name;

		if (strlen(name) == length && memcmp(name, file_name, length) == 0)
			return true;
	}
	return false;
}

static bool is_candidate(const char *file_name)
{
	return store_load_name_length(file_name) > 0 && !is_taken(file_name);
}

static unsigned refused(const char *error)
{
	rt_log(RT_LOG_ERROR, "plugin refused: %s", error);
	return 1;
}

static unsigned scan_file(const char *folder, const char *file_name)
{
	char error[STORE_ERROR_BYTES];
	char *file;
	unsigned result = 0;

	if (asprintf(&file, "%s/%s", folder, file_name) < 0)
		return refused("no memory");
	if (load_and_register(file, error) != 0)
		result = refused(error);
	free(file);
	return result;
}

static int select_plugin_file(const struct dirent *entry)
{
	return store_load_name_length(entry->d_name) > 0;
}

static unsigned scan_trusted_folder(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, select_plugin_file, alphasort);
	unsigned result = 0;

	if (count < 0) {
		rt_log(RT_LOG_ERROR, "plugin folder %s: %s", folder, strerror(errno));
		return 1;
	}
	for (int i = 0; i < count; i++) {
		if (is_candidate(entries[i]->d_name))
			result += scan_file(folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return result;
}

static void remember_folder(const char *folder)
{
	size_t used;

	pthread_mutex_lock(&folders_lock);
	used = strlen(searched_folders);
	snprintf(searched_folders + used, sizeof(searched_folders) - used, "%s%s", used > 0 ? ", " : "", folder);
	pthread_mutex_unlock(&folders_lock);
}

void store_registry_searched_folders(char text[static STORE_ERROR_BYTES])
{
	pthread_mutex_lock(&folders_lock);
	memcpy(text, searched_folders, STORE_ERROR_BYTES);
	pthread_mutex_unlock(&folders_lock);
}

static void forget_folders(void)
{
	pthread_mutex_lock(&folders_lock);
	searched_folders[0] = '\0';
	pthread_mutex_unlock(&folders_lock);
}

static unsigned scan_folder(const char *folder, bool must_exist)
{
	char error[STORE_ERROR_BYTES];
	int status;

	remember_folder(folder);
	status = store_load_trust_folder(folder, error);
	if (status == 0)
		return scan_trusted_folder(folder);
	if (status == -ENOENT && !must_exist)
		return 0;
	rt_log(status == -ENOENT ? RT_LOG_WARNING : RT_LOG_ERROR, "plugin folder not used: %s", error);
	return status == -ENOENT ? 0 : 1;
}

static unsigned scan_search_path(const char *search_path)
{
	unsigned result = 0;

	while (search_path != NULL && *search_path != '\0') {
		size_t length = strcspn(search_path, ":");
		char *folder = strndup(search_path, length);

		if (folder != NULL && length > 0)
			result += scan_folder(folder, true);
		free(folder);
		search_path += length + (search_path[length] == ':');
	}
	return result;
}

unsigned store_plugins_scan(const char *const *folders, size_t folder_count)
{
	unsigned result;

	forget_folders();
	result = scan_search_path(secure_getenv("TGTKIT_PLUGIN_PATH"));
	for (size_t i = 0; i < folder_count; i++)
		result += scan_folder(folders[i], true);
	return result + scan_folder(TGTKIT_PLUGINSDIR, false);
}
