/* SPDX-License-Identifier: Apache-2.0
 *
 * What a unit is told: the parts of its path, and its options.
 */
#ifndef TGTKIT_PLUGINS_RBD_SETTINGS_H
#define TGTKIT_PLUGINS_RBD_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

/* How librbd may hold data back, rbd_cache_policy; what a flush has to cover follows from it. */
enum crbd_cache { CRBD_CACHE_NONE, CRBD_CACHE_WRITETHROUGH, CRBD_CACHE_WRITEBACK, CRBD_CACHE_WRITEAROUND };

struct crbd_setting {
	char *key, *value; /* the key as Ceph knows it, without "ceph_" */
};

struct crbd_settings {
	char *pool, *name_space, *image,
	    *snapshot;			     /* name_space "": the default one; snapshot NULL: the image itself */
	char *conf, *id, *keyring, *cluster; /* NULL: not given */
	enum crbd_cache cache;
	unsigned order;	   /* of an object's size, for a new image; 0: the cluster's default */
	uint64_t features; /* for a new image; 0: the cluster's default */
	unsigned connect_timeout_s;
	bool take_over;
	struct crbd_setting *ceph;
	size_t ceph_count;
};

extern const struct tgtkit_option crbd_options[];

/* Reads and checks everything that can be checked without the cluster.  0 or a negative errno with `error`; `settings`
 * needs no freeing after a failure. */
int crbd_settings_read(struct crbd_settings *settings, const struct tgtkit_open_args *args, struct tgtkit_error *error);
void crbd_settings_free(struct crbd_settings *settings);
/* Whether a ceph_... option sets this key. */
bool crbd_settings_has(const struct crbd_settings *settings, const char *key);

/* Fills `error` and returns -errno_value. */
int crbd_fail(struct tgtkit_error *error, int errno_value, const char *format, ...) TGTKIT_PRINTF(3, 4);

#endif
