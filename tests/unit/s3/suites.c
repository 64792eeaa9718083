/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *credentials_suite(void);
Suite *fault_suite(void);
Suite *format_suite(void);
Suite *owner_suite(void);
Suite *protocol_suite(void);
Suite *sigv4_suite(void);
Suite *store_suite(void);
Suite *stores_suite(void);
Suite *text_suite(void);
Suite *tool_suite(void);

const unit_suite_function unit_suites[] = {
    text_suite,	 sigv4_suite, format_suite, protocol_suite, credentials_suite, store_suite, stores_suite,
    owner_suite, fault_suite, tool_suite,   NULL,
};
