/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt of a call: its headers, its signature, its curl handle and what comes back through it.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "call.h"
#include "clock.h"

#define HEADERS_MAXIMUM	   9
#define ERROR_BODY_LIMIT   65536u
#define CONNECT_TIMEOUT_MS 5000L
#define TRANSFER_BUFFER	   (256L << 10)
#define MD5_BYTES	   16
#define MD5_BESIDE_SHA256  (256u << 10)

static bool is_success(const struct s3_call *call)
{
	return call->http_status >= 200 && call->http_status < 300;
}

/* ---- Hooks of curl ------------------------------------------------------------------------------------------------
 */

static size_t read_body(char *buffer, size_t size, size_t count, void *context)
{
	struct s3_call *call = context;
	uint64_t skip = call->sent_bytes;
	size_t room = size * count, copied = 0;

	for (unsigned i = 0; i < call->body_count && copied < room; i++) {
		const struct iovec *piece = &call->body[i];
		size_t length;

		if (skip >= piece->iov_len) {
			skip -= piece->iov_len;
			continue;
		}
		length = piece->iov_len - skip < room - copied ? piece->iov_len - skip : room - copied;
		memcpy(buffer + copied, (const char *)piece->iov_base + skip, length);
		copied += length;
		skip = 0;
	}
	call->sent_bytes += copied;
	return copied;
}

/* A kept-alive connection that proves dead is replaced by curl, and the body starts again. */
static int seek_body(void *context, curl_off_t offset, int origin)
{
	struct s3_call *call = context;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > call->body_bytes)
		return CURL_SEEKFUNC_FAIL;
	call->sent_bytes = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct s3_call *call = context;
	const size_t length = size * count;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->http_status);
	if (!is_success(call)) {
		if (call->response.length + length <= ERROR_BODY_LIMIT)
			s3_text_add_bytes(&call->response, bytes, length);
		return length;
	}
	if (call->range_bytes != 0 && call->received_bytes + length > call->range_bytes)
		return 0; /* more than was asked for: not our answer */
	if (call->body_part != NULL) {
		call->body_part(call, call->received_bytes, bytes, length);
	} else {
		if (call->response.length + length > S3_RESPONSE_LIMIT)
			return 0;
		s3_text_add_bytes(&call->response, bytes, length);
	}
	call->received_bytes += length;
	return length;
}

static bool header_is(const char *line, size_t length, const char *name, char *value, size_t size)
{
	const size_t name_length = strlen(name);
	size_t start = name_length + 1, end = length;

	if (length <= name_length || line[name_length] != ':' || strncasecmp(line, name, name_length) != 0)
		return false;
	while (start < end && (line[start] == ' ' || line[start] == '\t'))
		start++;
	while (end > start && (line[end - 1] == '\r' || line[end - 1] == '\n' || line[end - 1] == ' '))
		end--;
	snprintf(value, size, "%.*s", (int)(end - start), line + start);
	return true;
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
	struct s3_call *call = context;
	const size_t length = size * count;
	char value[S3_CHECKSUM_TEXT_BYTES];

	if (length >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		/* A new header block: what an interim answer said is void. */
		call->checksums_found[0] = '\0';
		call->object_bytes = UINT64_MAX;
		call->server_time = 0;
	} else if (header_is(line, length, "content-range", value, sizeof(value))) {
		uint64_t first, last, total;

		if (sscanf(value, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &first, &last, &total) == 3 &&
		    (call->is_whole ? first == 0 && last + 1 == total
				    : first == call->range_first && last - first + 1 == call->range_bytes))
			call->object_bytes = total;
	} else if (header_is(line, length, S3_CHECKSUM_HEADER, value, sizeof(value))) {
		snprintf(call->checksums_found, sizeof(call->checksums_found), "%s", value);
	} else if (header_is(line, length, "date", value, sizeof(value))) {
		call->server_time = curl_getdate(value, NULL);
	} else if (header_is(line, length, "x-amz-request-id", value, sizeof(value))) {
		snprintf(call->error.request_id, sizeof(call->error.request_id), "%.90s", value);
	}
	return length;
}

