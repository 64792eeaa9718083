/* SPDX-License-Identifier: Apache-2.0
 *
 * Binaries of an older and a newer version of the ABI, at a host of either: this file and core/store/abi.c are built
 * twice, with the header of the first declared version and with one that has grown.
 */
#include "store/abi.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "unit/runner.h"

static struct store_abi_descriptor taken;
static char error[512];

static const struct tgtkit_plugin *descriptor_of(const char *file, bool is_async)
{
	static const struct tgtkit_host host = {.size = sizeof(host)};
	const struct tgtkit_plugin *(*entry)(const struct tgtkit_host *host);
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	ck_assert_msg(library != NULL, "%s", dlerror());
	*(void **)&entry = dlsym(library, TGTKIT_PLUGIN_SYMBOL);
	ck_assert_ptr_nonnull(entry);
	return entry(is_async ? NULL : &host);
}

static int take(const struct tgtkit_plugin *plugin)
{
	memset(&taken, 0xa5, sizeof(taken));
	error[0] = '\0';
	return store_abi_take(plugin, &taken, error, sizeof(error));
}

#define ASSERT_REFUSED(plugin, word)                                                                                   \
	do {                                                                                                           \
		ck_assert_int_eq(take(plugin), -EINVAL);                                                               \
		ck_assert_msg(strstr(error, word) != NULL, "'%s' does not say '%s'", error, word);                     \
	} while (0)

static void assert_works(const struct tgtkit_plugin *plugin)
{
	char buffer[2] = "";

	ck_assert_msg(take(plugin) == 0, "%s", error);
	ck_assert_uint_eq(taken.plugin.size, sizeof(taken.plugin));
	ck_assert_str_eq(taken.plugin.name, "abi");
	ck_assert_ptr_eq(taken.plugin.open, plugin->open);
	if (plugin->async != NULL) {
		ck_assert_ptr_eq(taken.plugin.async, &taken.async);
		ck_assert_uint_eq(taken.async.size, sizeof(taken.async));
		ck_assert_ptr_eq(taken.async.submit, plugin->async->submit);
		ck_assert_ptr_null(taken.async.poll);
		return;
	}
	ck_assert_ptr_null(taken.plugin.async);
	ck_assert_ptr_eq(taken.plugin.blocking, &taken.blocking);
	ck_assert_uint_eq(taken.blocking.size, sizeof(taken.blocking));
	ck_assert_int_eq(taken.blocking.pread(NULL, buffer, 1, 0), 0);
	ck_assert_str_eq(buffer, "r");
}

START_TEST(a_binary_of_the_first_version_is_served)
{
	assert_works(descriptor_of(FIRST_PLUGIN, _i));
#if TGTKIT_ABI_MINOR > 1
	/* What it does not know is not there. */
	ck_assert(taken.plugin.later == NULL && taken.plugin.later_still[2] == NULL);
	ck_assert(_i ? taken.async.later == NULL : taken.blocking.later == NULL);
#endif
}
END_TEST

START_TEST(a_binary_of_the_next_version_is_served)
{
	assert_works(descriptor_of(NEXT_PLUGIN, _i));
#if TGTKIT_ABI_MINOR > 1
	ck_assert_int_eq(taken.plugin.later(), 42);
	ck_assert_int_eq(_i ? taken.async.later() : taken.blocking.later(), 42);
#endif
}
END_TEST

START_TEST(versions_that_were_never_declared_are_refused)
{
	struct tgtkit_plugin plugin = *descriptor_of(HERE_PLUGIN, false);

	plugin.abi_minor = 0;
	ASSERT_REFUSED(&plugin, "1.0");
	plugin.abi_minor = TGTKIT_ABI_MINOR;
	plugin.abi_major = 2;
	ASSERT_REFUSED(&plugin, "2.");
	plugin.abi_major = 0;
	ASSERT_REFUSED(&plugin, "0.");
}
END_TEST

START_TEST(lengths_that_no_version_has_are_refused)
{
	struct tgtkit_plugin plugin = *descriptor_of(HERE_PLUGIN, false),
			     async_plugin = *descriptor_of(HERE_PLUGIN, true);
	struct tgtkit_blocking blocking = *plugin.blocking;
	struct tgtkit_async async = *async_plugin.async;
	static const int wrong[] = {-16, -8, 8, 1};

	plugin.blocking = &blocking;
	async_plugin.async = &async;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		plugin.size = sizeof(plugin) + (size_t)wrong[i];
		ASSERT_REFUSED(&plugin, "descriptor");
		plugin.size = sizeof(plugin);
		blocking.size = sizeof(blocking) + (size_t)wrong[i];
		ASSERT_REFUSED(&plugin, "blocking");
		blocking.size = sizeof(blocking);
		async.size = sizeof(async) + (size_t)wrong[i];
		ASSERT_REFUSED(&async_plugin, "async");
		async.size = sizeof(async);
	}
	plugin.size = 8;
	ASSERT_REFUSED(&plugin, "too short");
	plugin.size = 0;
	ASSERT_REFUSED(&plugin, "too short");
}
END_TEST

START_TEST(a_newer_binary_is_no_shorter_and_ends_with_a_field)
{
	struct tgtkit_plugin plugin = *descriptor_of(HERE_PLUGIN, false);

	plugin.abi_minor = TGTKIT_ABI_MINOR + 5;
	ck_assert_msg(take(&plugin) == 0, "%s", error);
	plugin.size = sizeof(plugin) - 8;
	ASSERT_REFUSED(&plugin, "descriptor");
	plugin.size = sizeof(plugin) + 3;
	ASSERT_REFUSED(&plugin, "descriptor");
}
END_TEST

static Suite *abi_suite(void)
{
	Suite *suite = suite_create("abi");
	TCase *tests = tcase_create("versions");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_binary_of_the_first_version_is_served, 0, 2);
	tcase_add_loop_test(tests, a_binary_of_the_next_version_is_served, 0, 2);
	tcase_add_test(tests, versions_that_were_never_declared_are_refused);
	tcase_add_test(tests, lengths_that_no_version_has_are_refused);
	tcase_add_test(tests, a_newer_binary_is_no_shorter_and_ends_with_a_field);
	suite_add_tcase(suite, tests);
	return suite;
}

const unit_suite_function unit_suites[] = {abi_suite, NULL};
