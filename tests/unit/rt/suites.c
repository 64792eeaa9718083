/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "unit/runner.h"

Suite *buddy_suite(void);
Suite *bytes_suite(void);
Suite *list_suite(void);
Suite *log_suite(void);
Suite *loop_suite(void);
Suite *memory_suite(void);
Suite *posts_suite(void);
Suite *segments_suite(void);
Suite *slab_suite(void);
Suite *timers_suite(void);
Suite *worker_suite(void);

const unit_suite_function unit_suites[] = {
    bytes_suite, list_suite,   buddy_suite, memory_suite, segments_suite, slab_suite,
    log_suite,	 timers_suite, posts_suite, loop_suite,	  worker_suite,	  NULL,
};
