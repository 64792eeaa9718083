/* SPDX-License-Identifier: Apache-2.0
 *
 * What main.c runs.  A test program consists of main.c, one file per source file under test with a function that
 * returns its suite, and one file that defines the list of them.
 */
#ifndef TGTKIT_TESTS_UNIT_RUNNER_H
#define TGTKIT_TESTS_UNIT_RUNNER_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef Suite *(*unit_suite_function)(void);

/* Ended by NULL. */
extern const unit_suite_function unit_suites[];

/* TGTKIT_TESTS=unit in the environment leaves out the programs that start servers; they exit with UNIT_SKIPPED. */
#define UNIT_SKIPPED 77

static inline bool unit_servers_are_left_out(void)
{
	const char *wanted = getenv("TGTKIT_TESTS");

	return wanted != NULL && strcmp(wanted, "unit") == 0;
}

/* Adds a test that proves that an assertion stands.  Left out where tests do not fork: it would end the program. */
#define UNIT_ADD_ABORT_TEST(tests, function)                                                                           \
	do {                                                                                                           \
		const char *fork_wanted = getenv("CK_FORK");                                                           \
		if (fork_wanted == NULL || strcmp(fork_wanted, "no") != 0)                                             \
			tcase_add_test_raise_signal(tests, function, SIGABRT);                                         \
	} while (0)

#endif
