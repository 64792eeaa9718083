/* SPDX-License-Identifier: Apache-2.0 */
#include "store/verify.h"

#include <errno.h>

#include "unit/runner.h"

static struct tgtkit_plugin plugin;
static struct tgtkit_blocking blocking;
static struct tgtkit_async async;
static struct tgtkit_option options[3];
static struct tgtkit_counter counters[3];
static const char *prefixes[20];
static char error[STORE_ERROR_BYTES];

static int stub_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		     struct tgtkit_error *reason)
{
	(void)args;
	(void)handle;
	(void)capabilities;
	(void)reason;
	return 0;
}

static void stub_close(void *handle)
{
	(void)handle;
}

static int stub_pread(void *handle, void *buffer, size_t length, uint64_t offset)
{
	(void)handle;
	(void)buffer;
	(void)length;
	(void)offset;
	return 0;
}

static int stub_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context)
{
	(void)handle;
	(void)args;
	(void)queue_context;
	return 0;
}

static int stub_submit(void *queue_context, struct tgtkit_request *request)
{
	(void)queue_context;
	(void)request;
	return 0;
}

static void stub_read_counters(void *handle, uint64_t *values)
{
	(void)handle;
	(void)values;
}

static int stub_worker_open(struct tgtkit_worker *worker, void **context)
{
	(void)worker;
	(void)context;
	return 0;
}

static void setup(void)
{
	memset(prefixes, 0, sizeof(prefixes));
	memset(options, 0, sizeof(options));
	memset(counters, 0, sizeof(counters));
	prefixes[0] = "good";
	options[0] = (struct tgtkit_option){.key = "depth", .type = TGTKIT_OPTION_INTEGER, .help = "h"};
	counters[0] = (struct tgtkit_counter){.name = "hits", .help = "h"};
	blocking = (struct tgtkit_blocking){.size = sizeof(blocking), .pread = stub_pread};
	async = (struct tgtkit_async){
	    .size = sizeof(async),
	    .queue_open = stub_queue_open,
	    .submit = stub_submit,
	    .queue_close = stub_close,
	};
	plugin = (struct tgtkit_plugin){
	    .size = sizeof(plugin),
	    .abi_major = TGTKIT_ABI_MAJOR,
	    .abi_minor = TGTKIT_ABI_MINOR,
	    .name = "good",
	    .version = "1",
	    .description = "d",
	    .prefixes = prefixes,
	    .options = options,
	    .open = stub_open,
	    .close = stub_close,
	    .blocking = &blocking,
	    .counters = counters,
	    .read_counters = stub_read_counters,
	};
}

static int verify(void)
{
	error[0] = '\0';
	return store_verify_descriptor(&plugin, "good", error);
}

#define ASSERT_REFUSED(word)                                                                                           \
	do {                                                                                                           \
		ck_assert_int_eq(verify(), -EINVAL);                                                                   \
		ck_assert_msg(strstr(error, word) != NULL, "'%s' does not say '%s'", error, word);                     \
		setup();                                                                                               \
	} while (0)

START_TEST(descriptors_in_order_are_accepted)
{
	ck_assert_msg(verify() == 0, "%s", error);
	plugin.options = NULL;
	plugin.counters = NULL;
	plugin.blocking = NULL;
	plugin.async = &async;
	ck_assert_msg(verify() == 0, "%s", error);
}
END_TEST

START_TEST(names_must_be_right)
{
	plugin.name = NULL;
	ASSERT_REFUSED("name");
	plugin.name = "Good";
	ASSERT_REFUSED("a-z");
	plugin.name = "bad";
	ASSERT_REFUSED("bad.so");
	plugin.version = NULL;
	ASSERT_REFUSED("version");
	plugin.description = NULL;
	ASSERT_REFUSED("description");
	plugin.reserved = 1;
	ASSERT_REFUSED("reserved");
	plugin.scratch_bytes = 1u << 20;
	ASSERT_REFUSED("scratch");
}
END_TEST

