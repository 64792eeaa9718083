/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a volume is: endpoint, bucket, prefix; and the URLs that follow from it.
 */
#ifndef TGTKIT_S3_ADDRESS_H
#define TGTKIT_S3_ADDRESS_H

#include <stdbool.h>

#include "text.h"

struct s3_address {
	char *origin; /* scheme and authority, no final slash */
	char *host;   /* as it goes into the Host header */
	char *bucket;
	char *prefix; /* "" or ends in a slash */
	bool is_path_style, is_tls;
};

/* `path` is BUCKET[/PREFIX]; `endpoint` NULL: Amazon's in `region`.  0, -ENOMEM, or -EINVAL with `reason`. */
int s3_address_parse(const char *path, const char *endpoint, const char *region, bool is_path_style,
		     struct s3_address *address, const char **reason);
void s3_address_free(struct s3_address *address);

/* The path part of the URL of `key` ("" for the bucket itself), encoded. */
void s3_address_path(const struct s3_address *address, const char *key, struct s3_text *path);

/* Appends name=value to a query; call it in the order of the names. */
void s3_query_add(struct s3_text *query, const char *name, const char *value);

#endif
