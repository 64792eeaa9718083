/* SPDX-License-Identifier: Apache-2.0
 *
 * iSCSI names: RFC 7143 section 4.2.7, RFC 3722 (the profile of stringprep) and RFC 3980 (naa).
 */
#include <string.h>

#include "iscsi/directory.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower_hexadecimal(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_lower_alphanumeric(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z');
}

/* Length in bytes of the UTF-8 character of two bytes or more at `p`, 0 if it is none.  The NUL at the end of the
 * string fails the test of a continuation byte, so nothing behind it is read. */
static size_t utf8_bytes(const unsigned char *p)
{
	size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t code = p[0] & (0xffu >> (length + 1));
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3fu);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return code < 0xa0 ? 0 : length; /* C1 controls */
}

/* What is left of ASCII after RFC 3722, and any character beyond ASCII. */
static bool has_legal_characters(const char *name)
{
	const char *p = name;

	while (*p) {
		size_t length = 1;

		if ((unsigned char)*p >= 0x80) {
			length = utf8_bytes((const unsigned char *)p);
			if (length == 0)
				return false;
		} else if (!is_lower_alphanumeric(*p) && *p != '-' && *p != '.' && *p != ':') {
			return false;
		}
		p += length;
	}
	return true;
}

static bool is_hexadecimal(const char *text, size_t digits)
{
	for (size_t i = 0; i < digits; i++) {
		if (!is_lower_hexadecimal(text[i]))
			return false;
	}
	return text[digits] == '\0';
}

/* "2026-11.org.example[:anything]": a month in which the naming authority owned the domain, and the domain reversed. */
static bool is_iqn_body(const char *body)
{
	for (size_t i = 0; i < 7; i++) {
		if (i == 4 ? body[i] != '-' : !is_digit(body[i]))
			return false;
	}
	if (memcmp(body + 5, "01", 2) < 0 || memcmp(body + 5, "12", 2) > 0 || body[7] != '.')
		return false;
	return body[8] != '\0' && body[8] != '.' && body[8] != ':';
}

bool iscsi_name_is_valid(const char *name)
{
	if (strnlen(name, ISCSI_NAME_BYTES) >= ISCSI_NAME_BYTES)
		return false;
	if (!has_legal_characters(name))
		return false;
	if (strncmp(name, "iqn.", 4) == 0)
		return is_iqn_body(name + 4);
	if (strncmp(name, "eui.", 4) == 0)
		return is_hexadecimal(name + 4, 16);
	if (strncmp(name, "naa.", 4) == 0)
		return is_hexadecimal(name + 4, 16) || is_hexadecimal(name + 4, 32);
	return false;
}

bool iscsi_name_is_presentable(const char *name)
{
	const unsigned char *p = (const unsigned char *)name;

	if (*p == '\0' || strnlen(name, ISCSI_NAME_BYTES) >= ISCSI_NAME_BYTES)
		return false;
	while (*p) {
		size_t length = *p >= 0x80 ? utf8_bytes(p) : (*p > 0x20 && *p < 0x7f);

		if (length == 0)
			return false;
		p += length;
	}
	return true;
}

void iscsi_name_normalise(char *name)
{
	for (char *p = name; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	}
}
