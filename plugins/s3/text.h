/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing text, and the encodings that S3 needs.
 */
#ifndef TGTKIT_S3_TEXT_H
#define TGTKIT_S3_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Starts zeroed.  `data` is terminated once something was added.  Out of memory, or `s3_text_limit` reached: `failed`
 * stays set and nothing more is added. */
struct s3_text {
	char *data;
	size_t length, capacity;
	bool failed;
};

void s3_text_add(struct s3_text *text, const char *string);
void s3_text_add_bytes(struct s3_text *text, const void *bytes, size_t length);
void s3_text_format(struct s3_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps the memory for what comes next. */
void s3_text_clear(struct s3_text *text);
void s3_text_free(struct s3_text *text);

/* RFC 3986 as SigV4 wants it: all but A-Z a-z 0-9 - _ . ~ becomes %XX. */
void s3_text_encode(struct s3_text *text, const char *string, bool keep_slash);
/* Undoes that, in place; '+' is a space.  False if it is malformed or hides a NUL. */
bool s3_decode(char *string);

/* `hex` has room for 2 * length + 1. */
void s3_hex(const unsigned char *bytes, size_t length, char *hex);
/* `base64` has room for 4 * ((length + 2) / 3) + 1. */
void s3_base64(const unsigned char *bytes, size_t length, char *base64);
/* Exactly `length` bytes, or false. */
bool s3_base64_decode(const char *base64, unsigned char *bytes, size_t length);

/* All of `string` as digits of `base`, at most `limit`. */
bool s3_parse_number(const char *string, size_t length, unsigned base, uint64_t limit, uint64_t *number);

#endif
