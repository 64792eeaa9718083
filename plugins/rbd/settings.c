/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "features.h"
#include "path.h"
#include "settings.h"

#define CEPH_PREFIX "ceph_"

enum {
	OPTION_CONF,
	OPTION_ID,
	OPTION_KEYRING,
	OPTION_CLUSTER,
	OPTION_CACHE,
	OPTION_OBJECT_SIZE,
	OPTION_FEATURES,
	OPTION_CONNECT_TIMEOUT_S,
	OPTION_TAKE_OVER,
	OPTION_CEPH, /* yields no value of its own; what matched it follows the others */
};

const struct tgtkit_option crbd_options[] = {
    [OPTION_CONF] = {.key = "conf",
		     .type = TGTKIT_OPTION_STRING,
		     .help = "the cluster's configuration file; not given: where Ceph looks for it"},
    [OPTION_ID] = {.key = "id",
		   .type = TGTKIT_OPTION_STRING,
		   .default_value = "admin",
		   .help = "the Ceph user, without \"client.\""},
    [OPTION_KEYRING] = {.key = "keyring",
			.type = TGTKIT_OPTION_STRING,
			.help = "file with that user's key; not given: as the configuration file says"},
    [OPTION_CLUSTER] = {.key = "cluster",
			.type = TGTKIT_OPTION_STRING,
			.default_value = "ceph",
			.help = "the cluster's name, which names its files below /etc/ceph"},
    [OPTION_CACHE] = {.key = "cache",
		      .type = TGTKIT_OPTION_STRING,
		      .default_value = "none",
		      .help = "librbd's cache: none, writethrough, writeback or writearound"},
    [OPTION_OBJECT_SIZE] = {.key = "object_size",
			    .type = TGTKIT_OPTION_SIZE,
			    .minimum = 4096,
			    .maximum = 32 << 20,
			    .help = "of a new image's objects, a power of two; not given: the cluster's default"},
    [OPTION_FEATURES] = {.key = "features",
			 .type = TGTKIT_OPTION_STRING,
			 .help = "of a new image, names with commas; not given: the cluster's default"},
    [OPTION_CONNECT_TIMEOUT_S] = {.key = "connect_timeout_s",
				  .type = TGTKIT_OPTION_INTEGER,
				  .default_value = "8",
				  .minimum = 1,
				  .maximum = 300,
				  .help = "how long to wait for the cluster when the image is opened, in seconds"},
    [OPTION_TAKE_OVER] = {.key = "take_over",
			  .type = TGTKIT_OPTION_BOOL,
			  .default_value = "false",
			  .help = "when the image is opened, take it from the host that has it"},
    [OPTION_CEPH] = {.key = CEPH_PREFIX,
		     .type = TGTKIT_OPTION_STRING,
		     .flags = TGTKIT_OPTION_PREFIX,
		     .help = "any setting of Ceph's, such as ceph_rados_osd_op_timeout"},
    {.key = NULL},
};

int crbd_fail(struct tgtkit_error *error, int errno_value, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	return -errno_value;
}

/* ---- Single options ------------------------------------------------------------------------------------------------
 */

static int read_cache(const char *text, enum crbd_cache *cache, struct tgtkit_error *error)
{
	static const char *const names[] = {
	    [CRBD_CACHE_NONE] = "none",
	    [CRBD_CACHE_WRITETHROUGH] = "writethrough",
	    [CRBD_CACHE_WRITEBACK] = "writeback",
	    [CRBD_CACHE_WRITEAROUND] = "writearound",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			*cache = (enum crbd_cache)i;
			return 0;
		}
	return crbd_fail(error, EINVAL, "cache: '%s' is not one of none, writethrough, writeback, writearound", text);
}

static int read_object_size(uint64_t size_bytes, unsigned *order, struct tgtkit_error *error)
{
	if (size_bytes == 0)
		return 0;
	if (size_bytes & (size_bytes - 1))
		return crbd_fail(error, EINVAL, "object_size: %llu is no power of two", (unsigned long long)size_bytes);
	*order = (unsigned)__builtin_ctzll(size_bytes);
	return 0;
}

/* An empty string is as good as none. */
static bool copy_string(const struct tgtkit_value *value, char **copy)
{
	if (value->as.string == NULL || value->as.string[0] == '\0')
		return true;
	*copy = strdup(value->as.string);
	return *copy != NULL;
}

