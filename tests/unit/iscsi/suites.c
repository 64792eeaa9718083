/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *access_suite(void);
Suite *chap_suite(void);
Suite *directory_suite(void);
Suite *initiators_suite(void);
Suite *login_security_suite(void);
Suite *login_suite(void);
Suite *name_suite(void);
Suite *negotiation_suite(void);
Suite *negotiation_property_suite(void);
Suite *text_answer_suite(void);
Suite *text_suite(void);
Suite *window_suite(void);

const unit_suite_function unit_suites[] = {
    directory_suite,
    name_suite,
    text_suite,
    text_answer_suite,
    login_suite,
    chap_suite,
    access_suite,
    login_security_suite,
    negotiation_suite,
    negotiation_property_suite,
    initiators_suite,
    window_suite,
    NULL,
};
