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
Suite *compare_and_write_suite(void);
Suite *reservations_suite(void);
Suite *mode_select_suite(void);
Suite *medium_suite(void);
Suite *sanitize_suite(void);
Suite *port_groups_suite(void);
Suite *extended_copy_suite(void);
Suite *nexus_suite(void);
Suite *no_memory_suite(void);
Suite *task_set_suite(void);
Suite *task_management_suite(void);
Suite *logical_unit_suite(void);

const unit_suite_function unit_suites[] = {
    lun_map_suite,
    sense_suite,
    operations_suite,
    inquiry_suite,
    report_suite,
    mode_suite,
    read_write_suite,
    verify_suite,
    unmap_suite,
    compare_and_write_suite,
    reservations_suite,
    mode_select_suite,
    medium_suite,
    sanitize_suite,
    port_groups_suite,
    extended_copy_suite,
    nexus_suite,
    no_memory_suite,
    task_set_suite,
    task_management_suite,
    logical_unit_suite,
    NULL,
};
