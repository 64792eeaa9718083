/* SPDX-License-Identifier: Apache-2.0
 *
 * Secret files, and what the check makes of users and rules.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "target/check.h"
#include "target/secret.h"
#include "unit/runner.h"
#include "unit/target/fakes.h"
#include "unit/target/folder.h"
#include "unit/target/sample.h"

static struct target_configuration configuration;
static struct target_spec *target;
static struct user_spec users[2];
static uint8_t secret[ISCSI_CHAP_LARGEST_SECRET_BYTES];
static char error[TARGET_SECRET_ERROR_BYTES];

static void setup(void)
{
	const struct spec_origin origin = {.file = "f", .line = 7, .name = "users"};

	fakes_init();
	folder_make();
	sample_init(&configuration);
	target = sample_add_target(&configuration, "a");
	sample_add_lun(&configuration, target, 4, "mem:x");
	for (unsigned i = 0; i < 2; i++)
		users[i] = (struct user_spec){.origin = origin, .initiator = "*"};
	users[0].user = "alice";
	users[1].user = "bob";
}

static void teardown(void)
{
	target_configuration_free(&configuration);
	folder_remove();
	fakes_end();
}

static const char *make(const char *name, const char *text, mode_t mode)
{
	folder_write(name, text);
	ck_assert_int_eq(chmod(folder_path(name), mode), 0);
	return target_arena_strdup(&configuration.arena, folder_path(name));
}

static int read_text(const char *text)
{
	return target_secret_read(make("s", text, 0600), secret, error);
}

START_TEST(one_final_newline_is_dropped)
{
	ck_assert_int_eq(read_text("twelve bytes\n"), 12);
	ck_assert_mem_eq(secret, "twelve bytes", 12);
	ck_assert_int_eq(read_text("twelve bytes\n\n"), 13);
	ck_assert_int_eq(read_text(" twelve byte"), 12);
	ck_assert_int_eq(secret[0], ' ');
}
END_TEST

START_TEST(hexadecimal_and_base64_spell_any_bytes)
{
	ck_assert_int_eq(read_text("0x000102030405060708090a0b\n"), 12);
	ck_assert_int_eq(secret[0], 0);
	ck_assert_int_eq(secret[11], 11);
	ck_assert_int_eq(read_text("base64:AAECAwQFBgcICQoL"), 12);
	ck_assert_int_eq(secret[11], 11);
}
END_TEST

static const struct {
	const char *text, *said;
} bad_secrets[] = {
    {"eleven byte", "less than 12"},
    {"", "less than 12"},
    {"0x00", "less than 12"},
    {"0xyz", "0x or base64:"},
    {"base64:AAECAwQFBgcICQo", "0x or base64:"},
    {"base64:", "0x or base64:"},
};

START_TEST(what_is_no_secret_is_refused)
{
	ck_assert_int_lt(read_text(bad_secrets[_i].text), 0);
	ck_assert_msg(strstr(error, bad_secrets[_i].said) != NULL, "%s", error);
}
END_TEST

START_TEST(a_secret_has_255_bytes_at_most)
{
	char text[3000];

	memset(text, 'x', sizeof(text));
	text[255] = '\0';
	ck_assert_int_eq(read_text(text), 255);
	text[255] = 'x';
	text[256] = '\0';
	ck_assert_int_lt(read_text(text), 0);
	text[256] = 'x';
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_lt(read_text(text), 0);
	ck_assert_ptr_nonnull(strstr(error, "more than 255"));
}
END_TEST

START_TEST(a_file_that_others_may_open_is_refused)
{
	static const mode_t bad[] = {0604, 0602, 0601, 0620, 0666};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_lt(target_secret_read(make("s", "twelve bytes", bad[i]), secret, error), 0);
		ck_assert_ptr_nonnull(strstr(error, "chmod 600"));
	}
	ck_assert_int_eq(target_secret_read(make("s", "twelve bytes", 0400), secret, error), 12);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	ck_assert_int_lt(target_secret_read(folder, secret, error), 0);
	ck_assert_ptr_nonnull(strstr(error, "regular file"));
	ck_assert_int_lt(target_secret_read(folder_path("absent"), secret, error), 0);
	ck_assert_ptr_nonnull(strstr(error, "No such file"));
}
END_TEST

static const char *check(void)
{
	target->authentication.users = users;
	target->authentication.user_count = users[1].secret_file ? 2 : 1;
	target_check(&configuration, &sample_problem_sink);
	return sample_problems;
}

START_TEST(the_check_reads_the_secrets)
{
	users[0].secret_file = make("a", "a secret of a", 0600);
	users[1].secret_file = make("b", "secret of bob", 0600);
	ck_assert_str_eq(check(), "");
	ck_assert_uint_eq(users[1].secret_bytes, 13);
	ck_assert_mem_eq(users[1].secret, "secret of bob", 13);
}
END_TEST

START_TEST(a_secret_that_cannot_be_read_names_the_key)
{
	users[0].secret_file = "/nonexistent/secret";
	ck_assert_str_eq(check(), "f:7: users.secret_file: /nonexistent/secret: cannot be opened: No such file or "
				  "directory\n");
}
END_TEST

START_TEST(a_user_twice_is_refused_unless_for_other_initiators)
{
	users[0].secret_file = users[1].secret_file = make("a", "a secret of a", 0600);
	users[1].user = "alice";
	ck_assert_ptr_nonnull(strstr(check(), "f:7: users.user: user alice is given twice"));
	sample_problems[0] = '\0';
	users[1].initiator = "iqn.*";
	ck_assert_str_eq(check(), "");
}
END_TEST

START_TEST(each_direction_needs_a_secret_of_its_own)
{
	users[0].secret_file = make("a", "the same secret", 0600);
	target->authentication.mutual = users[1];
	target->authentication.mutual.secret_file = make("b", "the same secret\n", 0600);
	ck_assert_ptr_nonnull(strstr(check(), "users.secret_file: has the secret of user alice"));
}
END_TEST

START_TEST(a_rule_shows_luns_that_are_there)
{
	static const uint16_t luns[] = {4, 5};
	struct initiator_spec rule = {.origin = {.file = "f", .line = 9, .name = "initiators[0]"},
				      .luns = luns,
				      .lun_count = 2,
				      .only_luns = true};

	users[0].secret_file = make("a", "a secret of a", 0600);
	target->initiators = &rule;
	target->initiator_count = 1;
	ck_assert_str_eq(check(), "f:9: initiators[0].luns: target iqn.2026-11.org.example:a has no LUN 5\n");
}
END_TEST

Suite *secret_suite(void);
Suite *secret_suite(void)
{
	Suite *suite = suite_create("secrets, users and rules");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, one_final_newline_is_dropped);
	tcase_add_test(tests, hexadecimal_and_base64_spell_any_bytes);
	tcase_add_loop_test(tests, what_is_no_secret_is_refused, 0, sizeof(bad_secrets) / sizeof(bad_secrets[0]));
	tcase_add_test(tests, a_secret_has_255_bytes_at_most);
	tcase_add_test(tests, a_file_that_others_may_open_is_refused);
	tcase_add_test(tests, what_is_no_file_is_refused);
	tcase_add_test(tests, the_check_reads_the_secrets);
	tcase_add_test(tests, a_secret_that_cannot_be_read_names_the_key);
	tcase_add_test(tests, a_user_twice_is_refused_unless_for_other_initiators);
	tcase_add_test(tests, each_direction_needs_a_secret_of_its_own);
	tcase_add_test(tests, a_rule_shows_luns_that_are_there);
	suite_add_tcase(suite, tests);
	return suite;
}
