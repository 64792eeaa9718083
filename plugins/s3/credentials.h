/* SPDX-License-Identifier: Apache-2.0
 *
 * Where credentials come from, in order: the options; the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN); the shared credentials and config files; web identity; the container's endpoint; the instance's
 * metadata (IMDSv2).  May block.
 */
#ifndef TGTKIT_S3_CREDENTIALS_H
#define TGTKIT_S3_CREDENTIALS_H

#include "settings.h"

/* 0 and a reference, or a negative errno and what to do in `error`. */
int s3_credentials_find(const struct s3_settings *settings, struct s3_credentials **credentials,
			struct tgtkit_error *error);

/* Fills in the region where the options give none: AWS_REGION, AWS_DEFAULT_REGION, the profile's, us-east-1. */
int s3_region_find(struct s3_settings *settings);

/* A small file as a whole, less a final newline; NULL: cannot be read, or beyond 1 MiB.  To be freed. */
char *s3_small_file(const char *path);

/* Sources over HTTP (credentials_http.c).  -ENOENT: this source is not configured here. */
int s3_credentials_from_web_identity(const struct s3_settings *settings, struct s3_credentials **credentials,
				     struct tgtkit_error *error);
int s3_credentials_from_container(struct s3_credentials **credentials, struct tgtkit_error *error);
int s3_credentials_from_instance(struct s3_credentials **credentials, struct tgtkit_error *error);

#endif
