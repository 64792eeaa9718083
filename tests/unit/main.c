/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs all suites of a unit test program.  CK_FORK, CK_RUN_SUITE, CK_RUN_CASE, CK_VERBOSITY and so on are Check's own.
 */
#include <stdlib.h>

#include "unit/runner.h"

int main(void)
{
	SRunner *runner;
	int failed;

#ifdef UNIT_NEEDS_SERVERS
	if (unit_servers_are_left_out())
		return UNIT_SKIPPED;
#endif
	runner = srunner_create(NULL);
	for (const unit_suite_function *suite = unit_suites; *suite != NULL; suite++)
		srunner_add_suite(runner, (*suite)());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
