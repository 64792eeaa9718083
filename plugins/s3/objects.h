/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole objects, for threads that may block.  Each returns 0 or a negative errno (-ENOENT: no such key or bucket,
 * -EEXIST: a conditional PUT was refused, -EACCES, -ETIMEDOUT, ...), and on failure fills `error`, which may be NULL.
 */
#ifndef TGTKIT_S3_OBJECTS_H
#define TGTKIT_S3_OBJECTS_H

#include "http.h"

struct s3_session {
	struct s3_http *http;
	struct s3_client *client;
	uint64_t deadline_ns; /* of each call; 0: none but the number of attempts */
	unsigned attempts;    /* 0: the client's */
	/* After each page of a list, with all that it has so far; NULL: nobody wants to know. */
	void (*listed)(void *context, const struct s3_list *list);
	void *context;
};

int s3_object_get(const struct s3_session *session, const char *relative, struct s3_text *content,
		  struct tgtkit_error *error);
/* The same, also over a connection that does not protect what it carries: read until two readings agree. */
int s3_object_get_surely(const struct s3_session *session, const char *relative, struct s3_text *content,
			 struct tgtkit_error *error);
int s3_object_put(const struct s3_session *session, const char *relative, const void *bytes, size_t length,
		  bool if_none_match, struct tgtkit_error *error);
/* All objects whose keys start with the volume's prefix and `relative`, after `start_after` (likewise relative; NULL:
 * from the start).  `delimiter` NULL: none.  At most `limit` (0: all).  */
int s3_objects_list(const struct s3_session *session, const char *relative, const char *start_after,
		    const char *delimiter, size_t limit, struct s3_list *list, struct tgtkit_error *error);
/* Likewise read until two readings agree. */
int s3_objects_list_surely(const struct s3_session *session, const char *relative, const char *start_after,
			   struct s3_list *list, struct tgtkit_error *error);
/* One request; at most S3_DELETE_KEYS keys, whole ones. */
#define S3_DELETE_KEYS 1000u
int s3_objects_delete(const struct s3_session *session, char *const *keys, size_t count, struct tgtkit_error *error);

/* The body of such a request; `call` is one of POST to the bucket. */
void s3_delete_body(char *const *keys, size_t count, struct s3_text *body);
void s3_delete_call(struct s3_call *call, struct s3_client *client, struct iovec *body, const struct s3_text *text);

#endif