/* ---- Headers
 * --------------------------------------------------------------------------------------------------------- */

static void hash_body(struct s3_call *call)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char hash[SHA256_DIGEST_LENGTH];

	if (context == NULL)
		return;
	EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	for (unsigned i = 0; i < call->body_count; i++)
		EVP_DigestUpdate(context, call->body[i].iov_base, call->body[i].iov_len);
	if (EVP_DigestFinal_ex(context, hash, NULL) == 1)
		s3_hex(hash, sizeof(hash), call->body_sha256);
	EVP_MD_CTX_free(context);
}

static bool md5_body(const struct s3_call *call, char base64[32])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char hash[MD5_BYTES];
	bool good = context != NULL && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1;

	for (unsigned i = 0; good && i < call->body_count; i++)
		good = EVP_DigestUpdate(context, call->body[i].iov_base, call->body[i].iov_len) == 1;
	good = good && EVP_DigestFinal_ex(context, hash, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (good)
		s3_base64(hash, sizeof(hash), base64);
	return good;
}

static bool add_header(struct s3_call *call, const char *name, const char *value)
{
	struct s3_text line = {0};
	struct curl_slist *longer;

	s3_text_format(&line, "%s: %s", name, value);
	longer = line.failed ? NULL : curl_slist_append(call->headers, line.data);
	s3_text_free(&line);
	if (longer != NULL)
		call->headers = longer;
	return longer != NULL;
}

struct header_set {
	struct s3_header headers[HEADERS_MAXIMUM];
	size_t count;
	char date[S3_DATE_BYTES], md5[32], range[64];
};

static void put(struct header_set *set, const char *name, const char *value)
{
	set->headers[set->count++] = (struct s3_header){name, value};
}

/* In the order of the names, as the signature wants them. */
static bool make_headers(struct s3_call *call, const struct s3_credentials *credentials, const char *payload_hash,
			 struct header_set *set)
{
	set->count = 0;
	s3_date(time(NULL) + (time_t)atomic_load(&call->client->clock_offset_s), set->date);
	if (call->has_content_md5) {
		if (!md5_body(call, set->md5))
			return false;
		put(set, "content-md5", set->md5);
	}
	put(set, "host", call->client->address.host);
	if (call->if_none_match)
		put(set, "if-none-match", "*");
	if (call->range_bytes != 0) {
		snprintf(set->range, sizeof(set->range), "bytes=%" PRIu64 "-%" PRIu64, call->range_first,
			 call->range_first + call->range_bytes - 1);
		put(set, "range", set->range);
	} else if (call->is_whole) {
		put(set, "range", "bytes=0-");
	}
	put(set, "x-amz-content-sha256", payload_hash);
	put(set, "x-amz-date", set->date);
	if (call->checksums != NULL)
		put(set, S3_CHECKSUM_HEADER, call->checksums);
	if (credentials->session_token != NULL)
		put(set, "x-amz-security-token", credentials->session_token);
	return true;
}