START_TEST(prefixes_must_be_right)
{
	plugin.prefixes = NULL;
	ASSERT_REFUSED("no path prefix");
	prefixes[0] = NULL;
	ASSERT_REFUSED("no path prefix");
	prefixes[1] = "a:b";
	ASSERT_REFUSED("number 2");
	prefixes[1] = "";
	ASSERT_REFUSED("number 2");
	prefixes[1] = "good";
	ASSERT_REFUSED("twice");
	for (unsigned i = 0; i < 19; i++)
		prefixes[i] = &"abcdefghijklmnopqrstuvw"[i];
	ASSERT_REFUSED("more than");
}
END_TEST

START_TEST(options_must_be_right)
{
	options[0].key = "Depth";
	ASSERT_REFUSED("number 1");
	options[0].help = NULL;
	ASSERT_REFUSED("help");
	options[0].type = 9;
	ASSERT_REFUSED("type 9");
	options[0].type = 0;
	ASSERT_REFUSED("type 0");
	options[0].flags = 1u << 20;
	ASSERT_REFUSED("flags");
	options[1] = options[0];
	ASSERT_REFUSED("twice");
	options[0].default_value = "many";
	ASSERT_REFUSED("default");
	options[0].maximum = 3;
	options[0].default_value = "4";
	ASSERT_REFUSED("between 0 and 3");
	options[0].minimum = 4;
	options[0].maximum = 3;
	ASSERT_REFUSED("impossible");
	options[0].type = TGTKIT_OPTION_SIZE;
	options[0].minimum = -1;
	ASSERT_REFUSED("impossible");
	options[0].type = TGTKIT_OPTION_STRING;
	options[0].maximum = 3;
	ASSERT_REFUSED("no number");
	options[0].flags = TGTKIT_OPTION_REQUIRED;
	options[0].default_value = "1";
	ASSERT_REFUSED("required");
	options[0].flags = TGTKIT_OPTION_PREFIX;
	ASSERT_REFUSED("prefix");
}
END_TEST

START_TEST(functions_must_be_there)
{
	plugin.open = NULL;
	ASSERT_REFUSED("open");
	plugin.close = NULL;
	ASSERT_REFUSED("close");
	plugin.blocking = NULL;
	ASSERT_REFUSED("none");
	plugin.async = &async;
	ASSERT_REFUSED("both");
	blocking.pread = NULL;
	ASSERT_REFUSED("pread");
}
END_TEST

START_TEST(functions_of_the_async_tier_must_be_there)
{
	plugin.blocking = NULL;
	plugin.async = &async;
	async.submit = NULL;
	ASSERT_REFUSED("submit");
	plugin.blocking = NULL;
	plugin.async = &async;
	async.queue_close = NULL;
	ASSERT_REFUSED("queue_close");
	plugin.blocking = NULL;
	plugin.async = &async;
	async.worker_open = stub_worker_open;
	ASSERT_REFUSED("worker_close");
}
END_TEST

START_TEST(counters_must_be_right)
{
	plugin.read_counters = NULL;
	ASSERT_REFUSED("read");
	counters[0].name = "Hits";
	ASSERT_REFUSED("number 1");
	counters[0].help = NULL;
	ASSERT_REFUSED("help");
	counters[1] = counters[0];
	ASSERT_REFUSED("twice");
}
END_TEST

Suite *verify_suite(void)
{
	Suite *suite = suite_create("verify");
	TCase *tests = tcase_create("descriptor");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, descriptors_in_order_are_accepted);
	tcase_add_test(tests, names_must_be_right);
	tcase_add_test(tests, prefixes_must_be_right);
	tcase_add_test(tests, options_must_be_right);
	tcase_add_test(tests, functions_must_be_there);
	tcase_add_test(tests, functions_of_the_async_tier_must_be_there);
	tcase_add_test(tests, counters_must_be_right);
	suite_add_tcase(suite, tests);
	return suite;
}
