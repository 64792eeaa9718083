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
#include <sys/wait.h>
#include <unistd.h>

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

/* Proves that an assertion stands: the call has to end in abort().  It gets a process of its own, as all tests of a
 * program may share one (CK_FORK=no); it must not check anything. */
static inline void unit_expect_abort(void (*function)(void))
{
	int status = 0;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		function();
		_exit(EXIT_SUCCESS);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "no assertion stopped it: status %d", status);
}

#endif
