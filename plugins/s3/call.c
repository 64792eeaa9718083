/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "call.h"

void s3_call_init(struct s3_call *call, struct s3_client *client, const char *method, const char *relative)
{
	*call = (struct s3_call){.client = client, .method = method, .object_bytes = UINT64_MAX};
	if (relative != NULL) {
		s3_text_add(&call->key, client->address.prefix);
		s3_text_add(&call->key, relative);
	} else {
		s3_text_add(&call->key, "");
	}
	s3_text_add(&call->query, "");
}

void s3_call_free(struct s3_call *call)
{
	s3_text_free(&call->key);
	s3_text_free(&call->query);
	s3_text_free(&call->response);
}

static const char *advice(const struct s3_call *call)
{
	static const struct {
		const char *code, *advice;
	} rows[] = {
	    {"NoSuchBucket", "; the bucket does not exist: create it, or correct the path"},
	    {"InvalidAccessKeyId", "; the server does not know this access key"},
	    {"SignatureDoesNotMatch", "; the secret key (or the region) is wrong"},
	    {"AccessDenied", "; the server does not accept these credentials, or they lack the permission"},
	    {"RequestTimeTooSkewed",
	     "; the clocks of this host and of the server differ too much: set this host's clock"},
	    {"ExpiredToken", "; the session token has expired"},
	    {"AuthorizationHeaderMalformed", "; the region is probably wrong: set the option 'region'"},
	    {"PermanentRedirect", "; the bucket is in another region: set the options 'region' and 'endpoint'"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(call->error.code, rows[i].code) == 0)
			return rows[i].advice;
	return "";
}

void s3_call_describe(const struct s3_call *call, char *text, size_t size)
{
	const char *bucket = call->client->address.bucket, *key = call->key.data == NULL ? "" : call->key.data;

	if (call->http_status == 0 && call->curl_status == CURLE_OK)
		snprintf(text, size, "%s %s/%s: not sent", call->method, bucket, key);
	else if (call->http_status == 0)
		snprintf(text, size, "%s %s/%s: %s (%s)", call->method, bucket, key,
			 curl_easy_strerror(call->curl_status), call->client->address.origin);
	else if (call->curl_status != CURLE_OK)
		snprintf(text, size, "%s %s/%s: status %ld, but the answer was broken: %s", call->method, bucket, key,
			 call->http_status, curl_easy_strerror(call->curl_status));
	else
		snprintf(text, size, "%s %s/%s: status %ld %s%s%s, request id %s%s", call->method, bucket, key,
			 call->http_status, call->error.code, call->error.message[0] == '\0' ? "" : ": ",
			 call->error.message, call->error.request_id[0] == '\0' ? "none" : call->error.request_id,
			 advice(call));
}
