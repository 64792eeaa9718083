/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *login_suite(void);

const unit_suite_function unit_suites[] = {
    login_suite,
    NULL,
};
