/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static bool reserve(struct s3_text *text, size_t more)
{
	size_t wanted = text->capacity == 0 ? 256 : text->capacity;
	char *data;

	if (text->failed || more >= SIZE_MAX / 4 - text->length) {
		text->failed = true;
		return false;
	}
	while (wanted < text->length + more + 1)
		wanted *= 2;
	if (wanted == text->capacity)
		return true;
	data = realloc(text->data, wanted);
	if (data == NULL) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->capacity = wanted;
	return true;
}

void s3_text_add_bytes(struct s3_text *text, const void *bytes, size_t length)
{
	if (!reserve(text, length))
		return;
	if (length > 0)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void s3_text_add(struct s3_text *text, const char *string)
{
	s3_text_add_bytes(text, string, strlen(string));
}

void s3_text_format(struct s3_text *text, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0 || !reserve(text, (size_t)length)) {
		text->failed = true;
		return;
	}
	va_start(arguments, format);
	vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
}

void s3_text_clear(struct s3_text *text)
{
	text->length = 0;
	text->failed = false;
	if (text->data != NULL)
		text->data[0] = '\0';
}

void s3_text_free(struct s3_text *text)
{
	free(text->data);
	*text = (struct s3_text){0};
}

static bool is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == '~';
}

void s3_text_encode(struct s3_text *text, const char *string, bool keep_slash)
{
	for (const unsigned char *c = (const unsigned char *)string; *c != '\0'; c++) {
		if (is_unreserved(*c) || (*c == '/' && keep_slash))
			s3_text_add_bytes(text, c, 1);
		else
			s3_text_format(text, "%%%02X", *c);
	}
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool s3_decode(char *string)
{
	char *out = string;

	for (const char *in = string; *in != '\0'; in++) {
		if (*in == '%') {
			const int high = digit_of(in[1]), low = high < 0 ? -1 : digit_of(in[2]);

			if (low < 0 || high + low == 0)
				return false;
			*out++ = (char)(high * 16 + low);
			in += 2;
		} else {
			*out++ = *in == '+' ? ' ' : *in;
		}
	}
	*out = '\0';
	return true;
}

void s3_hex(const unsigned char *bytes, size_t length, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * length] = '\0';
}

void s3_base64(const unsigned char *bytes, size_t length, char *base64)
{
	EVP_EncodeBlock((unsigned char *)base64, bytes, (int)length);
}

bool s3_base64_decode(const char *base64, unsigned char *bytes, size_t length)
{
	const size_t groups = (length + 2) / 3, padding = groups * 3 - length, digits = strlen(base64);
	unsigned char *decoded;
	bool good;

	if (digits != groups * 4 || digits > (1u << 20))
		return false;
	for (size_t i = 0; i < digits; i++)
		if ((base64[i] == '=') != (i >= digits - padding))
			return false;
	decoded = malloc(groups * 3 + 1);
	if (decoded == NULL)
		return false;
	good = EVP_DecodeBlock(decoded, (const unsigned char *)base64, (int)digits) == (int)(groups * 3);
	if (good)
		memcpy(bytes, decoded, length);
	free(decoded);
	return good;
}

bool s3_parse_number(const char *string, size_t length, unsigned base, uint64_t limit, uint64_t *number)
{
	uint64_t result = 0;

	if (length == 0)
		return false;
	for (size_t i = 0; i < length; i++) {
		const int digit = digit_of(string[i]);

		/* Upper-case digits are never written, so they name nothing of ours. */
		if (digit < 0 || (unsigned)digit >= base || (string[i] >= 'A' && string[i] <= 'F'))
			return false;
		if (result > (limit - (unsigned)digit) / base || (unsigned)digit > limit)
			return false;
		result = result * base + (unsigned)digit;
	}
	*number = result;
	return true;
}
