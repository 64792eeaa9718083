/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt/log.h"

/* stderr is a pipe of packets, so that one read yields what one write wrote. */
static int saved_stderr, reader;

static void setup(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
	unsetenv("JOURNAL_STREAM");
	rt_log_set_level(RT_LOG_INFO);
}

static void teardown(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reader);
	unsetenv("JOURNAL_STREAM");
	rt_log_set_level(RT_LOG_INFO);
}

/* The next line without its end; "" if there is none. */
static const char *next_line(void)
{
	static char line[8192];
	ssize_t length = read(reader, line, sizeof(line) - 1);

	if (length <= 0)
		return "";
	ck_assert_int_eq(line[length - 1], '\n');
	line[length - 1] = '\0';
	ck_assert_ptr_null(strchr(line, '\n'));
	return line;
}

static const char *next_message(void)
{
	const char *line = next_line(), *message = strstr(line, "Z ");

	return message == NULL ? line : message + 2;
}

START_TEST(a_line_carries_time_level_and_message)
{
	unsigned year, month, day, hour, minute, second, millisecond;
	const char *line;
	int end = 0;

	rt_log(RT_LOG_WARNING, "lun %d: %s", 3, "gone");
	line = next_line();
	ck_assert_int_eq(sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &year, &month, &day, &hour, &minute, &second,
				&millisecond, &end),
			 7);
	ck_assert_uint_ge(year, 2024);
	ck_assert_str_eq(line + end, "warning: lun 3: gone");
}
END_TEST

START_TEST(levels_have_names)
{
	enum rt_log_level level;

	ck_assert_int_eq(rt_log_level_parse("error", &level), 0);
	ck_assert_int_eq(level, RT_LOG_ERROR);
	ck_assert_int_eq(rt_log_level_parse("debug", &level), 0);
	ck_assert_int_eq(level, RT_LOG_DEBUG);
	ck_assert_int_eq(rt_log_level_parse("Debug", &level), -EINVAL);
	ck_assert_int_eq(rt_log_level_parse("", &level), -EINVAL);
}
END_TEST

START_TEST(lines_below_the_level_are_left_out)
{
	rt_log(RT_LOG_DEBUG, "hidden");
	ck_assert_str_eq(next_line(), "");
	rt_log_set_level(RT_LOG_DEBUG);
	ck_assert(rt_log_enabled(RT_LOG_DEBUG));
	rt_log(RT_LOG_DEBUG, "shown");
	ck_assert_str_eq(next_message(), "debug: shown");
	rt_log_set_level(RT_LOG_ERROR);
	ck_assert(!rt_log_enabled(RT_LOG_WARNING));
	rt_log(RT_LOG_WARNING, "hidden");
	ck_assert_str_eq(next_line(), "");
}
END_TEST

static void name_journal(unsigned inode_offset)
{
	char value[64];
	struct stat status;

	fstat(STDERR_FILENO, &status);
	snprintf(value, sizeof(value), "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino + inode_offset);
	setenv("JOURNAL_STREAM", value, 1);
	rt_log_set_level(RT_LOG_DEBUG);
}

START_TEST(the_journal_gets_its_own_prefix)
{
	name_journal(0);
	rt_log(RT_LOG_ERROR, "a");
	ck_assert_str_eq(next_line(), "<3>a");
	rt_log(RT_LOG_WARNING, "b");
	ck_assert_str_eq(next_line(), "<4>b");
	rt_log(RT_LOG_INFO, "c");
	ck_assert_str_eq(next_line(), "<6>c");
	rt_log(RT_LOG_DEBUG, "d");
	ck_assert_str_eq(next_line(), "<7>d");
}
END_TEST

START_TEST(a_redirected_stderr_is_not_the_journal)
{
	name_journal(1);
	rt_log(RT_LOG_ERROR, "a");
	ck_assert_str_eq(next_message(), "error: a");
}
END_TEST

START_TEST(control_bytes_cannot_forge_a_line)
{
	rt_log(RT_LOG_INFO, "name %s", "a\nb\033[2J\x7f\xc3\xa4~ ");
	ck_assert_str_eq(next_message(), "info: name a\\x0ab\\x1b[2J\\x7f\\xc3\\xa4~ ");
}
END_TEST

START_TEST(a_long_message_is_cut_and_says_so)
{
	char message[3000];
	const char *line;

	memset(message, 'x', sizeof(message));
	message[sizeof(message) - 1] = '\0';
	rt_log(RT_LOG_INFO, "%s", message);
	line = next_message();
	ck_assert_uint_gt(strlen(line), 900);
	ck_assert_uint_lt(strlen(line), 1100);
	ck_assert_str_eq(line + strlen(line) - 4, "x...");
	ck_assert_str_eq(next_line(), "");
}
END_TEST

/* The longest line that there can be; a packet holds 4096 bytes, so count bytes here and not writes. */
START_TEST(a_long_message_of_control_bytes_fits)
{
	char message[3000], got[8192];
	ssize_t total = 0, length;

	memset(message, 1, sizeof(message));
	message[sizeof(message) - 1] = '\0';
	rt_log(RT_LOG_INFO, "%s", message);
	while ((length = read(reader, got + total, sizeof(got) - (size_t)total)) > 0)
		total += length;
	ck_assert_int_gt(total, 4000);
	ck_assert_mem_eq(got + total - 8, "\\x01...\n", 8);
}
END_TEST

START_TEST(errno_is_usable_and_kept)
{
	errno = ENOSPC;
	rt_log(RT_LOG_INFO, "%m");
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_str_eq(next_message(), "info: No space left on device");
}
END_TEST

START_TEST(a_burst_is_limited_and_the_rest_is_counted)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(2);

	limit.window_start_ns = limit.in_window = limit.left_out = 0;
	for (unsigned i = 0; i < 10; i++)
		rt_log_limited(&limit, RT_LOG_INFO, "line %u", i);
	ck_assert_str_eq(next_message(), "info: line 0");
	ck_assert_str_eq(next_message(), "info: line 1");
	ck_assert_str_eq(next_line(), "");
	/* As if the second had passed. */
	limit.window_start_ns = 0;
	rt_log_limited(&limit, RT_LOG_DEBUG, "hidden");
	rt_log_limited(&limit, RT_LOG_INFO, "again");
	ck_assert_str_eq(next_message(), "info: again (8 more like this left out)");
	rt_log_limited(&limit, RT_LOG_INFO, "and again");
	ck_assert_str_eq(next_message(), "info: and again");
}
END_TEST

Suite *log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("log");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_line_carries_time_level_and_message);
	tcase_add_test(tests, levels_have_names);
	tcase_add_test(tests, lines_below_the_level_are_left_out);
	tcase_add_test(tests, the_journal_gets_its_own_prefix);
	tcase_add_test(tests, a_redirected_stderr_is_not_the_journal);
	tcase_add_test(tests, control_bytes_cannot_forge_a_line);
	tcase_add_test(tests, a_long_message_is_cut_and_says_so);
	tcase_add_test(tests, a_long_message_of_control_bytes_fits);
	tcase_add_test(tests, errno_is_usable_and_kept);
	tcase_add_test(tests, a_burst_is_limited_and_the_rest_is_counted);
	suite_add_tcase(suite, tests);
	return suite;
}
