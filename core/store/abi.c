/* SPDX-License-Identifier: Apache-2.0 */
#include "store/abi.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The length of a structure whose last field this is. */
#define LENGTH_TO(type, field)                                                                                         \
	((offsetof(type, field) + sizeof(((type *)NULL)->field) + _Alignof(type) - 1) / _Alignof(type) * _Alignof(type))

struct lengths {
	size_t plugin, blocking, async;
};

/* Every minor version that was declared, from 1 on, with the last field that each structure had in it. */
static const struct lengths declared[] = {
    {LENGTH_TO(struct tgtkit_plugin, take_over), LENGTH_TO(struct tgtkit_blocking, pwritev_nowait),
     LENGTH_TO(struct tgtkit_async, poll)},
};
#define DECLARED_COUNT (sizeof(declared) / sizeof(declared[0]))

static const struct lengths here = {sizeof(struct tgtkit_plugin), sizeof(struct tgtkit_blocking),
				    sizeof(struct tgtkit_async)};

static int __attribute__((format(printf, 3, 4))) refuse(char *error, size_t error_bytes, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_bytes, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* How long the plugin's structures have to be; NULL: this host does not serve that version. */
static const struct lengths *lengths_of(uint32_t minor)
{
	if (minor == TGTKIT_ABI_MINOR)
		return &here;
	/* Nothing before 1 was declared. */
	if (minor == 0)
		return NULL;
	return minor > TGTKIT_ABI_MINOR || minor > DECLARED_COUNT ? &here : &declared[minor - 1];
}

/* A newer plugin's structures may go on beyond what is known here, in whole fields. */
static bool is_length(size_t length, size_t expected, uint32_t minor)
{
	if (minor <= TGTKIT_ABI_MINOR)
		return length == expected;
	return length >= expected && length % _Alignof(struct tgtkit_plugin) == 0;
}

/* Copies what both sides know; the rest stays zero. */
static void take(void *to, size_t to_bytes, const void *from, size_t from_bytes)
{
	memset(to, 0, to_bytes);
	memcpy(to, from, from_bytes < to_bytes ? from_bytes : to_bytes);
	memcpy(to, &to_bytes, sizeof(to_bytes)); /* `size`, which every structure starts with */
}

/* Size and version come first: nothing else may be looked at before they are known to be right. */
static int check_version(const struct tgtkit_plugin *from, const struct lengths **expected, char *error,
			 size_t error_bytes)
{
	if (from->size < offsetof(struct tgtkit_plugin, name))
		return refuse(error, error_bytes,
			      "its descriptor says that it is %zu bytes long, which is too short for any version",
			      from->size);
	*expected = from->abi_major == TGTKIT_ABI_MAJOR ? lengths_of(from->abi_minor) : NULL;
	if (*expected == NULL)
		return refuse(error, error_bytes,
			      "it was built for plugin ABI %u.%u, this host has %d.%d; build it anew", from->abi_major,
			      from->abi_minor, TGTKIT_ABI_MAJOR, TGTKIT_ABI_MINOR);
	if (!is_length(from->size, (*expected)->plugin, from->abi_minor))
		return refuse(error, error_bytes,
			      "its descriptor is %zu bytes long instead of %zu; build it anew with this host's "
			      "tgtkit/plugin.h",
			      from->size, (*expected)->plugin);
	return 0;
}

int store_abi_take(const struct tgtkit_plugin *from, struct store_abi_descriptor *to, char *error, size_t error_bytes)
{
	const struct tgtkit_blocking *blocking;
	const struct tgtkit_async *async;
	const struct lengths *expected = NULL;
	int status = check_version(from, &expected, error, error_bytes);

	if (status != 0)
		return status;
	take(&to->plugin, sizeof(to->plugin), from, from->size);
	blocking = to->plugin.blocking;
	async = to->plugin.async;
	if (blocking != NULL && !is_length(blocking->size, expected->blocking, from->abi_minor))
		return refuse(error, error_bytes,
			      "its table of blocking functions is %zu bytes long instead of %zu; build it anew",
			      blocking->size, expected->blocking);
	if (async != NULL && !is_length(async->size, expected->async, from->abi_minor))
		return refuse(error, error_bytes,
			      "its table of async functions is %zu bytes long instead of %zu; build it anew",
			      async->size, expected->async);
	if (blocking != NULL) {
		take(&to->blocking, sizeof(to->blocking), blocking, blocking->size);
		to->plugin.blocking = &to->blocking;
	}
	if (async != NULL) {
		take(&to->async, sizeof(to->async), async, async->size);
		to->plugin.async = &to->async;
	}
	return 0;
}
