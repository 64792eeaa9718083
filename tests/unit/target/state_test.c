/* SPDX-License-Identifier: Apache-2.0
 *
 * The state folder, its tables, and the ledger on top of them.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/ledger.h"
#include "unit/runner.h"
#include "unit/target/fakes.h"
#include "unit/target/folder.h"

static char error[TARGET_ERROR_BYTES];

static void setup(void)
{
	folder_make();
	fakes_init();
}

static void teardown(void)
{
	fakes_end();
	folder_remove();
}

START_TEST(a_second_daemon_is_kept_out_and_told_of_the_first)
{
	struct target_state_folder first, second;
	char process[32];

	ck_assert_int_eq(target_state_folder_open(folder, &first, error), 0);
	ck_assert_int_eq(target_state_folder_open(folder, &second, error), -EBUSY);
	snprintf(process, sizeof(process), "(process %d)", (int)getpid());
	ck_assert_ptr_nonnull(strstr(error, process));
	ck_assert_ptr_nonnull(strstr(error, folder));
	target_state_folder_close(&first);
	ck_assert_int_eq(target_state_folder_open(folder, &second, error), 0);
	target_state_folder_close(&second);
}
END_TEST

START_TEST(the_folder_is_made_but_not_its_parents)
{
	struct target_state_folder state;
	struct stat status;

	ck_assert_int_eq(target_state_folder_open(folder_path("new"), &state, error), 0);
	target_state_folder_close(&state);
	ck_assert_int_eq(stat(folder_path("new"), &status), 0);
	ck_assert_uint_eq(status.st_mode & 07, 0);
	ck_assert_int_eq(target_state_folder_open(folder_path("no/where"), &state, error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, "/no/where: cannot make it: No such file or directory"));
}
END_TEST

START_TEST(a_file_is_replaced_as_a_whole)
{
	struct target_state_folder state;
	size_t length;
	char *text;

	ck_assert_int_eq(target_state_folder_open(folder, &state, error), 0);
	ck_assert_int_eq(target_state_read(&state, "f", &text, &length, error), 0);
	ck_assert_ptr_null(text);
	ck_assert_int_eq(target_state_write(&state, "f", "long text", 9, error), 0);
	ck_assert_int_eq(target_state_write(&state, "f", "new", 3, error), 0);
	ck_assert_int_eq(target_state_read(&state, "f", &text, &length, error), 0);
	ck_assert_uint_eq(length, 3);
	ck_assert_str_eq(text, "new");
	free(text);
	ck_assert_int_ne(access(folder_path("f.new"), F_OK), 0);
	target_state_folder_close(&state);
}
END_TEST

START_TEST(a_failed_write_leaves_the_old_file)
{
	struct target_state_folder state;

	ck_assert_int_eq(target_state_folder_open(folder, &state, error), 0);
	ck_assert_int_eq(target_state_write(&state, "f", "old", 3, error), 0);
	/* A folder in the place of the temporary file. */
	ck_assert_int_eq(mkdir(folder_path("f.new"), 0700), 0);
	ck_assert_int_eq(target_state_write(&state, "f", "new", 3, error), -EISDIR);
	ck_assert_ptr_nonnull(strstr(error, "/f cannot be written: "));
	ck_assert_str_eq(folder_read("f"), "old");
	target_state_folder_close(&state);
}
END_TEST

/* In place of the C library's. */
static int good_fsyncs = -1; /* before one fails; negative: none does */

