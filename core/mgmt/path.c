/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/path.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. */
static int decode(char *part)
{
	char *to = part;

	for (; *part; part++) {
		unsigned char byte = (unsigned char)*part;

		if (*part == '%') {
			int high = hex_digit(part[1]), low = high < 0 ? -1 : hex_digit(part[2]);

			if (low < 0)
				return -EINVAL;
			byte = (unsigned char)(high << 4 | low);
			part += 2;
		}
		if (byte < 0x20 || byte == 0x7f)
			return -EINVAL;
		*to++ = (char)byte;
	}
	*to = '\0';
	return 0;
}

int mgmt_path_decode_value(char *text)
{
	for (char *plus = text; (plus = strchr(plus, '+'));)
		*plus = ' ';
	return decode(text);
}

int mgmt_path_split(char *text, struct mgmt_path *path)
{
	char *part;

	path->count = 0;
	while ((part = strsep(&text, "/"))) {
		if (!*part)
			continue;
		if (path->count == MGMT_PATH_PARTS || decode(part))
			return -EINVAL;
		path->parts[path->count++] = part;
	}
	return 0;
}

bool mgmt_path_number(const char *part, uint32_t maximum, uint32_t *number)
{
	uint64_t value = 0;

	if (!*part || (part[0] == '0' && part[1]))
		return false;
	for (; *part; part++) {
		if (*part < '0' || *part > '9')
			return false;
		value = value * 10 + (uint64_t)(*part - '0');
		if (value > maximum)
			return false;
	}
	*number = (uint32_t)value;
	return true;
}
