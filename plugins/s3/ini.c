/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "ini.h"

struct span {
	const char *start;
	size_t length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trimmed(struct span span)
{
	while (span.length > 0 && is_blank(span.start[0])) {
		span.start++;
		span.length--;
	}
	while (span.length > 0 && is_blank(span.start[span.length - 1]))
		span.length--;
	return span;
}

static bool equals(struct span span, const char *string)
{
	return span.length == strlen(string) && memcmp(span.start, string, span.length) == 0;
}

static bool is_header_of(struct span line, const char *section)
{
	static const char profile[] = "profile";
	const char *end = memchr(line.start, ']', line.length);
	struct span name;

	if (end == NULL)
		return false;
	name = trimmed((struct span){line.start + 1, (size_t)(end - line.start) - 1});
	if (equals(name, section))
		return true;
	if (name.length <= strlen(profile) || memcmp(name.start, profile, strlen(profile)) != 0 ||
	    !is_blank(name.start[strlen(profile)]))
		return false;
	return equals(trimmed((struct span){name.start + strlen(profile), name.length - strlen(profile)}), section);
}

/* ' #' and ' ;' start a comment, as Amazon's tools have it. */
static struct span without_comment(struct span value)
{
	for (size_t i = 1; i < value.length; i++)
		if ((value.start[i] == '#' || value.start[i] == ';') && is_blank(value.start[i - 1]))
			value.length = i;
	return trimmed(value);
}

static bool take_setting(struct span line, bool (*found)(void *context, const char *key, const char *value),
			 void *context)
{
	const char *equals_sign = memchr(line.start, '=', line.length);
	struct span key, value;
	char *copies;
	bool goes_on;

	if (equals_sign == NULL)
		return true;
	key = trimmed((struct span){line.start, (size_t)(equals_sign - line.start)});
	value = without_comment(
	    trimmed((struct span){equals_sign + 1, line.length - (size_t)(equals_sign - line.start) - 1}));
	if (key.length == 0 || key.length > 128 || value.length > S3_INI_VALUE_BYTES)
		return true;
	copies = calloc(1, key.length + value.length + 2);
	if (copies == NULL)
		return false;
	memcpy(copies, key.start, key.length);
	memcpy(copies + key.length + 1, value.start, value.length);
	goes_on = found(context, copies, copies + key.length + 1);
	free(copies);
	return goes_on;
}

bool s3_ini_read(const char *text, size_t length, const char *section,
		 bool (*found)(void *context, const char *key, const char *value), void *context)
{
	const char *end = text + length;
	bool is_inside = false, was_seen = false;

	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const struct span line = {text, (size_t)((newline == NULL ? end : newline) - text)};

		text = newline == NULL ? end : newline + 1;
		if (line.length == 0 || line.start[0] == '#' || line.start[0] == ';' || is_blank(line.start[0]) ||
		    memchr(line.start, '\0', line.length) != NULL)
			continue;
		if (line.start[0] == '[') {
			is_inside = is_header_of(line, section);
			was_seen |= is_inside;
		} else if (is_inside && !take_setting(line, found, context)) {
			break;
		}
	}
	return was_seen;
}
