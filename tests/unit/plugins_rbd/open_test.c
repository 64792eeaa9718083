/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening: what is refused says what of the cluster and why; what is declared is what the image has.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rbd_test.h"

static struct fh_unit *unit;

static const struct {
	const char *path, *says;
	struct fh_option options[2];
	int status; /* 0: any error */
} absent[] = {
    {"nopool/image", "has no pool 'nopool'", {{NULL, NULL}}, -ENOENT},
    {"rbd/noimage", "pool 'rbd' has no image 'noimage'", {{NULL, NULL}}, -ENOENT},
    {"rbd/nospace/image", "pool 'rbd' has no namespace 'nospace'", {{NULL, NULL}}, -ENOENT},
    {"rbd/noimage@then", "no image 'noimage' with a snapshot 'then'", {{NULL, NULL}}, -ENOENT},
    {"image",
     "no monitor (127.0.0.1:1) has answered within 1 s",
     {{"ceph_mon_host", "127.0.0.1:1"}, {"connect_timeout_s", "1"}},
     -ETIMEDOUT},
    {"image", "client.nobody", {{"id", "nobody"}}, 0},
    {"image", "/nonexistent/keyring", {{"keyring", "/nonexistent/keyring"}}, 0},
    {"image", "'/nonexistent/conf' cannot be read", {{"conf", "/nonexistent/conf"}}, -ENOENT},
    {"image", "ceph_nosuch: Ceph has no such setting", {{"ceph_nosuch", "1"}}, -EINVAL},
    {"image", "ceph_rbd_cache: this setting is the plugin's", {{"ceph_rbd_cache", "true"}}, -EINVAL},
};

START_TEST(what_is_not_there_is_named)
{
	const struct fh_option options[] = {absent[_i].options[0], absent[_i].options[1], {NULL, NULL}};
	int status = try_open(&unit, absent[_i].path, options, 0, 0);

	ck_assert_int_lt(status, 0);
	if (absent[_i].status != 0)
		ck_assert_int_eq(status, absent[_i].status);
	assert_error_says(absent[_i].says);
}
END_TEST

START_TEST(a_wrong_key_is_refused_by_the_cluster)
{
	cluster_shell("ceph-authtool -C keyring --gen-key -n client.admin");
	ck_assert_int_lt(try_open(&unit, "image", OPTIONS({"keyring", in_scratch("keyring")}), 0, 0), 0);
	assert_error_says("refuses client.admin");
	assert_error_says(in_scratch("keyring"));
}
END_TEST

START_TEST(an_image_is_made_as_the_options_say)
{
	const struct tgtkit_capabilities *seen;

	unit = create(8 * MIB, OPTIONS({"object_size", "1M"}, {"features", "layering,exclusive-lock"}));
	seen = fh_capabilities(unit);
	ck_assert_uint_eq(seen->size_bytes, 8 * MIB);
	ck_assert_uint_eq(seen->optimal_transfer_bytes, MIB);
	ck_assert_uint_eq(seen->max_queues, 1);
	cluster_shell("$RBD info $IMAGE | tee info && grep -q 'order 20' info && "
		      "grep -q 'features: layering, exclusive-lock$' info");
	fh_close(unit);
	/* It is there: opened as it is. */
	ck_status(try_open(&unit, NULL, NULL, TGTKIT_OPEN_CREATE, 4 * MIB), 0);
	ck_assert_uint_eq(fh_capabilities(unit)->size_bytes, 8 * MIB);
	fh_close(unit);
}
END_TEST

START_TEST(an_image_without_a_lock_is_only_read)
{
	new_image_name();
	cluster_shell("$RBD create --size 4M --image-feature layering $IMAGE");
	ck_status(try_open(&unit, NULL, NULL, 0, 0), -EINVAL);
	assert_error_says("has no exclusive-lock");
	ck_status(try_open(&unit, NULL, NULL, TGTKIT_OPEN_READ_ONLY, 0), 0);
	ck_assert(fh_capabilities(unit)->flags & TGTKIT_READ_ONLY);
	fh_close(unit);
}
END_TEST

static void identity_of(const char *path, uint32_t flags, char identity[static 64])
{
	ck_status(try_open(&unit, path, NULL, flags, 0), 0);
	memcpy(identity, fh_capabilities(unit)->identity, 64);
	fh_close(unit);
}

