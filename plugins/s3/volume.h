/* SPDX-License-Identifier: Apache-2.0
 *
 * A volume as it is stored: what it is, which objects hold it, by what right we write to it.  Opened and closed by
 * threads that may block; in between, the table, the sequence and the garbage belong to the data path.
 */
#ifndef TGTKIT_S3_VOLUME_H
#define TGTKIT_S3_VOLUME_H

#include "lease.h"
#include "settings.h"
#include "table.h"

#define S3_GARBAGE_LIMIT 200000u

struct s3_keeper;

struct s3_volume {
	struct tgtkit_unit *unit;
	struct s3_settings settings;
	struct s3_client client;
	struct s3_metadata metadata;
	uint64_t stated_bytes; /* by `_metadata`; the size in force is the lease's, if there is one */
	_Atomic uint64_t device_bytes;
	bool is_read_only;

	struct s3_table table;
	uint32_t sequence; /* of the next upload */
	bool has_uploaded; /* an object of our generation may exist */
	char **garbage;	   /* whole keys of superseded objects */
	size_t garbage_count, garbage_capacity;

	struct s3_lease lease; /* unless read-only */
	struct s3_keeper *keeper;
	int event_fd; /* the keeper writes to it when lease or credentials have changed */
};

int s3_volume_open(const struct tgtkit_open_args *args, struct s3_volume **volume, struct tgtkit_error *error);
/* `is_clean`: nothing that was written is missing in S3; the next opening then needs no list. */
void s3_volume_close(struct s3_volume *volume, bool is_clean);
int s3_volume_grow(struct s3_volume *volume, uint64_t size_bytes, struct tgtkit_error *error);
/* Settings, client and credentials only: for check and the tools.  s3_volume_discard frees it. */
int s3_volume_connect(const struct tgtkit_open_args *args, struct s3_volume **volume, struct tgtkit_error *error);
void s3_volume_discard(struct s3_volume *volume);

/* Reads `_metadata`, and the size from the lease. */
int s3_volume_read_metadata(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error);
/* Fills the table: the newest map, and what is newer than it; or gotgt's objects. */
int s3_volume_load(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error);
/* Of the generation that the lease has. */
int s3_volume_write_map(struct s3_volume *volume, const struct s3_session *session, struct tgtkit_error *error);

/* Notes an object for deletion; takes over `key`, a whole one.  Beyond the limit it stays for tgtkit-s3 check --clean.
 */
void s3_volume_add_garbage(struct s3_volume *volume, char *key);

static inline bool s3_volume_may_write(const struct s3_volume *volume)
{
	return !volume->is_read_only && s3_lease_allows_writing(&volume->lease);
}

static inline bool s3_volume_may_read(const struct s3_volume *volume)
{
	return volume->is_read_only || s3_lease_allows_reading(&volume->lease);
}

static inline bool s3_volume_is_fenced(const struct s3_volume *volume)
{
	return !volume->is_read_only && atomic_load(&volume->lease.is_lost);
}

#endif
