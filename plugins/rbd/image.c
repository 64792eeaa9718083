/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "image.h"
#include "unit.h"

/* One request becomes one per object that it touches; these keep a single one from crowding out the others. */
#define MOST_TRANSFER_BYTES  (16u << 20)
#define MOST_ZERO_BYTES	     (UINT64_C(256) << 20)
#define PHYSICAL_BLOCK_BYTES 4096
/* An OSD frees from 4 KiB on, but smaller holes than this make more work than room. */
#define DISCARD_GRANULARITY_BYTES (64u << 10)

/* ---- Create --------------------------------------------------------------------------------------------------------
 */

static int fill_options(rbd_image_options_t options, const struct crbd_settings *settings)
{
	int status = 0;

	if (settings->order != 0)
		status = rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_ORDER, settings->order);
	if (status == 0 && settings->features != 0)
		status = rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES, settings->features);
	else if (status == 0)
		status =
		    rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES_SET, RBD_FEATURE_EXCLUSIVE_LOCK);
	return status;
}

int crbd_image_create(struct crbd_cluster *cluster, const struct crbd_settings *settings, uint64_t size_bytes,
		      struct tgtkit_error *error)
{
	rbd_image_options_t options;
	int status;

	rbd_image_options_create(&options);
	status = fill_options(options, settings);
	if (status == 0)
		status = rbd_create4(cluster->pool, settings->image, size_bytes, options);
	rbd_image_options_destroy(options);
	if (status == 0 || status == -EEXIST)
		return 0;
	return crbd_fail(error, -status, "image '%s' cannot be created in pool '%s': %s", settings->image,
			 settings->pool, strerror(-status));
}

/* ---- Open ----------------------------------------------------------------------------------------------------------
 */

static int explain_open(const struct crbd_settings *settings, int status, struct tgtkit_error *error)
{
	const char *snapshot = settings->snapshot;

	if (status == -ENOENT && snapshot != NULL)
		return crbd_fail(error, ENOENT, "pool '%s' has no image '%s' with a snapshot '%s'", settings->pool,
				 settings->image, snapshot);
	if (status == -ENOENT)
		return crbd_fail(error, ENOENT, "pool '%s' has no image '%s'", settings->pool, settings->image);
	if (status == -ETIMEDOUT)
		return crbd_fail(error, ETIMEDOUT, "the OSDs of pool '%s' have not answered within %u s",
				 settings->pool, settings->connect_timeout_s);
	return crbd_fail(error, -status, "image '%s' of pool '%s' cannot be opened: %s", settings->image,
			 settings->pool, strerror(-status));
}

static int require_lock(const struct crbd_settings *settings, rbd_image_t image, struct tgtkit_error *error)
{
	uint64_t features = 0;
	int status = rbd_get_features(image, &features);

	if (status != 0)
		return explain_open(settings, status, error);
	if (!(features & RBD_FEATURE_EXCLUSIVE_LOCK))
		return crbd_fail(error, EINVAL,
				 "image '%s' has no exclusive-lock, so that nothing would keep a second host from "
				 "writing: rbd feature enable %s/%s exclusive-lock, or serve it read-only",
				 settings->image, settings->pool, settings->image);
	return 0;
}

int crbd_image_open(struct crbd_cluster *cluster, const struct crbd_settings *settings, bool read_only,
		    rbd_image_t *image, struct tgtkit_error *error)
{
	/* Only an image that is open for writing is told of changes, but that needs more rights. */
	int status = settings->snapshot != NULL ? -EROFS : rbd_open(cluster->pool, settings->image, image, NULL);

	if (read_only && (status == -EROFS || status == -EPERM || status == -EACCES))
		status = rbd_open_read_only(cluster->pool, settings->image, image, settings->snapshot);
	if (status != 0) {
		*image = NULL;
		return explain_open(settings, status, error);
	}
	if (!read_only)
		status = require_lock(settings, *image, error);
	if (status != 0) {
		rbd_close(*image);
		*image = NULL;
	}
	return status;
}

/* ---- Identity ------------------------------------------------------------------------------------------------------
 */

