/* SPDX-License-Identifier: Apache-2.0
 *
 * `_metadata`: what a volume is.  And `_lease.*`: who writes to it.  Both are JSON.
 */
#ifndef TGTKIT_S3_METADATA_H
#define TGTKIT_S3_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

#define S3_FORMAT		2 /* the one that is written; gotgt's has no number and reads as 0 */
#define S3_CHUNK_BYTES_MINIMUM	(64u << 10)
#define S3_CHUNK_BYTES_MAXIMUM	(64u << 20)
#define S3_GRANULE_BYTES	512u /* sizes are multiples of this */
#define S3_DEVICE_BYTES_MAXIMUM (UINT64_C(1) << 60)
#define S3_UUID_BYTES		37
#define S3_TIME_BYTES		21 /* RFC 3339, UTC */

struct s3_metadata {
	uint32_t format;
	uint32_t chunk_bytes;
	uint64_t device_bytes;
	char uuid[S3_UUID_BYTES]; /* "" in gotgt's layout */
	char created[S3_TIME_BYTES];
};

/* -EINVAL: malformed, -ENOTSUP: of a later format, with a sentence in `reason`. */
int s3_metadata_decode(const char *json, size_t length, struct s3_metadata *metadata, char reason[128]);
void s3_metadata_encode(const struct s3_metadata *metadata, struct s3_text *json);
/* Why a volume cannot be made with these sizes, or NULL. */
const char *s3_metadata_objection(const struct s3_metadata *metadata);

struct s3_lease_record {
	char nonce[S3_UUID_BYTES]; /* of one opening */
	uint64_t renewals;
	/* The volume's size, with authority: no other owner's late PUT can change it, as one of `_metadata` could.  0:
	 * not stated. */
	uint64_t device_bytes;
	bool released;
	char host[65];	  /* for people */
	char machine[65]; /* of /etc/machine-id */
	char boot[S3_UUID_BYTES];
	char state[65]; /* device and inode of the state folder, "" if there is none */
};

bool s3_lease_decode(const char *json, size_t length, struct s3_lease_record *record);
void s3_lease_encode(const struct s3_lease_record *record, struct s3_text *json);

void s3_make_uuid(char uuid[S3_UUID_BYTES]);

#endif
