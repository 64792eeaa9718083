/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "store/plugins.h"

/* The number of times that 1024 goes in, or -1 for what is no unit. */
static int power_of_1024(char unit)
{
	static const char units[] = "KMGTP";
	const char *found;

	if (unit >= 'a' && unit <= 'z')
		unit = (char)(unit - 'a' + 'A');
	found = unit != '\0' ? strchr(units, unit) : NULL;
	return found != NULL ? (int)(found - units) + 1 : -1;
}

int store_parse_size(const char *text, uint64_t *bytes)
{
	uint64_t value = 0;
	int power = 0;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	if (*text != '\0') {
		power = power_of_1024(*text++);
		if (power < 0 || *text != '\0')
			return -EINVAL;
	}
	for (; power > 0; power--) {
		if (__builtin_mul_overflow(value, 1024u, &value))
			return -ERANGE;
	}
	*bytes = value;
	return 0;
}
