/* SPDX-License-Identifier: Apache-2.0
 *
 * One call to S3, with its repetitions.  A call is a member of its owner's structure; it lives from s3_call_init to
 * s3_call_free, and while an engine has it (s3_http_start to `done`, or to s3_http_cancel) nobody else touches it.
 */
#ifndef TGTKIT_S3_CALL_H
#define TGTKIT_S3_CALL_H

#include <curl/curl.h>
#include <sys/uio.h>

#include "checksum.h"
#include "client.h"
#include "retry.h"
#include "sigv4.h"
#include "xml.h"

#define S3_RESPONSE_LIMIT (512u << 20) /* of what is collected in `response` */

struct s3_http;

struct s3_call {
	/* What is asked for. */
	struct s3_client *client;
	const char *method;
	struct s3_text key;		   /* whole, with the prefix; "": the bucket */
	struct s3_text query;		   /* see s3_query_add */
	uint64_t range_first, range_bytes; /* range_bytes 0: all of it */
	bool is_whole;			   /* GET: all of the object, and the answer has to say how much that is */
	bool if_none_match;		   /* only if the key does not exist */
	bool has_content_md5;
	const char *checksums; /* value of S3_CHECKSUM_HEADER, or NULL */
	const struct iovec *body;
	unsigned body_count;
	uint64_t body_bytes;
	char body_sha256[S3_SHA256_DIGITS]; /* "": is made when the call starts, if it is needed */
	uint64_t deadline_ns;		    /* CLOCK_MONOTONIC; 0: none */
	unsigned attempts;		    /* 0: the client's */

	/* Hooks, all on the engine's thread, with `context` for the owner's use.  Each may be NULL, but for `done`. */
	void *context;
	bool (*begin)(struct s3_call *call); /* before each attempt; may set key; false: -ECANCELED */
	void (*body_part)(struct s3_call *call, uint64_t offset, const void *bytes,
			  size_t length);     /* of a 2xx answer;
					       * without it, `response` collects */
	bool (*verify)(struct s3_call *call); /* a whole 2xx answer; false: it was damaged on its way */
	void (*done)(struct s3_call *call);   /* the call may be freed, or started anew */

	/* What came of it. */
	int status;	  /* 0 or a negative errno */
	long http_status; /* 0: none */
	CURLcode curl_status;
	bool was_sent;	  /* at least one attempt may have reached the server */
	unsigned attempt; /* the current one, from 1 on */
	struct s3_error_text error;
	struct s3_text response;
	uint64_t object_bytes; /* of the whole object, from Content-Range; UINT64_MAX: not said */
	char checksums_found[S3_CHECKSUM_TEXT_BYTES];
	long long server_time; /* of the Date header; 0: none */

	/* The engine's. */
	struct s3_http *http;
	struct s3_call *next, *previous;
	CURL *easy;
	struct curl_slist *headers;
	uint64_t sent_bytes, received_bytes, due_ns;
	bool is_waiting, credentials_were_refreshed, clock_was_corrected;
	unsigned credential_waits;
};

/* `relative` is what follows the volume's prefix in the key; NULL: the bucket itself. */
void s3_call_init(struct s3_call *call, struct s3_client *client, const char *method, const char *relative);
void s3_call_free(struct s3_call *call);

/* A sentence for people: method, bucket, key, answer, request id, and what to do where that is known. */
void s3_call_describe(const struct s3_call *call, char *text, size_t size);

/* The engine's: sets up `easy` for one attempt.  False: no memory, or no credentials. */
bool s3_attempt_prepare(struct s3_call *call);
void s3_attempt_release(struct s3_call *call);

#endif
