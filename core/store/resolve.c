/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/plugins.h"
#include "store/registry.h"

#define FILE_PREFIX "file"

/* Length of the prefix in front of the first colon; 0: none, which means a file. */
static size_t prefix_length(const char *path)
{
	size_t length = strcspn(path, ":/");

	return path[length] == ':' ? length : 0;
}

static void list_plugins(char *text, size_t capacity)
{
	size_t count = store_plugins_count(), used = 0;

	snprintf(text, capacity, "none");
	for (size_t i = 0; i < count && used < capacity; i++)
		used += (size_t)snprintf(text + used, capacity - used, "%s%s", i > 0 ? ", " : "",
					 store_plugins_get(i)->descriptor->name);
}

static int refuse_unknown(const char *what, const char *wanted, size_t wanted_length, const char *path, char *error)
{
	char found[STORE_ERROR_BYTES / 4], folders[STORE_ERROR_BYTES];

	list_plugins(found, sizeof(found));
	store_registry_searched_folders(folders);
	if (wanted_length > 64)
		wanted_length = 64;
	snprintf(error, STORE_ERROR_BYTES,
		 "%.192s: no plugin for the %s '%.*s'; plugins found: %s; folders searched: %.320s", path, what,
		 (int)wanted_length, wanted, found, folders);
	return -ENOENT;
}

static int refuse_empty(const char *path, char *error)
{
	snprintf(error, STORE_ERROR_BYTES, "'%.192s': the path is empty", path);
	return -EINVAL;
}

static int resolve_backend(const char *path, const char *backend, const struct store_plugin **plugin,
			   const char **plugin_path, char *error)
{
	const struct store_plugin *found = store_plugins_by_name(backend);
	size_t length = prefix_length(path);

	if (found == NULL)
		found = store_plugins_by_prefix(backend, strlen(backend));
	if (found == NULL)
		return refuse_unknown("backend", backend, strlen(backend), path, error);
	*plugin = found;
	/* Only that plugin's own prefix is one here: any other colon is part of the path. */
	*plugin_path = length > 0 && store_plugins_by_prefix(path, length) == found ? path + length + 1 : path;
	return **plugin_path == '\0' ? refuse_empty(path, error) : 0;
}

int store_plugins_resolve(const char *path, const char *backend, const struct store_plugin **plugin,
			  const char **plugin_path, char error[static STORE_ERROR_BYTES])
{
	size_t length = prefix_length(path);
	bool is_file = length == 0;

	if (backend != NULL)
		return resolve_backend(path, backend, plugin, plugin_path, error);
	if (length == strlen("RemBs") && memcmp(path, "RemBs", length) == 0) {
		snprintf(error, STORE_ERROR_BYTES,
			 "%.192s: RemBs: is no longer served; export the store over NBD and use remote:nbd://HOST/NAME",
			 path);
		return -EINVAL;
	}
	if (is_file)
		*plugin = store_plugins_by_prefix(FILE_PREFIX, strlen(FILE_PREFIX));
	else
		*plugin = store_plugins_by_prefix(path, length);
	if (*plugin == NULL)
		return refuse_unknown("prefix", is_file ? FILE_PREFIX : path, is_file ? strlen(FILE_PREFIX) : length,
				      path, error);
	/* A path that begins with a colon has no prefix to strip; it is a file of that name. */
	*plugin_path = is_file ? path : path + length + 1;
	return **plugin_path == '\0' ? refuse_empty(path, error) : 0;
}
