/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin's options, as a schema for the host and as a structure for us.
 */
#ifndef TGTKIT_S3_SETTINGS_H
#define TGTKIT_S3_SETTINGS_H

#include <tgtkit/plugin.h>

#include "client.h"

struct s3_settings {
	char *path, *endpoint, *region, *access_key, *secret_key_file, *session_token_file, *profile, *ca_file;
	bool is_path_style, take_over;
	uint32_t chunk_bytes, max_requests, timeout_s, retries, lease_s;
	uint64_t cache_bytes, read_ahead_bytes;
};

extern const struct tgtkit_option s3_options[];

/* 0, or -EINVAL or -ENOMEM with a message. */
int s3_settings_take(const char *path, const struct tgtkit_value *values, size_t count, struct s3_settings *settings,
		     struct tgtkit_error *error);
void s3_settings_free(struct s3_settings *settings);
/* The client's address, region, timeouts; not its credentials. */
int s3_settings_apply(const struct s3_settings *settings, struct s3_client *client, struct tgtkit_error *error);

#endif
