/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/text.h"

void iscsi_text_free(struct iscsi_text *text)
{
	free(text->bytes);
	*text = (struct iscsi_text){0};
}

static bool grow(struct iscsi_text *text, size_t needed)
{
	size_t capacity = text->capacity ? text->capacity : 512;
	char *bytes;

	while (capacity < needed)
		capacity *= 2;
	if (capacity == text->capacity)
		return true;
	bytes = realloc(text->bytes, capacity);
	if (!bytes)
		return false;
	text->bytes = bytes;
	text->capacity = capacity;
	return true;
}

void iscsi_text_append(struct iscsi_text *text, const void *bytes, size_t length)
{
	if (text->failed || length == 0)
		return;
	if (length > ISCSI_TEXT_MAXIMUM_BYTES - text->length || !grow(text, text->length + length)) {
		text->failed = true;
		return;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

void iscsi_text_add(struct iscsi_text *text, const char *key, const char *value)
{
	size_t key_bytes = strlen(key), value_bytes = strlen(value);

	/* All or nothing: half a pair would be taken for another key. */
	if (text->failed || key_bytes + value_bytes + 2 > ISCSI_TEXT_MAXIMUM_BYTES - text->length ||
	    !grow(text, text->length + key_bytes + value_bytes + 2)) {
		text->failed = true;
		return;
	}
	iscsi_text_append(text, key, key_bytes);
	iscsi_text_append(text, "=", 1);
	iscsi_text_append(text, value, value_bytes + 1);
}
