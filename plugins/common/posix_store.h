/* SPDX-License-Identifier: Apache-2.0
 *
 * A regular file or a block device as a backing store: found, made, locked, measured and resized.  What the plugins
 * "file" and "iouring" share; it stands on <tgtkit/plugin.h> alone.
 */
#ifndef TGTKIT_PLUGINS_POSIX_STORE_H
#define TGTKIT_PLUGINS_POSIX_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <tgtkit/plugin.h>

#include "posix_sync.h"

struct posix_store {
	const struct tgtkit_host *host;
	struct tgtkit_unit *unit;
	char *path; /* for messages */
	int fd;
	bool read_only;
	bool direct;
	const char *without_direct; /* the option to set where direct I/O is not to be had, for messages */
	bool is_block_device;
	dev_t device; /* that the bytes are on, as sysfs knows it */
	uint32_t logical_block_bytes;
	/* The device's own sector, or the unit of direct I/O; 1 where any byte range will do. */
	uint32_t sector_bytes;
	uint32_t memory_alignment_bytes;
	bool can_discard;
	bool can_zero;
	bool can_tell_extents;
	/* Each is logged once. */
	atomic_bool short_read_logged, flush_failure_logged;
};

/* All of these return 0 or a negative errno, and fill `error` when they fail. */

/* Looks, opens nothing for writing. */
int posix_store_check(const struct tgtkit_open_args *args, struct tgtkit_error *error);

/* Opens and locks args->path, and makes it first if args->flags asks for that and it is not there.  `store` is
 * undefined after a failure. */
int posix_store_open(struct posix_store *store, const struct tgtkit_host *host, const struct tgtkit_open_args *args,
		     bool direct, const char *without_direct, struct tgtkit_error *error);
void posix_store_close(struct posix_store *store);

/* Fills every field of `capabilities` that this file knows; flags include flush and FUA, which the plugin does. */
int posix_store_measure(struct posix_store *store, struct tgtkit_capabilities *capabilities,
			struct tgtkit_error *error);

/* Regular files only.  The new size is durable; measure afterwards. */
int posix_store_resize(struct posix_store *store, struct posix_sync *sync, uint64_t size_bytes, uint32_t flags,
		       struct tgtkit_error *error);

/* Finds out once, at open, what direct I/O, discard, zero and extents need and are worth here. */
int posix_store_probe(struct posix_store *store, struct tgtkit_error *error);

/* Whether the path still leads to what is open, for refresh; -ENOENT or -ESTALE if not.  I/O goes on all the same. */
int posix_store_find(const struct posix_store *store, struct tgtkit_error *error);

/* Size in bytes now, of either kind of store. */
int posix_store_size(const struct posix_store *store, uint64_t *size_bytes);

/* ---- In service; any thread -------------------------------------------------------------------------------------- */

/* Whether a read that transferred `bytes`, fewer than it was to, has met the end of the file. */
bool posix_store_read_ended(const struct posix_store *store, uint64_t bytes);
/* The status of such a read.  The host reads within the size only, so somebody has cut the file short: says so, once.
 */
int posix_store_cut_short(struct posix_store *store, uint64_t offset);
/* Says, once, that a flush has failed with this status. */
void posix_store_flush_failed(struct posix_store *store, int status);
/* Blocks: posix_sync_flush, and says so if it fails. */
int posix_store_flush(struct posix_store *store, struct posix_sync *sync);

#endif
