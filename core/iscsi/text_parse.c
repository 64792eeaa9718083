/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "iscsi/text_parse.h"

/* A standard-label of RFC 7143 6.1; the number sign stands in the names of public extensions. */
static bool is_key_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	       c == '+' || c == '@' || c == '_' || c == '#';
}

static bool take_key(const char *from, size_t length, char key[static ISCSI_KEY_NAME_BYTES])
{
	if (length == 0 || length >= ISCSI_KEY_NAME_BYTES)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_key_character(from[i]))
			return false;
		key[i] = from[i];
	}
	key[length] = '\0';
	return true;
}

int iscsi_text_read(struct iscsi_text_reader *reader, struct iscsi_text_pair *pair)
{
	const char *text = reader->next, *end, *equals;

	/* Some initiators count the padding of the data segment as text, but nothing may follow it. */
	while (text < reader->end && *text == '\0')
		text++;
	if (text == reader->end)
		return 0;
	if (text != reader->next)
		return -EPROTO;
	end = memchr(text, '\0', (size_t)(reader->end - text));
	if (!end)
		return -EPROTO;
	equals = memchr(text, '=', (size_t)(end - text));
	if (!equals || !take_key(text, (size_t)(equals - text), pair->key))
		return -EPROTO;
	pair->value = equals + 1;
	pair->value_bytes = (size_t)(end - pair->value);
	if (pair->value_bytes > ISCSI_LONG_VALUE_BYTES)
		return -EPROTO;
	if (++reader->count > ISCSI_MAXIMUM_KEYS)
		return -E2BIG;
	reader->next = end + 1;
	return 1;
}

int iscsi_text_check(const char *bytes, size_t length)
{
	struct iscsi_text_reader reader = {.next = bytes, .end = bytes + length};
	struct iscsi_text_pair pair;
	int result;

	do {
		result = iscsi_text_read(&reader, &pair);
	} while (result > 0);
	return result;
}
