/* SPDX-License-Identifier: Apache-2.0
 *
 * AWS Signature Version 4 for S3, in the Authorization header.
 */
#ifndef TGTKIT_S3_SIGV4_H
#define TGTKIT_S3_SIGV4_H

#include <stddef.h>
#include <time.h>

#include "text.h"

#define S3_DATE_BYTES	    17 /* 20260102T030405Z */
#define S3_SHA256_DIGITS    65
#define S3_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

struct s3_header {
	const char *name; /* lower case */
	const char *value;
};

struct s3_signing {
	const char *method;
	const char *path;		 /* encoded, as it goes over the wire */
	const char *query;		 /* encoded and sorted, "" if there is none */
	const struct s3_header *headers; /* all that are signed, sorted by name; host is among them */
	size_t header_count;
	const char *payload_hash; /* hex, or S3_UNSIGNED_PAYLOAD */
	const char *date;
	const char *region, *access_key, *secret_key;
};

void s3_date(time_t now, char date[S3_DATE_BYTES]);
void s3_sha256_hex(const void *bytes, size_t length, char hex[S3_SHA256_DIGITS]);

/* Exposed for tests: step 1 of the recipe. */
void s3_canonical_request(const struct s3_signing *signing, struct s3_text *text);
/* Appends the value of the Authorization header. */
void s3_sign(const struct s3_signing *signing, struct s3_text *authorization);

#endif
