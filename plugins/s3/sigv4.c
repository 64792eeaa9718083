/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "sigv4.h"

#define DAY_DIGITS 8

void s3_date(time_t now, char date[S3_DATE_BYTES])
{
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(date, S3_DATE_BYTES, "%Y%m%dT%H%M%SZ", &parts);
}

void s3_sha256_hex(const void *bytes, size_t length, char hex[S3_SHA256_DIGITS])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256(bytes, length, hash);
	s3_hex(hash, sizeof(hash), hex);
}

static void add_signed_headers(const struct s3_signing *signing, struct s3_text *text)
{
	for (size_t i = 0; i < signing->header_count; i++) {
		if (i > 0)
			s3_text_add(text, ";");
		s3_text_add(text, signing->headers[i].name);
	}
}

void s3_canonical_request(const struct s3_signing *signing, struct s3_text *text)
{
	s3_text_format(text, "%s\n%s\n%s\n", signing->method, signing->path, signing->query);
	for (size_t i = 0; i < signing->header_count; i++)
		s3_text_format(text, "%s:%s\n", signing->headers[i].name, signing->headers[i].value);
	s3_text_add(text, "\n");
	add_signed_headers(signing, text);
	s3_text_format(text, "\n%s", signing->payload_hash);
}

static void hmac(const void *key, size_t key_length, const char *message, unsigned char out[SHA256_DIGEST_LENGTH])
{
	HMAC(EVP_sha256(), key, (int)key_length, (const unsigned char *)message, strlen(message), out, NULL);
}

static void derive_key(const struct s3_signing *signing, const char *day, unsigned char key[SHA256_DIGEST_LENGTH])
{
	struct s3_text secret = {0};

	s3_text_format(&secret, "AWS4%s", signing->secret_key);
	if (!secret.failed)
		hmac(secret.data, secret.length, day, key);
	hmac(key, SHA256_DIGEST_LENGTH, signing->region, key);
	hmac(key, SHA256_DIGEST_LENGTH, "s3", key);
	hmac(key, SHA256_DIGEST_LENGTH, "aws4_request", key);
	if (secret.data != NULL)
		OPENSSL_cleanse(secret.data, secret.capacity);
	s3_text_free(&secret);
}

void s3_sign(const struct s3_signing *signing, struct s3_text *authorization)
{
	struct s3_text request = {0}, to_sign = {0};
	unsigned char key[SHA256_DIGEST_LENGTH] = {0}, signature[SHA256_DIGEST_LENGTH];
	char hash[S3_SHA256_DIGITS], day[DAY_DIGITS + 1];

	snprintf(day, sizeof(day), "%.8s", signing->date);
	s3_canonical_request(signing, &request);
	if (request.failed) {
		authorization->failed = true;
		s3_text_free(&request);
		return;
	}
	s3_sha256_hex(request.data, request.length, hash);
	s3_text_format(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", signing->date, day, signing->region,
		       hash);
	derive_key(signing, day, key);
	if (to_sign.failed)
		authorization->failed = true;
	else
		hmac(key, sizeof(key), to_sign.data, signature);
	OPENSSL_cleanse(key, sizeof(key));
	if (!to_sign.failed) {
		s3_hex(signature, sizeof(signature), hash);
		s3_text_format(authorization, "AWS4-HMAC-SHA256 Credential=%s/%s/%s/s3/aws4_request,SignedHeaders=",
			       signing->access_key, day, signing->region);
		add_signed_headers(signing, authorization);
		s3_text_format(authorization, ",Signature=%s", hash);
	}
	s3_text_free(&request);
	s3_text_free(&to_sign);
}
