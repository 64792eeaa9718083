/* SPDX-License-Identifier: Apache-2.0
 *
 * One writer at a time.  A lease is an object per generation, made with If-None-Match; the highest generation owns, and
 * only its owner renews it.
 *
 * The owner counts from before it sent a renewal, on CLOCK_BOOTTIME (which goes on while the host sleeps), and a
 * renewal counts only if a list made after it shows no higher generation.  A contender waits until it has seen the
 * lease unchanged for lease_s on its own clock, makes the next generation, and looks at the old lease once more: had
 * its owner come back in between, the contender waits once more, while the owner finds the higher generation at its
 * next renewal.  The last third of a lease is left unused: clocks may run differently.
 *
 * The lease states the volume's size, too, and each owner takes it over from the one before: a lease is its owner's
 * alone, whereas a PUT of `_metadata` by an owner that was fenced may arrive at any time.
 */
#ifndef TGTKIT_S3_LEASE_H
#define TGTKIT_S3_LEASE_H

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "metadata.h"
#include "objects.h"

struct s3_lease {
	pthread_mutex_t renewing; /* around `record` and its PUT */
	bool has_mutex;
	struct s3_lease_record record;
	uint32_t generation;
	bool may_release; /* the generation is ours beyond doubt, and whoever had it before is out */
	uint64_t lease_ns;
	int lock_fd;			     /* -1: none */
	atomic_uint_fast64_t valid_until_ns; /* CLOCK_BOOTTIME */
	atomic_bool is_lost;		     /* for ever */
};

struct s3_lease_args {
	struct tgtkit_unit *unit;
	const char *uuid, *state_dir;
	uint64_t device_bytes; /* in force unless an earlier lease states another */
	uint32_t lease_s;
	bool take_over;
};

/* 0: ours.  -EBUSY: somebody else's.  -EOPNOTSUPP: the server does not honour conditions. */
int s3_lease_acquire(const struct s3_session *session, const struct s3_lease_args *args, struct s3_lease *lease,
		     struct tgtkit_error *error);
/* What the newest lease states, or 0.  0 or negative errno. */
int s3_lease_find_size(const struct s3_session *session, uint64_t *device_bytes, struct tgtkit_error *error);
/* Any thread.  0, -ESHUTDOWN (lost for ever), or why it could not be told. */
int s3_lease_renew(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error);
/* As s3_lease_renew, with another size, which is in force if that worked. */
int s3_lease_resize(const struct s3_session *session, struct s3_lease *lease, uint64_t device_bytes,
		    struct tgtkit_error *error);
/* The next generation, at once, for its owner's last act (the map).  Then `release` lets others in without a wait. */
int s3_lease_advance(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error);
/* Does nothing unless we were sole owner: the object may be another's, or an earlier owner may not know of us yet. */
int s3_lease_release(const struct s3_session *session, struct s3_lease *lease, struct tgtkit_error *error);
/* Frees what it holds on this host. */
void s3_lease_close(struct s3_lease *lease);

/* May a PUT start, a write or flush be acknowledged? */
static inline bool s3_lease_allows_writing(const struct s3_lease *lease)
{
	return !atomic_load(&lease->is_lost) &&
	       s3_clock_ns(CLOCK_BOOTTIME) + lease->lease_ns / 3 < atomic_load(&lease->valid_until_ns);
}

/* Is what we know of the volume still what it holds? */
static inline bool s3_lease_allows_reading(const struct s3_lease *lease)
{
	return !atomic_load(&lease->is_lost) && s3_clock_ns(CLOCK_BOOTTIME) < atomic_load(&lease->valid_until_ns);
}

#endif
