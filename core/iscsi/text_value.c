/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "iscsi/text_parse.h"

static int hexadecimal_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool has_prefix(const char *value, char kind)
{
	return value[0] == '0' && (value[1] | 0x20) == kind;
}

bool iscsi_value_number(const char *value, uint64_t *number)
{
	unsigned base = has_prefix(value, 'x') ? 16 : 10;
	uint64_t sum = 0;

	if (base == 16)
		value += 2;
	if (*value == '\0')
		return false;
	for (; *value; value++) {
		int digit = hexadecimal_digit(*value);

		if (digit < 0 || (unsigned)digit >= base)
			return false;
		if (__builtin_mul_overflow(sum, base, &sum) || __builtin_add_overflow(sum, (unsigned)digit, &sum))
			return false;
	}
	*number = sum;
	return true;
}

bool iscsi_value_boolean(const char *value, bool *boolean)
{
	*boolean = strcmp(value, "Yes") == 0;
	return *boolean || strcmp(value, "No") == 0;
}

const char *iscsi_value_choose(const char *list, const char *const *acceptable)
{
	for (;;) {
		size_t length = strcspn(list, ",");

		for (size_t i = 0; acceptable[i]; i++) {
			if (strlen(acceptable[i]) == length && memcmp(acceptable[i], list, length) == 0)
				return acceptable[i];
		}
		if (list[length] == '\0')
			return NULL;
		list += length + 1;
	}
}

bool iscsi_value_is_list(const char *list)
{
	for (;;) {
		size_t length = strcspn(list, ",");

		if (length > ISCSI_SIMPLE_VALUE_BYTES)
			return false;
		if (list[length] == '\0')
			return true;
		list += length + 1;
	}
}

bool iscsi_value_is_answer_only(const char *value)
{
	return strcmp(value, "NotUnderstood") == 0 || strcmp(value, "Irrelevant") == 0 || strcmp(value, "Reject") == 0;
}

/* Digits without a leading pair are a short first byte: 0x123 is 01 23. */
static int decode_hexadecimal(const char *digits, uint8_t *bytes, size_t capacity)
{
	size_t count = strlen(digits), length = (count + 1) / 2;

	if (length == 0 || length > capacity)
		return -EINVAL;
	memset(bytes, 0, length);
	for (size_t i = 0; i < count; i++) {
		size_t place = i + (count & 1);
		int digit = hexadecimal_digit(digits[i]);

		if (digit < 0)
			return -EINVAL;
		bytes[place / 2] = (uint8_t)(bytes[place / 2] << 4 | digit);
	}
	return (int)length;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, with its padding; bits that are left over must be zero, so that a value has one spelling. */
static int decode_base64(const char *digits, uint8_t *bytes, size_t capacity)
{
	size_t count = strlen(digits), length = 0;
	uint32_t bits = 0, bit_count = 0;

	if (count == 0 || count % 4 != 0)
		return -EINVAL;
	for (unsigned padding = 0; padding < 2 && digits[count - 1] == '='; padding++)
		count--;
	for (size_t i = 0; i < count; i++) {
		int digit = base64_digit(digits[i]);

		if (digit < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)digit;
		bit_count += 6;
		if (bit_count < 8)
			continue;
		if (length == capacity)
			return -EINVAL;
		bit_count -= 8;
		bytes[length++] = (uint8_t)(bits >> bit_count);
		bits &= (1u << bit_count) - 1;
	}
	return bits == 0 ? (int)length : -EINVAL;
}

int iscsi_value_binary(const char *value, uint8_t *bytes, size_t capacity)
{
	if (has_prefix(value, 'x'))
		return decode_hexadecimal(value + 2, bytes, capacity);
	if (has_prefix(value, 'b'))
		return decode_base64(value + 2, bytes, capacity);
	return -EINVAL;
}

void iscsi_value_put_binary(char *value, const uint8_t *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";

	*value++ = '0';
	*value++ = 'x';
	for (size_t i = 0; i < length; i++) {
		*value++ = digits[bytes[i] >> 4];
		*value++ = digits[bytes[i] & 15];
	}
	*value = '\0';
}