static bool sign(struct s3_call *call, const struct s3_credentials *credentials, const char *path)
{
	const bool is_unsigned = call->client->address.is_tls && call->body_bytes > 0;
	struct header_set set;
	struct s3_text authorization = {0};
	struct s3_signing signing;
	bool good;

	/* Over TLS nobody can change the body on its way, but it may still be damaged before and behind: MD5 then.
	 * Otherwise the signed SHA-256 makes the server refuse what was damaged.  MD5 beside it, at a third of its
	 * speed, would take more time of the worker than all the rest of an upload: small bodies have both. */
	if (!is_unsigned && call->body_sha256[0] == '\0')
		hash_body(call);
	if (is_unsigned || (call->body_bytes > 0 && call->body_bytes <= MD5_BESIDE_SHA256))
		call->has_content_md5 = true;
	if (!make_headers(call, credentials, is_unsigned ? S3_UNSIGNED_PAYLOAD : call->body_sha256, &set))
		return false;
	signing = (struct s3_signing){.method = call->method,
				      .path = path,
				      .query = call->query.data,
				      .headers = set.headers,
				      .header_count = set.count,
				      .payload_hash = is_unsigned ? S3_UNSIGNED_PAYLOAD : call->body_sha256,
				      .date = set.date,
				      .region = call->client->region,
				      .access_key = credentials->access_key,
				      .secret_key = credentials->secret_key};
	s3_sign(&signing, &authorization);
	good = !authorization.failed && add_header(call, "authorization", authorization.data) &&
	       add_header(call, "expect", "");
	for (size_t i = 0; i < set.count && good; i++)
		good = add_header(call, set.headers[i].name, set.headers[i].value);
	s3_text_free(&authorization);
	return good;
}

/* ---- The handle
 * -------------------------------------------------------------------------------------------------------- */

static void set_body(struct s3_call *call)
{
	if (strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0) {
		curl_easy_setopt(call->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(call->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_bytes);
		curl_easy_setopt(call->easy, CURLOPT_READFUNCTION, read_body);
		curl_easy_setopt(call->easy, CURLOPT_READDATA, call);
		curl_easy_setopt(call->easy, CURLOPT_SEEKFUNCTION, seek_body);
		curl_easy_setopt(call->easy, CURLOPT_SEEKDATA, call);
		curl_easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE, TRANSFER_BUFFER);
	}
	if (strcmp(call->method, "GET") != 0)
		curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_limits(struct s3_call *call)
{
	const uint64_t now = s3_now_ns();

	curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_TIME, (long)call->client->timeout_s);
	if (call->deadline_ns != 0)
		curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS,
				 call->deadline_ns > now ? (long)((call->deadline_ns - now) / 1000000 + 1) : 1L);
	curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(call->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(call->easy, CURLOPT_BUFFERSIZE, TRANSFER_BUFFER);
	if (call->client->ca_file != NULL)
		curl_easy_setopt(call->easy, CURLOPT_CAINFO, call->client->ca_file);
}

static bool set_url(struct s3_call *call, const char *path)
{
	struct s3_text url = {0};
	bool good;

	s3_text_format(&url, "%s%s%s%s", call->client->address.origin, path, call->query.length > 0 ? "?" : "",
		       call->query.data);
	good = !url.failed && curl_easy_setopt(call->easy, CURLOPT_URL, url.data) == CURLE_OK;
	/* A key may hold "/../", which belongs to it. */
	curl_easy_setopt(call->easy, CURLOPT_PATH_AS_IS, 1L);
	s3_text_free(&url);
	return good;
}

static void forget_answer(struct s3_call *call)
{
	call->sent_bytes = call->received_bytes = 0;
	call->http_status = 0;
	call->curl_status = CURLE_OK;
	call->error = (struct s3_error_text){0};
	call->object_bytes = UINT64_MAX;
	call->checksums_found[0] = '\0';
	call->server_time = 0;
	s3_text_clear(&call->response);
}

bool s3_attempt_prepare(struct s3_call *call)
{
	struct s3_credentials *credentials = s3_client_credentials(call->client);
	struct s3_text path = {0};
	bool good;

	forget_answer(call);
	s3_address_path(&call->client->address, call->key.data == NULL ? "" : call->key.data, &path);
	good = credentials != NULL && !path.failed && !call->key.failed && !call->query.failed &&
	       sign(call, credentials, path.data) && set_url(call, path.data);
	s3_credentials_release(credentials);
	s3_text_free(&path);
	if (!good)
		return false;
	set_body(call);
	set_limits(call);
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	return true;
}

void s3_attempt_release(struct s3_call *call)
{
	curl_slist_free_all(call->headers);
	call->headers = NULL;
}
