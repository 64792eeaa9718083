/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *blocking_suite(void);
Suite *extents_suite(void);
Suite *flush_suite(void);
Suite *home_suite(void);
Suite *host_suite(void);
Suite *load_suite(void);
Suite *model_suite(void);
Suite *pool_suite(void);
Suite *queue_suite(void);
Suite *range_lock_suite(void);
Suite *resolve_suite(void);
Suite *size_suite(void);
Suite *store_suite(void);
Suite *values_suite(void);
Suite *verify_suite(void);

const unit_suite_function unit_suites[] = {
    size_suite,	 values_suite, verify_suite,  load_suite,  resolve_suite,  range_lock_suite, pool_suite,  host_suite,
    store_suite, queue_suite,  extents_suite, flush_suite, blocking_suite, home_suite,	     model_suite, NULL,
};
