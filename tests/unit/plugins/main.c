/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "stores_test.h"

int main(void)
{
	Suite *suite = suite_create("plugins");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, fake_host_tests());
	suite_add_tcase(suite, stores_tests());
	suite_add_tcase(suite, stores_opening_tests());
	suite_add_tcase(suite, file_tests());
	suite_add_tcase(suite, file_lock_tests());
	suite_add_tcase(suite, file_failure_tests());
	suite_add_tcase(suite, posix_sync_tests());
#ifdef IOURING_PLUGIN
	suite_add_tcase(suite, iouring_tests());
#endif
	suite_add_tcase(suite, null_tests());
	suite_add_tcase(suite, rig_tests());
	suite_add_tcase(suite, manual_tests());
	suite_add_tcase(suite, header_tests());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
