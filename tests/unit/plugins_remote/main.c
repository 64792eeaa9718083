/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "remote_test.h"
#include "unit/runner.h"

int main(void)
{
	Suite *suite = suite_create("remote");
	SRunner *runner;
	int failed;

	if (unit_servers_are_left_out())
		return UNIT_SKIPPED;
	suite_add_tcase(suite, journal_tests());
	suite_add_tcase(suite, open_tests());
	suite_add_tcase(suite, tls_tests());
	suite_add_tcase(suite, operation_tests());
	suite_add_tcase(suite, restart_tests());
	suite_add_tcase(suite, durability_tests());
	suite_add_tcase(suite, outage_tests());
	suite_add_tcase(suite, nonsense_tests());
	suite_add_tcase(suite, manual_page_tests());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
