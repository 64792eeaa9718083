/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <string.h>

#include "null_size.h"

/* False if it exceeds the limit. */
static bool multiply(uint64_t *value, uint64_t factor, uint64_t addend)
{
	if (__builtin_mul_overflow(*value, factor, value) || __builtin_add_overflow(*value, addend, value))
		return false;
	return *value <= INT64_MAX;
}

bool null_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGTPkmgtp";
	const char *position = text, *unit;
	uint64_t value = 0;

	for (; *position >= '0' && *position <= '9'; position++)
		if (!multiply(&value, 10, (uint64_t)(*position - '0')))
			return false;
	if (position == text || value == 0)
		return false;
	if (*position != '\0') {
		unit = strchr(units, *position);
		if (unit == NULL || position[1] != '\0')
			return false;
		for (long power = (unit - units) % 5; power >= 0; power--)
			if (!multiply(&value, 1024, 0))
				return false;
	}
	*bytes = value;
	return true;
}
