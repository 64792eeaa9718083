/* SPDX-License-Identifier: Apache-2.0
 *
 * An opened image.  Control verbs only.
 */
#ifndef TGTKIT_PLUGINS_RBD_IMAGE_H
#define TGTKIT_PLUGINS_RBD_IMAGE_H

#include <rbd/librbd.h>

#include "cluster.h"
#include "settings.h"

#define CRBD_IDENTITY_BYTES 64

/* Makes the image unless it is there.  0 or a negative errno with `error`. */
int crbd_image_create(struct crbd_cluster *cluster, const struct crbd_settings *settings, uint64_t size_bytes,
		      struct tgtkit_error *error);
/* A snapshot, or one that is only read, is not written to; else the image must have the feature exclusive-lock. */
int crbd_image_open(struct crbd_cluster *cluster, const struct crbd_settings *settings, bool read_only,
		    rbd_image_t *image, struct tgtkit_error *error);
/* A name for what is stored, made from the cluster's id, the pool's, the namespace, the image's id and the snapshot's:
 * the same after a rename, another for another image of the same name. */
int crbd_image_identity(struct crbd_cluster *cluster, const struct crbd_settings *settings, rbd_image_t image,
			char identity[static CRBD_IDENTITY_BYTES], struct tgtkit_error *error);
/* Fills everything but `identity`. */
int crbd_image_measure(const struct crbd_settings *settings, rbd_image_t image, bool read_only,
		       struct tgtkit_capabilities *capabilities, struct tgtkit_error *error);

#endif