int fsync(int fd)
{
	if (good_fsyncs >= 0 && good_fsyncs-- == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

/* _i: how many good ones come before the one that fails: of the file, of the folder. */
START_TEST(a_file_that_did_not_reach_the_disk_is_not_there_after_a_restart)
{
	struct target_state_folder state;

	ck_assert_int_eq(target_state_folder_open(folder, &state, error), 0);
	for (int is_second = 0; is_second < 2; is_second++) {
		good_fsyncs = _i;
		ck_assert_int_eq(target_state_write(&state, "made", "refused", 7, error), -EIO);
		ck_assert_ptr_nonnull(strstr(error, "/made cannot be written: Input/output error"));
		good_fsyncs = -1;
		ck_assert_int_eq(access(folder_path("made.new"), F_OK), -1);
		if (is_second)
			ck_assert_str_eq(folder_read("made"), "first");
		else
			ck_assert_int_eq(access(folder_path("made"), F_OK), -1);
		ck_assert_int_eq(target_state_write(&state, "made", "first", 5, error), 0);
	}
	ck_assert_int_eq(target_state_write(&state, "made", "second", 6, error), 0);
	ck_assert_str_eq(folder_read("made"), "second");
	ck_assert_int_eq(access(folder_path("made.new"), F_OK), -1);
	target_state_folder_close(&state);
}
END_TEST

START_TEST(a_table_survives_any_byte_in_its_keys)
{
	static const char key[] = "file:/srv/a b%c\n\x80\x7f\tä";
	struct target_state_folder state;
	struct target_state_table table;
	size_t length;
	char *text;

	ck_assert_int_eq(target_state_folder_open(folder, &state, error), 0);
	ck_assert_int_eq(target_state_table_read(&table, "t", &state, error), 0);
	target_state_table_add(&table, key, "value");
	target_state_table_add(&table, "k2", "v2");
	ck_assert(table.changed);
	text = target_state_table_text(&table, &length);
	ck_assert_int_eq(target_state_write(&state, "t", text, length, error), 0);
	free(text);
	target_state_table_free(&table);
	ck_assert_int_eq(target_state_table_read(&table, "t", &state, error), 0);
	ck_assert(!table.changed);
	ck_assert_str_eq(target_state_table_find(&table, key), "value");
	ck_assert_str_eq(target_state_table_find(&table, "k2"), "v2");
	ck_assert_ptr_null(target_state_table_find(&table, "k3"));
	target_state_table_free(&table);
	target_state_folder_close(&state);
}
END_TEST

static const struct {
	const char *text, *said;
} damaged[] = {
    {"", "/t:1: is no table of this version"},	     {"tgtkit t 2\n", "/t:1: is no table of this version"},
    {"tgtkit t 1", "/t:1: ends in the middle"},	     {"tgtkit t 1\nv k", "/t:2: ends in the middle"},
    {"tgtkit t 1\nv\n", "/t:2: is damaged"},	     {"tgtkit t 1\nv k\nv \n", "/t:3: is damaged"},
    {"tgtkit t 1\n k\n", "/t:2: is damaged"},	     {"tgtkit t 1\n\nv k\n", "/t:2: is damaged"},
    {"tgtkit t 1\nv k extra\n", "/t:2: is damaged"}, {"tgtkit t 1\nv k%4\n", "/t:2: is damaged"},
    {"tgtkit t 1\nv k%zz\n", "/t:2: is damaged"},    {"tgtkit t 1\nv k\nw k\n", "/t:3: is damaged"},
};

START_TEST(a_damaged_table_is_refused_with_its_line)
{
	struct target_state_folder state;
	struct target_state_table table;

	folder_write("t", damaged[_i].text);
	ck_assert_int_eq(target_state_folder_open(folder, &state, error), 0);
	ck_assert_int_eq(target_state_table_read(&table, "t", &state, error), -EINVAL);
	ck_assert_msg(strstr(error, damaged[_i].said) != NULL, "%s", error);
	target_state_folder_close(&state);
}
END_TEST

/* ---- The ledger ----------------------------------------------------------------------------------------------------
 */

static struct target_ledger_save save;
static bool is_saved;

static void saved(struct target_ledger_save *self)
{
	ck_assert_ptr_eq(self, &save);
	is_saved = true;
}

static void save_ledger(struct target_ledger *ledger)
{
	is_saved = false;
	save.done = saved;
	target_ledger_save(ledger, &save, fakes.control);
	ck_assert(!is_saved);
	fakes_settle();
	ck_assert(is_saved);
}

START_TEST(serials_and_port_ids_outlive_the_daemon)
{
	struct target_ledger ledger;
	char before[TARGET_SERIAL_BYTES], after[TARGET_SERIAL_BYTES], other[TARGET_SERIAL_BYTES];
	uint16_t id;

	ck_assert_int_eq(target_ledger_open(folder, &ledger, error), 0);
	target_ledger_serial(&ledger, "file", "/a", before);
	target_ledger_serial(&ledger, "file", "/b", other);
	ck_assert_str_ne(before, other);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.a", 1, &id), 0);
	ck_assert_uint_eq(id, 1);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.a", 2, &id), 0);
	ck_assert_uint_eq(id, 2);
	save_ledger(&ledger);
	ck_assert_int_eq(save.status, 0);
	target_ledger_close(&ledger);

	ck_assert_int_eq(target_ledger_open(folder, &ledger, error), 0);
	target_ledger_serial(&ledger, "file", "/a", after);
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.a", 2, &id), 0);
	ck_assert_uint_eq(id, 2);
	/* Never reused, although nothing asks for 1 any more. */
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.b", 1, &id), 0);
	ck_assert_uint_eq(id, 3);
	target_ledger_close(&ledger);
}
END_TEST

START_TEST(the_first_port_id_concerns_only_what_is_new)
{
	struct target_ledger ledger;
	uint16_t id;

	ck_assert_int_eq(target_ledger_open(folder, &ledger, error), 0);
	target_ledger_start_port_ids(&ledger, 500);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.a", 1, &id), 0);
	ck_assert_uint_eq(id, 500);
	target_ledger_start_port_ids(&ledger, 1);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.b", 1, &id), 0);
	ck_assert_uint_eq(id, 501);
	target_ledger_start_port_ids(&ledger, 65535);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.a", 1, &id), 0);
	ck_assert_uint_eq(id, 500);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.c", 1, &id), 0);
	ck_assert_uint_eq(id, 65535);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.d", 1, &id), -ENOSPC);
	target_ledger_close(&ledger);
}
END_TEST

START_TEST(nothing_is_written_when_nothing_is_new)
{
	struct target_ledger ledger;
	struct stat before, after;
	uint16_t id;

	ck_assert_int_eq(target_ledger_open(folder, &ledger, error), 0);
	target_ledger_port_id(&ledger, "iqn.a", 1, &id);
	save_ledger(&ledger);
	ck_assert_int_eq(stat(folder_path("ports"), &before), 0);
	ck_assert_int_ne(access(folder_path("serials"), F_OK), 0);
	target_ledger_port_id(&ledger, "iqn.a", 1, &id);
	save_ledger(&ledger);
	ck_assert_int_eq(stat(folder_path("ports"), &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	target_ledger_close(&ledger);
}
END_TEST

START_TEST(without_a_folder_serials_come_from_the_store_and_nothing_is_kept)
{
	struct target_ledger ledger;
	char serial[TARGET_SERIAL_BYTES], derived[TARGET_SERIAL_BYTES];
	uint16_t id;

	ck_assert_int_eq(target_ledger_open("", &ledger, error), 0);
	target_ledger_serial(&ledger, "file", "/a", serial);
	target_serial_of_store("file", "/a", derived);
	ck_assert_str_eq(serial, derived);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.a", 1, &id), 0);
	ck_assert_uint_eq(id, 1);
	save_ledger(&ledger);
	target_ledger_close(&ledger);
}
END_TEST

START_TEST(port_ids_end_at_65535)
{
	struct target_ledger ledger;
	uint16_t id;

	folder_write("ports", "tgtkit ports 1\n65534 iqn.old,1\n");
	ck_assert_int_eq(target_ledger_open(folder, &ledger, error), 0);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.a", 1, &id), 0);
	ck_assert_uint_eq(id, 65535);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.b", 1, &id), -ENOSPC);
	ck_assert_int_eq(target_ledger_port_id(&ledger, "iqn.old", 1, &id), 0);
	ck_assert_uint_eq(id, 65534);
	target_ledger_close(&ledger);
}
END_TEST

static const char *const bad_ids[] = {"0", "65536", "x", "-1", "1x"};

START_TEST(a_port_id_that_cannot_be_is_refused)
{
	struct target_ledger ledger;
	char text[64];

	snprintf(text, sizeof(text), "tgtkit ports 1\n%s iqn.a,1\n", bad_ids[_i]);
	folder_write("ports", text);
	ck_assert_int_eq(target_ledger_open(folder, &ledger, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "is no target port id"));
}
END_TEST

START_TEST(a_failed_save_says_so_and_can_be_repeated)
{
	struct target_ledger ledger;
	uint16_t id;

	ck_assert_int_eq(target_ledger_open(folder, &ledger, error), 0);
	target_ledger_port_id(&ledger, "iqn.a", 1, &id);
	ck_assert_int_eq(mkdir(folder_path("ports.new"), 0700), 0);
	save_ledger(&ledger);
	ck_assert_int_eq(save.status, -EISDIR);
	ck_assert_ptr_nonnull(strstr(save.error, "/ports cannot be written"));
	ck_assert_int_eq(rmdir(folder_path("ports.new")), 0);
	save_ledger(&ledger);
	ck_assert_int_eq(save.status, 0);
	ck_assert_str_eq(folder_read("ports"), "tgtkit ports 1\n1 iqn.a,1\n");
	target_ledger_close(&ledger);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

Suite *state_suite(void)
{
	Suite *suite = suite_create("state");
	TCase *tests = tcase_create("state");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_second_daemon_is_kept_out_and_told_of_the_first);
	tcase_add_test(tests, the_folder_is_made_but_not_its_parents);
	tcase_add_test(tests, a_file_is_replaced_as_a_whole);
	tcase_add_test(tests, a_failed_write_leaves_the_old_file);
	tcase_add_loop_test(tests, a_file_that_did_not_reach_the_disk_is_not_there_after_a_restart, 0, 2);
	tcase_add_test(tests, a_table_survives_any_byte_in_its_keys);
	tcase_add_loop_test(tests, a_damaged_table_is_refused_with_its_line, 0, COUNT(damaged));
	tcase_add_test(tests, serials_and_port_ids_outlive_the_daemon);
	tcase_add_test(tests, the_first_port_id_concerns_only_what_is_new);
	tcase_add_test(tests, nothing_is_written_when_nothing_is_new);
	tcase_add_test(tests, without_a_folder_serials_come_from_the_store_and_nothing_is_kept);
	tcase_add_test(tests, port_ids_end_at_65535);
	tcase_add_loop_test(tests, a_port_id_that_cannot_be_is_refused, 0, COUNT(bad_ids));
	tcase_add_test(tests, a_failed_save_says_so_and_can_be_repeated);
	suite_add_tcase(suite, tests);
	return suite;
}
