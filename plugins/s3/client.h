/* SPDX-License-Identifier: Apache-2.0
 *
 * What every call to one volume's server shares: where it is, who we are, how far its clock is from ours.  All
 * functions are for any thread.
 */
#ifndef TGTKIT_S3_CLIENT_H
#define TGTKIT_S3_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

#include "address.h"

/* A snapshot; whoever got one gives it back. */
struct s3_credentials {
	atomic_uint references;
	char *access_key, *secret_key;
	char *session_token;   /* or NULL */
	uint64_t expires_at_s; /* Unix time; 0: never */
};

struct s3_credentials *s3_credentials_new(const char *access_key, const char *secret_key, const char *session_token,
					  uint64_t expires_at_s);
void s3_credentials_release(struct s3_credentials *credentials);

enum s3_count {
	S3_COUNT_REQUESTS,
	S3_COUNT_RETRIES,
	S3_COUNT_BYTES_SENT,
	S3_COUNT_BYTES_RECEIVED,
	S3_COUNT_DAMAGED,
	S3_COUNT_CACHE_HITS,
	S3_COUNT_CACHE_MISSES,
	S3_COUNT_LIMIT,
};

struct s3_client {
	struct tgtkit_unit *unit; /* for the log; NULL: none */
	struct s3_address address;
	char *region, *ca_file; /* ca_file may be NULL */
	unsigned timeout_s;	/* without a byte, an attempt is given up after this */
	unsigned attempts;	/* at most, of one call */

	atomic_llong clock_offset_s; /* the server's clock less ours */
	atomic_bool credentials_wanted;
	atomic_uint_fast64_t counts[S3_COUNT_LIMIT];

	pthread_mutex_t lock; /* for what follows */
	struct s3_credentials *credentials;
};

void s3_client_init(struct s3_client *client);
void s3_client_free(struct s3_client *client);
/* Never NULL once some were set. */
struct s3_credentials *s3_client_credentials(struct s3_client *client);
/* Takes over the reference. */
void s3_client_set_credentials(struct s3_client *client, struct s3_credentials *credentials);

static inline void s3_client_count(struct s3_client *client, enum s3_count count, uint64_t amount)
{
	atomic_fetch_add_explicit(&client->counts[count], amount, memory_order_relaxed);
}

#endif
