/* SPDX-License-Identifier: Apache-2.0
 *
 * One option's text against its schema row: what the loader needs to check a default, and the parser a setting.
 */
#ifndef TGTKIT_STORE_VALUES_H
#define TGTKIT_STORE_VALUES_H

#include "store/plugins.h"

/* 0, or -EINVAL or -ERANGE with `reason`, which never repeats the text (it may be a secret).  A string value points to
 * `text`. */
int store_value_parse(const struct tgtkit_option *option, const char *text, struct tgtkit_value *value,
		      char reason[static STORE_ERROR_BYTES]);

#endif
