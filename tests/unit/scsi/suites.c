/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *lun_map_suite(void);
Suite *sense_suite(void);
Suite *operations_suite(void);
Suite *inquiry_suite(void);
Suite *report_suite(void);
Suite *mode_suite(void);
Suite *read_write_suite(void);
Suite *verify_suite(void);
Suite *unmap_suite(void);
Suite *nexus_suite(void);
Suite *task_set_suite(void);
Suite *task_management_suite(void);
Suite *logical_unit_suite(void);

const unit_suite_function unit_suites[] = {
    lun_map_suite,  sense_suite,	   operations_suite,   inquiry_suite, report_suite,
    mode_suite,	    read_write_suite,	   verify_suite,       unmap_suite,   nexus_suite,
    task_set_suite, task_management_suite, logical_unit_suite, NULL,
};
