/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "store/plugins.h"
#include "unit/runner.h"
#include "unit/store/folder.h"

static struct folder folder;
static char error[STORE_ERROR_BYTES];

static void setup(void)
{
	const char *folders[] = {folder.path};

	folder_create(&folder);
	folder_add_specimen(&folder, "file.so");
	folder_add_specimen(&folder, "rbd.so");
	folder_add_specimen(&folder, "s3.so");
	ck_assert_uint_eq(store_plugins_scan(folders, 1), 0);
}

static void teardown(void)
{
	folder_remove(&folder);
}

static void assert_resolves(const char *path, const char *backend, const char *name, const char *rest)
{
	const struct store_plugin *plugin = NULL;
	const char *plugin_path = NULL;
	int status = store_plugins_resolve(path, backend, &plugin, &plugin_path, error);

	ck_assert_msg(status == 0, "%s: %s", path, error);
	ck_assert_str_eq(plugin->descriptor->name, name);
	ck_assert_str_eq(plugin_path, rest);
}

static int refusal(const char *path, const char *backend)
{
	const struct store_plugin *plugin;
	const char *plugin_path;

	error[0] = '\0';
	return store_plugins_resolve(path, backend, &plugin, &plugin_path, error);
}

START_TEST(the_prefix_selects_the_plugin)
{
	assert_resolves("file:/srv/a.img", NULL, "file", "/srv/a.img");
	assert_resolves("s3:bucket/x:y", NULL, "s3", "bucket/x:y");
	assert_resolves("rbd:pool/image@snap", NULL, "rbd", "pool/image@snap");
}
END_TEST

START_TEST(a_plugin_may_have_several_prefixes)
{
	assert_resolves("ceph:pool/image", NULL, "rbd", "pool/image");
	assert_resolves("ceph-rbd:image", NULL, "rbd", "image");
}
END_TEST

START_TEST(no_colon_or_a_slash_before_it_means_a_file)
{
	assert_resolves("/srv/a.img", NULL, "file", "/srv/a.img");
	assert_resolves("a.img", NULL, "file", "a.img");
	assert_resolves("./s3:x", NULL, "file", "./s3:x");
	assert_resolves("/srv/s3:x", NULL, "file", "/srv/s3:x");
	assert_resolves(":odd", NULL, "file", ":odd");
}
END_TEST

START_TEST(a_backend_overrides_the_prefix)
{
	assert_resolves("/bucket/x", "s3", "s3", "/bucket/x");
	assert_resolves("s3:bucket/x", "s3", "s3", "bucket/x");
	/* Another plugin's prefix is no prefix here. */
	assert_resolves("file:bucket", "s3", "s3", "file:bucket");
	assert_resolves("ceph:image", "rbd", "rbd", "image");
	assert_resolves("image", "ceph", "rbd", "image");
}
END_TEST

START_TEST(an_unknown_prefix_lists_plugins_and_folders)
{
	ck_assert_int_eq(refusal("iscsi:x", NULL), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, "'iscsi'"));
	ck_assert_ptr_nonnull(strstr(error, "file"));
	ck_assert_ptr_nonnull(strstr(error, "rbd"));
	ck_assert_ptr_nonnull(strstr(error, folder.path));
	ck_assert_ptr_nonnull(strstr(error, TGTKIT_PLUGINSDIR));
	ck_assert_int_eq(refusal("/x", "floppy"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, "'floppy'"));
	/* A prefix is a whole word. */
	ck_assert_int_eq(refusal("fil:x", NULL), -ENOENT);
	ck_assert_int_eq(refusal("File:x", NULL), -ENOENT);
}
END_TEST

START_TEST(the_prefix_of_the_program_before_is_refused_with_a_pointer)
{
	ck_assert_int_eq(refusal("RemBs:host:1", NULL), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "remote:"));
}
END_TEST

START_TEST(an_empty_path_is_refused)
{
	ck_assert_int_eq(refusal("", NULL), -EINVAL);
	ck_assert_int_eq(refusal("s3:", NULL), -EINVAL);
	ck_assert_int_eq(refusal("s3:", "s3"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "empty"));
}
END_TEST

Suite *resolve_suite(void)
{
	Suite *suite = suite_create("resolve");
	TCase *tests = tcase_create("resolve");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_prefix_selects_the_plugin);
	tcase_add_test(tests, a_plugin_may_have_several_prefixes);
	tcase_add_test(tests, no_colon_or_a_slash_before_it_means_a_file);
	tcase_add_test(tests, a_backend_overrides_the_prefix);
	tcase_add_test(tests, an_unknown_prefix_lists_plugins_and_folders);
	tcase_add_test(tests, the_prefix_of_the_program_before_is_refused_with_a_pointer);
	tcase_add_test(tests, an_empty_path_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
