/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "rbd_test.h"
#include "unit/plugins/stores_test.h"
#include "unit/runner.h"

int main(void)
{
	Suite *suite = suite_create("rbd");
	SRunner *runner;
	int failed;

	if (unit_servers_are_left_out())
		return UNIT_SKIPPED;
	if (!cluster_start())
		return EXIT_FAILURE;
	suite_add_tcase(suite, settings_tests());
	suite_add_tcase(suite, open_tests());
	suite_add_tcase(suite, operation_tests());
	suite_add_tcase(suite, owner_tests());
	suite_add_tcase(suite, stores_tests());
	suite_add_tcase(suite, stores_opening_tests());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	cluster_stop();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
