/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading key=value text from a peer, RFC 7143 section 6.1, and the values in it.
 */
#ifndef TGTKIT_ISCSI_TEXT_PARSE_H
#define TGTKIT_ISCSI_TEXT_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_KEY_NAME_BYTES	 64u   /* 63 and the NUL */
#define ISCSI_SIMPLE_VALUE_BYTES 255u  /* of one simple value, without its delimiter */
#define ISCSI_LONG_VALUE_BYTES	 8192u /* of a list or a binary value */
#define ISCSI_MAXIMUM_KEYS	 256u  /* in one text */

/* Reads the text front to back; set `next` and `end` to begin. */
struct iscsi_text_reader {
	const char *next, *end;
	uint32_t count;
};

struct iscsi_text_pair {
	char key[ISCSI_KEY_NAME_BYTES];
	const char *value; /* in the text, ended by its NUL */
	size_t value_bytes;
};

/* 1: a pair; 0: the end; -EPROTO: the text is malformed; -E2BIG: more keys than anyone needs. */
int iscsi_text_read(struct iscsi_text_reader *reader, struct iscsi_text_pair *pair);
/* Reads the whole text and keeps nothing: 0 or the error, so that nothing is acted upon before all of it is known to be
 * sound. */
int iscsi_text_check(const char *bytes, size_t length);

/* Decimal or 0x hexadecimal, below 2^64. */
bool iscsi_value_number(const char *value, uint64_t *number);
bool iscsi_value_boolean(const char *value, bool *boolean);
/* The first element of the comma-separated list that is among `acceptable` (ended by NULL); NULL: none is. */
const char *iscsi_value_choose(const char *list, const char *const *acceptable);
/* No element is longer than a simple value. */
bool iscsi_value_is_list(const char *list);
/* Reject, Irrelevant, NotUnderstood: answers, never offers. */
bool iscsi_value_is_answer_only(const char *value);

/* 0x hexadecimal or 0b base64, at most `capacity` bytes.  The length, or -EINVAL. */
int iscsi_value_binary(const char *value, uint8_t *bytes, size_t capacity);
/* 0x hexadecimal; `value` has room for 2 * length + 3 bytes. */
void iscsi_value_put_binary(char *value, const uint8_t *bytes, size_t length);

#endif
