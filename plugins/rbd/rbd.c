/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin "rbd": images and snapshots of a Ceph cluster, through librbd.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static const struct tgtkit_host *the_host;

/* ---- Control verbs -------------------------------------------------------------------------------------------------
 */

static int crbd_check(const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	struct crbd_settings settings;
	const int status = crbd_settings_read(&settings, args, error);

	if (status == 0)
		crbd_settings_free(&settings);
	return status;
}

static struct crbd_unit *make_unit(const struct tgtkit_open_args *args)
{
	struct crbd_unit *unit = calloc(1, sizeof(*unit));

	if (unit == NULL)
		return NULL;
	unit->host = the_host;
	unit->unit = args->unit;
	atomic_init(&unit->state, CRBD_WAITING);
	atomic_init(&unit->in_flight, 0);
	pthread_mutex_init(&unit->lock, NULL);
	pthread_cond_init(&unit->is_idle, NULL);
	return unit;
}

static void crbd_close(void *handle)
{
	struct crbd_unit *unit = handle;

	crbd_client_close(unit);
	crbd_settings_free(&unit->settings);
	pthread_cond_destroy(&unit->is_idle);
	pthread_mutex_destroy(&unit->lock);
	free(unit);
}

static int measure(struct crbd_unit *unit, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	int status = crbd_image_measure(&unit->settings, unit->image, unit->read_only, capabilities, error);

	if (status != 0)
		return status;
	memcpy(capabilities->identity, unit->identity, sizeof(unit->identity));
	unit->capabilities = *capabilities;
	return 0;
}

static int open_unit(struct crbd_unit *unit, const struct tgtkit_open_args *args,
		     struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	int status = crbd_settings_read(&unit->settings, args, error);

	if (status != 0)
		return status;
	unit->read_only = (args->flags & TGTKIT_OPEN_READ_ONLY) || unit->settings.snapshot != NULL;
	status = crbd_client_open(unit, (args->flags & TGTKIT_OPEN_CREATE) ? args->size_bytes : 0, error);
	if (status == 0)
		status = crbd_image_identity(&unit->cluster, &unit->settings, unit->image, unit->identity, error);
	if (status == 0)
		status = measure(unit, capabilities, error);
	if (status == 0)
		status = crbd_owner_begin(unit, error);
	return status;
}

static int crbd_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		     struct tgtkit_error *error)
{
	struct crbd_unit *unit = make_unit(args);
	int status;

	if (unit == NULL)
		return crbd_fail(error, ENOMEM, "out of memory");
	status = open_unit(unit, args, capabilities, error);
	if (status != 0) {
		crbd_close(unit);
		return status;
	}
	*handle = unit;
	return 0;
}

static int crbd_refresh(void *handle, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	struct crbd_unit *unit = handle;

	crbd_owner_look(unit);
	if (unit->image == NULL || atomic_load(&unit->state) == CRBD_CUT_OFF) {
		*capabilities = unit->capabilities;
		return 0;
	}
	return measure(unit, capabilities, error);
}

static int ignore_progress(uint64_t offset, uint64_t total, void *argument)
{
	(void)offset;
	(void)total;
	(void)argument;
	return 0;
}

static int crbd_resize(void *handle, uint64_t size_bytes, uint32_t flags, struct tgtkit_capabilities *capabilities,
		       struct tgtkit_error *error)
{
	struct crbd_unit *unit = handle;
	int status;

	if (atomic_load(&unit->state) != CRBD_SERVING)
		return crbd_fail(error, EBUSY, "another host has the image; resize it there");
	status = rbd_resize2(unit->image, size_bytes, (flags & TGTKIT_RESIZE_SHRINK) != 0, ignore_progress, NULL);
	if (status != 0)
		return crbd_fail(error, -status, "image '%s' of pool '%s' cannot be resized: %s", unit->settings.image,
				 unit->settings.pool, strerror(-status));
	return measure(unit, capabilities, error);
}

/* ---- Descriptor ----------------------------------------------------------------------------------------------------
 */

static const struct tgtkit_async async = {
    .size = sizeof(async),
    .queue_open = crbd_queue_open,
    .submit = crbd_submit,
    .queue_close = crbd_queue_close,
};

static const char *const prefixes[] = {"rbd", "ceph", "ceph-rbd", NULL};

static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "rbd",
    .version = PACKAGE_VERSION,
    .description = "images and snapshots of Ceph clusters",
    .prefixes = prefixes,
    .options = crbd_options,
    .scratch_bytes = sizeof(struct crbd_io),
    .check = crbd_check,
    .open = crbd_open,
    .refresh = crbd_refresh,
    .resize = crbd_resize,
    .close = crbd_close,
    .async = &async,
    .take_over = crbd_take_over,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	return &plugin;
}
