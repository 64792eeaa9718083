/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *path_suite(void);
Suite *convert_suite(void);
Suite *round_trip_suite(void);

const unit_suite_function unit_suites[] = {path_suite, convert_suite, round_trip_suite, NULL};
