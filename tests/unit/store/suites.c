/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *model_suite(void);

const unit_suite_function unit_suites[] = {model_suite, NULL};
