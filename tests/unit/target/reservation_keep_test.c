/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/reservation_keep.h"
#include "unit/runner.h"
#include "unit/target/fakes.h"
#include "unit/target/folder.h"

static char error[TARGET_ERROR_BYTES];
static struct target_state_folder state;
static bool is_done;

static void setup(void)
{
	folder_make();
	fakes_init();
	ck_assert_int_eq(target_state_folder_open(folder, &state, error), 0);
}

static void teardown(void)
{
	target_state_folder_close(&state);
	fakes_end();
	folder_remove();
}

static void done(struct rt_post *post)
{
	(void)post;
	is_done = true;
}

/* The status that the unit is told, after the job has run. */
static int save(struct target_reservation_keep *keep, const char *text)
{
	struct scsi_reservation_save request = {
	    .text = text ? strdup(text) : NULL, .status = 1, .done.run = done, .reply_to = fakes.control};

	is_done = false;
	target_reservation_keep_save(keep, &request);
	ck_assert(!is_done);
	fakes_settle();
	ck_assert(is_done);
	free(request.text);
	return request.status;
}

START_TEST(what_was_saved_last_is_read_and_nothing_after_its_end)
{
	struct target_reservation_keep keep;
	char *text;

	target_reservation_keep_init(&keep, &state, "S-1");
	ck_assert_int_eq(target_reservation_keep_read(&keep, &text, error), 0);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(save(&keep, "first, and longer"), 0);
	ck_assert_int_eq(save(&keep, "second"), 0);
	ck_assert_int_eq(target_reservation_keep_read(&keep, &text, error), 0);
	ck_assert_str_eq(text, "second");
	free(text);
	ck_assert_int_eq(save(&keep, NULL), 0);
	ck_assert_int_eq(access(folder_path("reservations.S-1"), F_OK), -1);
	ck_assert_int_eq(save(&keep, NULL), 0);
}
END_TEST

START_TEST(every_serial_has_a_file_of_its_own_in_the_folder)
{
	struct target_reservation_keep first, second;
	char *text;

	target_reservation_keep_init(&first, &state, "../a b.c");
	target_reservation_keep_init(&second, &state, "../a b_c");
	ck_assert_str_eq(first.name, "reservations.%2e%2e%2fa%20b%2ec");
	ck_assert_int_eq(save(&first, "one"), 0);
	ck_assert_int_eq(save(&second, "two"), 0);
	ck_assert_int_eq(target_reservation_keep_read(&first, &text, error), 0);
	ck_assert_str_eq(text, "one");
	free(text);
}
END_TEST

START_TEST(a_failed_save_is_told)
{
	struct target_reservation_keep keep;

	target_reservation_keep_init(&keep, &state, "S");
	ck_assert_int_eq(mkdir(folder_path("reservations.S.new"), 0700), 0);
	ck_assert_int_eq(save(&keep, "text"), -EISDIR);
	ck_assert_int_eq(rmdir(folder_path("reservations.S.new")), 0);
	ck_assert_int_eq(mkdir(folder_path("reservations.S"), 0700), 0);
	ck_assert_int_lt(save(&keep, NULL), 0);
	ck_assert_int_eq(rmdir(folder_path("reservations.S")), 0);
}
END_TEST

START_TEST(without_a_folder_nothing_is_read)
{
	struct target_reservation_keep keep;
	char *text;

	target_reservation_keep_init(&keep, NULL, "S");
	ck_assert_int_eq(target_reservation_keep_read(&keep, &text, error), 0);
	ck_assert_ptr_null(text);
}
END_TEST

Suite *reservation_keep_suite(void);
Suite *reservation_keep_suite(void)
{
	Suite *suite = suite_create("reservation_keep");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, what_was_saved_last_is_read_and_nothing_after_its_end);
	tcase_add_test(tests, every_serial_has_a_file_of_its_own_in_the_folder);
	tcase_add_test(tests, a_failed_save_is_told);
	tcase_add_test(tests, without_a_folder_nothing_is_read);
	suite_add_tcase(suite, tests);
	return suite;
}