/* A UUID of version 8 (RFC 9562) from a digest. */
static void format_uuid(const unsigned char *digest, char identity[static CRBD_IDENTITY_BYTES])
{
	unsigned char bytes[16];
	int used = 0;

	memcpy(bytes, digest, sizeof(bytes));
	bytes[6] = (unsigned char)(0x80 | (bytes[6] & 0x0f));
	bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		used += snprintf(identity + used, CRBD_IDENTITY_BYTES - (size_t)used, "%s%02x",
				 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
}

int crbd_image_identity(struct crbd_cluster *cluster, const struct crbd_settings *settings, rbd_image_t image,
			char identity[static CRBD_IDENTITY_BYTES], struct tgtkit_error *error)
{
	char fsid[64] = "", id[128] = "", text[1024];
	unsigned char digest[EVP_MAX_MD_SIZE];
	uint64_t snapshot = 0;
	int length, status = rados_cluster_fsid(cluster->rados, fsid, sizeof(fsid));

	if (status >= 0)
		status = rbd_get_id(image, id, sizeof(id));
	if (status >= 0 && settings->snapshot != NULL)
		status = rbd_snap_get_id(image, settings->snapshot, &snapshot);
	if (status < 0)
		return crbd_fail(error, -status, "image '%s' of pool '%s' does not tell its id: %s", settings->image,
				 settings->pool, strerror(-status));
	length = snprintf(text, sizeof(text), "%s\n%" PRId64 "\n%s\n%s\n%" PRIu64, fsid,
			  rados_ioctx_get_id(cluster->pool), settings->name_space, id, snapshot);
	if (length < 0 || (size_t)length >= sizeof(text))
		return crbd_fail(error, ENAMETOOLONG, "the namespace's name is too long");
	if (EVP_Digest(text, (size_t)length, digest, NULL, EVP_sha256(), NULL) != 1)
		return crbd_fail(error, ENOSYS, "SHA-256 is not available from OpenSSL");
	format_uuid(digest, identity);
	return 0;
}

/* ---- Capabilities --------------------------------------------------------------------------------------------------
 */

static uint32_t flags_of(const struct crbd_settings *settings, bool read_only)
{
	const bool holds_back = settings->cache == CRBD_CACHE_WRITEBACK || settings->cache == CRBD_CACHE_WRITEAROUND;

	if (read_only)
		return TGTKIT_READ_ONLY;
	/* Without a cache that holds data back, a completed write is on the OSDs' disks, and no flush can lose it. */
	return TGTKIT_CAN_FLUSH | TGTKIT_CAN_DISCARD | TGTKIT_DISCARD_READS_ZERO | TGTKIT_CAN_ZERO |
	       (holds_back ? TGTKIT_VOLATILE_CACHE : TGTKIT_CAN_FUA | TGTKIT_RETAINS_DIRTY);
}

int crbd_image_measure(const struct crbd_settings *settings, rbd_image_t image, bool read_only,
		       struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	uint64_t stripe_unit = 0;
	int status = rbd_get_size(image, &capabilities->size_bytes);

	if (status == 0)
		status = rbd_get_stripe_unit(image, &stripe_unit);
	if (status != 0)
		return crbd_fail(error, -status, "image '%s' of pool '%s' does not tell its size: %s", settings->image,
				 settings->pool, strerror(-status));
	capabilities->flags = flags_of(settings, read_only);
	capabilities->physical_block_bytes = PHYSICAL_BLOCK_BYTES;
	capabilities->maximum_transfer_bytes = MOST_TRANSFER_BYTES;
	capabilities->maximum_segments = CRBD_MOST_SEGMENTS;
	capabilities->optimal_transfer_bytes = (uint32_t)stripe_unit;
	capabilities->maximum_discard_bytes = MOST_ZERO_BYTES;
	capabilities->discard_granularity_bytes = DISCARD_GRANULARITY_BYTES;
	capabilities->maximum_zero_bytes = MOST_ZERO_BYTES;
	capabilities->max_queues = 1;
	return 0;
}
