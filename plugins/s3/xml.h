/* SPDX-License-Identifier: Apache-2.0
 *
 * What S3 answers in XML: lists, errors.  A document with a DTD, or one beyond libxml2's own limits, is refused.
 */
#ifndef TGTKIT_S3_XML_H
#define TGTKIT_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct s3_listed {
	char *key;
	uint64_t size_bytes;
};

/* One page of a list, or several that were put together. */
struct s3_list {
	struct s3_listed *objects; /* as the server sorted them */
	size_t count, capacity;
	char **prefixes; /* CommonPrefixes */
	size_t prefix_count;
	char *next_token; /* NULL: there is no more */
};

/* Appends a page.  0, -EBADMSG or -ENOMEM. */
int s3_list_parse(const char *xml, size_t length, struct s3_list *list);
void s3_list_free(struct s3_list *list);

struct s3_error_text {
	char code[64];
	char message[200];
	char request_id[96];
};

/* Empty strings for what is absent.  Finds an Error that is the document, or the first one inside it. */
void s3_error_parse(const char *xml, size_t length, struct s3_error_text *error);

#endif
