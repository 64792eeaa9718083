/* SPDX-License-Identifier: Apache-2.0 */
#include "store/verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "store/values.h"

#define MAXIMUM_NAME_LENGTH   32u
#define MAXIMUM_PREFIXES      16u
#define MAXIMUM_OPTIONS	      256u
#define MAXIMUM_SCRATCH_BYTES (64u << 10)

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int __attribute__((format(printf, 2, 3))) refuse(char *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, STORE_ERROR_BYTES, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

static bool is_word(const char *text, const char *alphabet)
{
	size_t length = text != NULL ? strspn(text, alphabet) : 0;

	return length > 0 && length <= MAXIMUM_NAME_LENGTH && text[length] == '\0';
}

static int verify_names(const struct tgtkit_plugin *plugin, const char *name, char *error)
{
	if (!is_word(plugin->name, LOWER DIGITS "_-"))
		return refuse(error, "its name is not made of 1 to %u of a-z, 0-9, _ and -", MAXIMUM_NAME_LENGTH);
	if (strcmp(plugin->name, name) != 0)
		return refuse(error, "it calls itself '%s'; the file would have to be named %s.so", plugin->name,
			      plugin->name);
	if (plugin->version == NULL || plugin->description == NULL)
		return refuse(error, "it has no version or no description");
	if (plugin->reserved != 0)
		return refuse(error, "a reserved field of its descriptor is not 0");
	if (plugin->scratch_bytes > MAXIMUM_SCRATCH_BYTES)
		return refuse(error, "it wants %u scratch bytes per request, above the limit of %u",
			      plugin->scratch_bytes, MAXIMUM_SCRATCH_BYTES);
	return 0;
}

static int verify_prefixes(const char *const *prefixes, char *error)
{
	size_t count = 0;

	if (prefixes == NULL || prefixes[0] == NULL)
		return refuse(error, "it claims no path prefix");
	for (; prefixes[count] != NULL; count++) {
		if (count == MAXIMUM_PREFIXES)
			return refuse(error, "it claims more than %u path prefixes", MAXIMUM_PREFIXES);
		if (!is_word(prefixes[count], LOWER UPPER DIGITS "_-+."))
			return refuse(error,
				      "its path prefix number %zu has other characters than letters, digits, "
				      "_, -, + and .",
				      count + 1);
		for (size_t i = 0; i < count; i++) {
			if (strcmp(prefixes[i], prefixes[count]) == 0)
				return refuse(error, "it claims the path prefix '%s' twice", prefixes[count]);
		}
	}
	return 0;
}

static int verify_option_flags(const struct tgtkit_option *option, char *error)
{
	const uint32_t known =
	    TGTKIT_OPTION_REQUIRED | TGTKIT_OPTION_SECRET | TGTKIT_OPTION_RELOADABLE | TGTKIT_OPTION_PREFIX;

	if (option->flags & ~known)
		return refuse(error, "its option '%s' has unknown flags (0x%x)", option->key, option->flags & ~known);
	if ((option->flags & TGTKIT_OPTION_REQUIRED) && option->default_value != NULL)
		return refuse(error, "its option '%s' is required, but has a default", option->key);
	if (!(option->flags & TGTKIT_OPTION_PREFIX))
		return 0;
	if (option->type != TGTKIT_OPTION_STRING || (option->flags & TGTKIT_OPTION_REQUIRED) ||
	    option->default_value != NULL)
		return refuse(error, "its option '%s' is a prefix, so it must be an optional string without a default",
			      option->key);
	return 0;
}

static int verify_option_type(const struct tgtkit_option *option, char *error)
{
	bool is_bounded = option->minimum != 0 || option->maximum != 0;
	bool is_number = option->type == TGTKIT_OPTION_INTEGER || option->type == TGTKIT_OPTION_SIZE;
	char reason[STORE_ERROR_BYTES];
	struct tgtkit_value value;

	if (option->type < TGTKIT_OPTION_BOOL || option->type > TGTKIT_OPTION_STRING)
		return refuse(error, "its option '%s' has the unknown type %u", option->key, option->type);
	if (is_bounded && !is_number)
		return refuse(error, "its option '%s' has bounds, but is no number", option->key);
	if (option->minimum > option->maximum || (option->type == TGTKIT_OPTION_SIZE && option->minimum < 0))
		return refuse(error, "its option '%s' has impossible bounds", option->key);
	if (option->default_value != NULL && store_value_parse(option, option->default_value, &value, reason) != 0)
		return refuse(error, "the default of its option '%s' is wrong: %.512s", option->key, reason);
	return 0;
}

static int verify_option(const struct tgtkit_option *options, size_t index, char *error)
{
	const struct tgtkit_option *option = &options[index];
	int status;

	if (!is_word(option->key, LOWER DIGITS "_"))
		return refuse(error, "the key of its option number %zu is not made of a-z, 0-9 and _", index + 1);
	for (size_t i = 0; i < index; i++) {
		if (strcmp(options[i].key, option->key) == 0)
			return refuse(error, "it has the option '%s' twice", option->key);
	}
	if (option->help == NULL)
		return refuse(error, "its option '%s' has no help text", option->key);
	status = verify_option_flags(option, error);
	return status != 0 ? status : verify_option_type(option, error);
}

static int verify_options(const struct tgtkit_option *options, char *error)
{
	int status = 0;

	for (size_t i = 0; options != NULL && options[i].key != NULL && status == 0; i++) {
		if (i == MAXIMUM_OPTIONS)
			return refuse(error, "it has more than %u options", MAXIMUM_OPTIONS);
		status = verify_option(options, i, error);
	}
	return status;
}

static int verify_blocking(const struct tgtkit_blocking *blocking, char *error)
{
	if (blocking->pread == NULL)
		return refuse(error, "it has no function 'pread'");
	return 0;
}

static int verify_async(const struct tgtkit_async *async, char *error)
{
	if (async->queue_open == NULL || async->submit == NULL || async->queue_close == NULL)
		return refuse(error, "it lacks one of the functions queue_open, submit and queue_close");
	if ((async->worker_open == NULL) != (async->worker_close == NULL))
		return refuse(error, "it has only one of worker_open and worker_close");
	return 0;
}

static int verify_functions(const struct tgtkit_plugin *plugin, char *error)
{
	if (plugin->open == NULL || plugin->close == NULL)
		return refuse(error, "it lacks one of the functions open and close");
	if ((plugin->blocking == NULL) == (plugin->async == NULL))
		return refuse(error, "it has %s of the two tables of I/O functions, blocking and async; one is wanted",
			      plugin->blocking == NULL ? "none" : "both");
	return plugin->blocking != NULL ? verify_blocking(plugin->blocking, error) : verify_async(plugin->async, error);
}

static int verify_counters(const struct tgtkit_plugin *plugin, char *error)
{
	const struct tgtkit_counter *counters = plugin->counters;

	if (counters != NULL && plugin->read_counters == NULL)
		return refuse(error, "it has counters, but no function to read them");
	for (size_t i = 0; counters != NULL && counters[i].name != NULL; i++) {
		if (i == STORE_MAXIMUM_COUNTERS)
			return refuse(error, "it has more than %u counters", STORE_MAXIMUM_COUNTERS);
		if (!is_word(counters[i].name, LOWER "_") || counters[i].help == NULL)
			return refuse(error, "its counter number %zu has no name of a-z and _, or no help text", i + 1);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(counters[j].name, counters[i].name) == 0)
				return refuse(error, "it has the counter '%s' twice", counters[i].name);
		}
	}
	return 0;
}

int store_verify_descriptor(const struct tgtkit_plugin *plugin, const char *name, char error[static STORE_ERROR_BYTES])
{
	int status = verify_names(plugin, name, error);

	if (status == 0)
		status = verify_prefixes(plugin->prefixes, error);
	if (status == 0)
		status = verify_options(plugin->options, error);
	if (status == 0)
		status = verify_functions(plugin, error);
	return status != 0 ? status : verify_counters(plugin, error);
}
