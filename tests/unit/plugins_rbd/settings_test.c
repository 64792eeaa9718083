/* SPDX-License-Identifier: Apache-2.0
 *
 * What is refused before anybody is asked.
 */
#include <errno.h>

#include "rbd_test.h"

static const struct {
	const char *path, *says;
	struct fh_option option;
	uint32_t flags;
} refused[] = {
    {"a/b/c/d", "write [POOL/[NAMESPACE/]]IMAGE[@SNAPSHOT]", {NULL, NULL}, 0},
    {"/image", "write [POOL/", {NULL, NULL}, 0},
    {"pool/", "write [POOL/", {NULL, NULL}, 0},
    {"pool//image", "write [POOL/", {NULL, NULL}, 0},
    {"image@", "write [POOL/", {NULL, NULL}, 0},
    {"@snapshot", "write [POOL/", {NULL, NULL}, 0},
    {"a@b@c", "write [POOL/", {NULL, NULL}, 0},
    {"image@a/b", "write [POOL/", {NULL, NULL}, 0},
    {"image", "object_size: 5000 is no power of two", {"object_size", "5000"}, 0},
    {"image", "'object_size'", {"object_size", "64M"}, 0},
    {"image", "features: 'speed' is not one of", {"features", "layering,speed"}, 0},
    {"image", "without exclusive-lock", {"features", "layering"}, 0},
    {"image", "cache: 'fast' is not one of", {"cache", "fast"}, 0},
    {"image", "a key does not belong among the options", {"ceph_key", "secret"}, 0},
    {"image", "id is empty", {"id", ""}, 0},
    {"image@snapshot", "needs not be taken", {"take_over", "true"}, 0},
    {"image", "needs not be taken", {"take_over", "true"}, TGTKIT_OPEN_READ_ONLY},
    {"image@snapshot", "cannot be created here", {NULL, NULL}, TGTKIT_OPEN_CREATE},
};

START_TEST(settings_that_cannot_be_are_refused)
{
	const struct fh_option options[] = {refused[_i].option, {NULL, NULL}};
	const struct fh_spec spec = {.plugin = fh_load(RBD_PLUGIN),
				     .path = refused[_i].path,
				     .options = options,
				     .flags = refused[_i].flags,
				     .size_bytes = MIB};

	ck_assert_int_lt(fh_check(&spec), 0);
	assert_error_says(refused[_i].says);
}
END_TEST

TCase *settings_tests(void)
{
	TCase *tests = make_case("settings");

	tcase_add_loop_test(tests, settings_that_cannot_be_are_refused, 0, sizeof(refused) / sizeof(refused[0]));
	return tests;
}
