/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

#define BAR_WIDTH 40u

static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGTP";
	const size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] == '\0' ? NULL : strchr(units, text[digits]);
	const unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);

	if ((text[digits] != '\0' && (unit == NULL || text[digits + 1] != '\0')) ||
	    !s3_parse_number(text, digits, 10, INT64_MAX >> shift, bytes))
		return false;
	*bytes <<= shift;
	return true;
}

static bool parse_value(const struct tgtkit_option *option, const char *text, struct tgtkit_value *value)
{
	uint64_t number = 0;
	bool good = true;

	if (option->type == TGTKIT_OPTION_STRING) {
		value->as.string = text;
	} else if (option->type == TGTKIT_OPTION_BOOL) {
		value->as.boolean = strcmp(text, "true") == 0;
		good = value->as.boolean || strcmp(text, "false") == 0;
	} else if (option->type == TGTKIT_OPTION_SIZE) {
		good = parse_size(text, &number);
		value->as.size_bytes = number;
	} else {
		good = s3_parse_number(text, strlen(text), 10, INT64_MAX, &number);
		value->as.integer = (int64_t)number;
	}
	if (option->minimum != 0 || option->maximum != 0)
		good = good && number >= (uint64_t)option->minimum && number <= (uint64_t)option->maximum;
	return good;
}

void tool_defaults(struct tool *tool)
{
	for (const struct tgtkit_option *option = s3_options; option->key != NULL; option++) {
		struct tgtkit_value *value = &tool->values[tool->value_count++];

		*value = (struct tgtkit_value){.key = option->key, .type = option->type};
		if (option->default_value != NULL)
			parse_value(option, option->default_value, value);
	}
}

int tool_set(struct tool *tool, const char *key, const char *text)
{
	for (size_t i = 0; i < tool->value_count; i++) {
		if (strcmp(s3_options[i].key, key) != 0)
			continue;
		free(tool->strings[i]);
		tool->strings[i] = strdup(text);
		if (tool->strings[i] == NULL || !parse_value(&s3_options[i], tool->strings[i], &tool->values[i])) {
			fprintf(stderr, "tgtkit-s3: option %s: '%s' is not a value for it (%s)\n", key, text,
				s3_options[i].help);
			return -1;
		}
		tool->values[i].is_set = 1;
		return 0;
	}
	fprintf(stderr, "tgtkit-s3: there is no option '%s'; see tgtkit-s3(7)\n", key);
	return -1;
}

void tool_free(struct tool *tool)
{
	if (tool->session.http != NULL)
		s3_http_free(tool->session.http);
	if (tool->volume != NULL)
		s3_volume_discard(tool->volume);
	tool->session.http = NULL;
	tool->volume = NULL;
	for (size_t i = 0; i < TOOL_OPTION_LIMIT; i++)
		free(tool->strings[i]);
}

int tool_fail(const struct tgtkit_error *error)
{
	fprintf(stderr, "tgtkit-s3: %s\n", error->message);
	return EXIT_FAILURE;
}

int tool_connect(struct tool *tool, const char *path)
{
	const char *plain = strncmp(path, "s3:", 3) == 0 ? path + 3 : path;
	const struct tgtkit_open_args args = {.size = sizeof(args),
					      .path = plain,
					      .values = tool->values,
					      .value_count = tool->value_count,
					      .state_dir = ""};
	struct tgtkit_error error = {.message = "out of memory"};

	if (s3_volume_connect(&args, &tool->volume, &error) != 0)
		return tool_fail(&error);
	tool->session = (struct s3_session){.http = s3_http_new(NULL), .client = &tool->volume->client};
	return tool->session.http == NULL ? tool_fail(&error) : EXIT_SUCCESS;
}

void tool_progress(const struct tool *tool, const char *what, uint64_t done, uint64_t total)
{
	static const char bar[BAR_WIDTH + 1] = "########################################";
	const unsigned filled = total == 0 ? BAR_WIDTH : (unsigned)(done * BAR_WIDTH / total);

	if (tool->is_quiet || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%-10s [%-*.*s] %3u %%", what, (int)BAR_WIDTH, (int)filled, bar, filled * 100 / BAR_WIDTH);
	if (done == total)
		fputc('\n', stderr);
}