/* ---- Ceph's own ----------------------------------------------------------------------------------------------------
 */

static int copy_ceph_setting(struct crbd_settings *settings, const struct tgtkit_value *value,
			     struct tgtkit_error *error)
{
	struct crbd_setting *setting = &settings->ceph[settings->ceph_count++];
	const char *key = value->key + strlen(CEPH_PREFIX);

	/* It would be shown wherever options are. */
	if (strcmp(key, "key") == 0)
		return crbd_fail(error, EINVAL,
				 "ceph_key: a key does not belong among the options; put it into a file "
				 "and name that with keyring");
	setting->key = strdup(key);
	setting->value = strdup(value->as.string != NULL ? value->as.string : "");
	if (setting->key == NULL || setting->value == NULL)
		return crbd_fail(error, ENOMEM, "out of memory");
	return 0;
}

static int copy_ceph_settings(struct crbd_settings *settings, const struct tgtkit_open_args *args,
			      struct tgtkit_error *error)
{
	int status = 0;

	settings->ceph = calloc(args->value_count, sizeof(*settings->ceph));
	if (settings->ceph == NULL)
		return crbd_fail(error, ENOMEM, "out of memory");
	for (size_t i = OPTION_CEPH; i < args->value_count && status == 0; i++)
		status = copy_ceph_setting(settings, &args->values[i], error);
	return status;
}

bool crbd_settings_has(const struct crbd_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->ceph_count; i++)
		if (strcmp(settings->ceph[i].key, key) == 0)
			return true;
	return false;
}

/* ---- All of them ---------------------------------------------------------------------------------------------------
 */

static int copy_values(struct crbd_settings *settings, const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	const struct tgtkit_value *values = args->values;
	int status = read_cache(values[OPTION_CACHE].as.string, &settings->cache, error);

	settings->connect_timeout_s = (unsigned)values[OPTION_CONNECT_TIMEOUT_S].as.integer;
	settings->take_over = values[OPTION_TAKE_OVER].as.boolean;
	if (status == 0)
		status = read_object_size(values[OPTION_OBJECT_SIZE].as.size_bytes, &settings->order, error);
	if (status == 0)
		status = crbd_features_read(values[OPTION_FEATURES].as.string, &settings->features, error);
	if (status == 0 &&
	    (!copy_string(&values[OPTION_CONF], &settings->conf) || !copy_string(&values[OPTION_ID], &settings->id) ||
	     !copy_string(&values[OPTION_KEYRING], &settings->keyring) ||
	     !copy_string(&values[OPTION_CLUSTER], &settings->cluster)))
		status = crbd_fail(error, ENOMEM, "out of memory");
	if (status == 0 && (settings->id == NULL || settings->cluster == NULL))
		status = crbd_fail(error, EINVAL, "%s is empty", settings->id == NULL ? "id" : "cluster");
	return status;
}

static int check_together(const struct crbd_settings *settings, const struct tgtkit_open_args *args,
			  struct tgtkit_error *error)
{
	if (settings->snapshot != NULL && (args->flags & TGTKIT_OPEN_CREATE))
		return crbd_fail(error, EINVAL, "a snapshot cannot be created here; use rbd snap create");
	if (settings->take_over && (settings->snapshot != NULL || (args->flags & TGTKIT_OPEN_READ_ONLY)))
		return crbd_fail(error, EINVAL, "take_over: what is only read needs not be taken from anybody");
	return 0;
}

int crbd_settings_read(struct crbd_settings *settings, const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	int status;

	*settings = (struct crbd_settings){0};
	status = copy_values(settings, args, error);
	if (status == 0)
		status = copy_ceph_settings(settings, args, error);
	if (status == 0)
		status = crbd_path_read(settings, args->path, error);
	if (status == 0)
		status = check_together(settings, args, error);
	if (status != 0)
		crbd_settings_free(settings);
	return status;
}

void crbd_settings_free(struct crbd_settings *settings)
{
	for (size_t i = 0; i < settings->ceph_count; i++) {
		free(settings->ceph[i].key);
		free(settings->ceph[i].value);
	}
	free(settings->ceph);
	free(settings->pool);
	free(settings->name_space);
	free(settings->image);
	free(settings->snapshot);
	free(settings->conf);
	free(settings->id);
	free(settings->keyring);
	free(settings->cluster);
	*settings = (struct crbd_settings){0};
}
