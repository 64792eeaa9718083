/* SPDX-License-Identifier: Apache-2.0
 *
 * Uses what <tgtkit/plugin.h> offers, in the common part of C99 and C++11; see header_test.sh.
 */
#include <tgtkit/plugin.h>

static int consumer_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
			 struct tgtkit_error *error)
{
	if (args->value_count == 1 && args->values[0].type == TGTKIT_OPTION_SIZE)
		capabilities->size_bytes = args->values[0].as.size_bytes;
	capabilities->flags = TGTKIT_CAN_FLUSH | TGTKIT_READ_ONLY;
	error->message[0] = '\0';
	*handle = NULL;
	return 0;
}

static void consumer_close(void *handle)
{
	(void)handle;
}

static int consumer_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
	(void)handle;
	(void)buffer;
	(void)length;
	return offset == 0 ? 0 : -1;
}

static struct tgtkit_option options[2];
static struct tgtkit_blocking blocking;
static struct tgtkit_plugin plugin;

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	static const char *const prefixes[] = {"consumer", NULL};

	options[0].key = "size";
	options[0].type = TGTKIT_OPTION_SIZE;
	blocking.size = sizeof(blocking);
	blocking.pread = consumer_pread;
	plugin.size = sizeof(plugin);
	plugin.abi_major = TGTKIT_ABI_MAJOR;
	plugin.abi_minor = TGTKIT_ABI_MINOR;
	plugin.name = "consumer";
	plugin.prefixes = prefixes;
	plugin.options = options;
	plugin.open = consumer_open;
	plugin.close = consumer_close;
	plugin.blocking = &blocking;
	host->log(NULL, TGTKIT_LOG_INFO, "%s is here", plugin.name);
	return &plugin;
}
