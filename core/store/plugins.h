/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugins: found in folders, checked, loaded once, never unloaded; the registry of their path prefixes; their
 * option schemas.  Called before the workers start or from the control thread or one pool thread at a time; look-ups
 * are safe on any thread, as an entry never goes away.
 */
#ifndef TGTKIT_STORE_PLUGINS_H
#define TGTKIT_STORE_PLUGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#define STORE_ERROR_BYTES      1024
#define STORE_MAXIMUM_COUNTERS 256u /* of one plugin */

struct store_plugin {
	const struct tgtkit_plugin *descriptor;
	char *file; /* that it was loaded from */
	unsigned index;
};

/* Scans TGTKIT_PLUGIN_PATH (secure_getenv), then `folders` in order, then the built-in folder.  A file that cannot be
 * used is logged with one line that says why, and the rest goes on.  What is loaded stays; a repeated scan only adds.
 * Returns the number of files refused. */
unsigned store_plugins_scan(const char *const *folders, size_t folder_count);

size_t store_plugins_count(void);
const struct store_plugin *store_plugins_get(size_t index);
const struct store_plugin *store_plugins_by_name(const char *name);
const struct store_plugin *store_plugins_by_prefix(const char *prefix, size_t prefix_length);

/* Loads one file outside the registry's folders and says whether it would be accepted.  0 or negative errno with
 * `error`. */
int store_plugins_check_file(const char *file, char error[static STORE_ERROR_BYTES]);

/* A path as people write it ("s3:bucket/x", "/srv/a.img", "C" ...) to plugin and the plugin's own path.  No colon, or
 * a slash before the first colon, means file:.  `backend`, if not NULL, overrides the prefix.  `plugin_path` points
 * into `path`.  0, or -ENOENT / -EINVAL with `error`, which lists the plugins found and the folders searched. */
int store_plugins_resolve(const char *path, const char *backend, const struct store_plugin **plugin,
			  const char **plugin_path, char error[static STORE_ERROR_BYTES]);

/* Options: text as the configuration gives it ("true", "4M", "-3"), checked against the plugin's schema. */
struct store_setting {
	const char *key, *value;
};

struct store_values {
	struct tgtkit_value *values; /* in the order that struct tgtkit_value promises */
	size_t count;
	/* owns every string */
};

int store_values_parse(const struct store_plugin *plugin, const struct store_setting *settings, size_t count,
		       struct store_values *out, char error[static STORE_ERROR_BYTES]);
void store_values_free(struct store_values *values);
/* Whether the plugin declares the option as one whose value nobody may see. */
bool store_option_is_secret(const struct store_plugin *plugin, const char *key);

/* Sizes as people write them: digits and an optional K, M, G, T or P (powers of 1024).  0, -EINVAL or -ERANGE. */
int store_parse_size(const char *text, uint64_t *bytes);

#endif
