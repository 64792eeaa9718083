/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/identity.h"
#include "unit/runner.h"
#include "unit/target/folder.h"

static char canonical[TARGET_PATH_BYTES];

START_TEST(links_and_dots_lead_to_one_path)
{
	folder_write("disk", "");
	ck_assert_int_eq(symlink("disk", folder_path("link")), 0);
	target_canonical_path(folder_path("link"), canonical);
	ck_assert_str_eq(canonical, folder_path("disk"));
	target_canonical_path(folder_path("./../../tmp/./nothing-like-it/../disk"), canonical);
	ck_assert_str_ne(canonical, folder_path("disk"));
	ck_assert_int_eq(mkdir(folder_path("sub"), 0700), 0);
	target_canonical_path(folder_path("sub/../disk"), canonical);
	ck_assert_str_eq(canonical, folder_path("disk"));
}
END_TEST

START_TEST(a_file_yet_to_be_made_has_its_folders_path)
{
	ck_assert_int_eq(mkdir(folder_path("sub"), 0700), 0);
	ck_assert_int_eq(symlink("sub", folder_path("link")), 0);
	target_canonical_path(folder_path("link/new"), canonical);
	ck_assert_str_eq(canonical, folder_path("sub/new"));
}
END_TEST

START_TEST(what_is_no_file_stays_as_it_is)
{
	static const char *const paths[] = {"1T", "bucket/prefix", "nbd://host/export", "/no/such/folder/x",
					    "pool/image@snap"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		target_canonical_path(paths[i], canonical);
		ck_assert_str_eq(canonical, paths[i]);
	}
}
END_TEST

/* RFC 9562 4: 8-4-4-4-12 hexadecimal digits, version and variant in their places. */
static void check_uuid(const char *serial, char version)
{
	ck_assert_uint_eq(strlen(serial), 36);
	for (unsigned i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23)
			ck_assert_int_eq(serial[i], '-');
		else
			ck_assert_ptr_nonnull(strchr("0123456789abcdef", serial[i]));
	ck_assert_int_eq(serial[14], version);
	ck_assert_ptr_nonnull(strchr("89ab", serial[19]));
}

START_TEST(random_serials_are_uuids_and_differ)
{
	char a[TARGET_SERIAL_BYTES], b[TARGET_SERIAL_BYTES];

	target_serial_random(a);
	target_serial_random(b);
	check_uuid(a, '4');
	check_uuid(b, '4');
	ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(a_store_has_the_same_serial_each_time)
{
	char a[TARGET_SERIAL_BYTES], b[TARGET_SERIAL_BYTES];

	target_serial_of_store("file", "/srv/a", a);
	target_serial_of_store("file", "/srv/a", b);
	check_uuid(a, '8');
	ck_assert_str_eq(a, b);
	target_serial_of_store("file", "/srv/b", b);
	ck_assert_str_ne(a, b);
	target_serial_of_store("other", "/srv/a", b);
	ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(a_text_has_the_uuid_of_its_sha_256)
{
	char serial[TARGET_SERIAL_BYTES];

	/* SHA-256 of "abc" is ba7816bf 8f01cfea 414140de 5dae2223 ... (FIPS 180-2, B.1). */
	target_serial_from_text("abc", serial);
	ck_assert_str_eq(serial, "ba7816bf-8f01-8fea-8141-40de5dae2223");
}
END_TEST

START_TEST(an_identity_is_the_serial_if_it_can_be)
{
	char serial[TARGET_SERIAL_BYTES];

	target_serial_from_identity("6f1c2f5e-0000-4000-8000-000000000001", serial);
	ck_assert_str_eq(serial, "6f1c2f5e-0000-4000-8000-000000000001");
	target_serial_from_identity("a-name-that-is-longer-than-36-characters", serial);
	check_uuid(serial, '8');
	target_serial_from_identity("with space", serial);
	check_uuid(serial, '8');
	target_serial_from_identity("with\ttab", serial);
	check_uuid(serial, '8');
}
END_TEST

Suite *identity_suite(void)
{
	Suite *suite = suite_create("identity");
	TCase *tests = tcase_create("identity");

	tcase_add_checked_fixture(tests, folder_make, folder_remove);
	tcase_add_test(tests, links_and_dots_lead_to_one_path);
	tcase_add_test(tests, a_file_yet_to_be_made_has_its_folders_path);
	tcase_add_test(tests, what_is_no_file_stays_as_it_is);
	tcase_add_test(tests, random_serials_are_uuids_and_differ);
	tcase_add_test(tests, a_store_has_the_same_serial_each_time);
	tcase_add_test(tests, a_text_has_the_uuid_of_its_sha_256);
	tcase_add_test(tests, an_identity_is_the_serial_if_it_can_be);
	suite_add_tcase(suite, tests);
	return suite;
}