START_TEST(the_identity_is_that_of_what_is_stored)
{
	char first[64], other[64], path[160];

	fh_close(create(4 * MIB, NULL));
	identity_of(NULL, 0, first);
	ck_assert_uint_eq(strlen(first), 36);
	cluster_shell(
	    "$RBD mv $IMAGE $IMAGE-moved && $RBD snap create $IMAGE-moved@s && $RBD create --size 4M $IMAGE && "
	    "($RBD namespace ls | grep -qw space || $RBD namespace create rbd/space) && "
	    "$RBD create --size 4M rbd/space/$IMAGE");
	snprintf(path, sizeof(path), "rbd/%s-moved", image_name);
	identity_of(path, 0, other);
	ck_assert_str_eq(other, first);
	identity_of(NULL, 0, other);
	ck_assert_str_ne(other, first);
	snprintf(path, sizeof(path), "%s-moved@s", image_name);
	identity_of(path, 0, other);
	ck_assert_str_ne(other, first);
	snprintf(path, sizeof(path), "rbd/space/%s", image_name);
	identity_of(path, 0, other);
	ck_assert_str_ne(other, first);
}
END_TEST

START_TEST(opening_and_closing_leaves_nothing_behind)
{
	unsigned before;

	fh_close(create(4 * MIB, NULL));
	ck_status(try_open(&unit, NULL, NULL, 0, 0), 0);
	fh_close(unit);
	before = open_descriptors();
	for (unsigned i = 0; i < 10; i++) {
		ck_status(try_open(&unit, NULL, NULL, 0, 0), 0);
		fh_close(unit);
	}
	ck_assert_uint_le(open_descriptors(), before);
}
END_TEST

/* What the client goes by, as its admin socket tells. */
static void assert_set(const char *key, const char *value)
{
	char command[256];

	snprintf(command, sizeof(command), "$CEPH --admin-daemon asok config get %s | tee said && grep -q '\"%s\"' said", key,
		 value);
	cluster_shell(command);
}

START_TEST(what_nobody_has_set_is_set_for_speed)
{
	fh_close(create(4 * MIB, NULL));
	ck_status(try_open(&unit, NULL, OPTIONS({"ceph_admin_socket", in_scratch("asok")}, {"ceph_debug_rados", "1/1"}),
			   0, 0),
		  0);
	assert_set("rbd_non_blocking_aio", "false");
	assert_set("rbd_io_scheduler", "none");
	assert_set("objecter_inflight_ops", "0");
	assert_set("librados_thread_count", "1");
	assert_set("debug_rbd", "0/0");
	assert_set("debug_rados", "1/1");
	fh_close(unit);
}
END_TEST

/* With a limit of librados', whoever hands a request over may have to wait. */
START_TEST(what_the_file_says_stands_and_no_worker_waits)
{
	fh_close(create(4 * MIB, NULL));
	cluster_shell("cp $CONF conf && printf '[client]\nobjecter_inflight_ops = 512\nrbd_non_blocking_aio = false\n' >>conf");
	ck_status(try_open(&unit, NULL, OPTIONS({"conf", in_scratch("conf")}, {"ceph_admin_socket", in_scratch("asok")}), 0,
			   0),
		  0);
	assert_set("objecter_inflight_ops", "512");
	assert_set("rbd_non_blocking_aio", "true");
	fh_close(unit);
}
END_TEST

TCase *open_tests(void)
{
	TCase *tests = make_case("opening");

	tcase_add_loop_test(tests, what_is_not_there_is_named, 0, sizeof(absent) / sizeof(absent[0]));
	tcase_add_test(tests, a_wrong_key_is_refused_by_the_cluster);
	tcase_add_test(tests, an_image_is_made_as_the_options_say);
	tcase_add_test(tests, an_image_without_a_lock_is_only_read);
	tcase_add_test(tests, the_identity_is_that_of_what_is_stored);
	tcase_add_test(tests, what_nobody_has_set_is_set_for_speed);
	tcase_add_test(tests, what_the_file_says_stands_and_no_worker_waits);
	tcase_add_test(tests, opening_and_closing_leaves_nothing_behind);
	return tests;
}
