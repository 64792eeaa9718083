/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *address_suite(void);
Suite *check_suite(void);
Suite *identity_suite(void);
Suite *model_suite(void);
Suite *reservation_keep_suite(void);
Suite *secret_suite(void);
Suite *state_suite(void);

const unit_suite_function unit_suites[] = {
    address_suite, identity_suite, state_suite, reservation_keep_suite, check_suite, secret_suite, model_suite, NULL,
};
