/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *access_keys_suite(void);
Suite *command_line_suite(void);
Suite *keys_suite(void);
Suite *load_suite(void);

const unit_suite_function unit_suites[] = {keys_suite, load_suite, access_keys_suite, command_line_suite, NULL};
