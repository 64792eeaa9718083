/* SPDX-License-Identifier: Apache-2.0
 *
 * Between JSON and libconfig: an object is a group, an array a list; the keys are the same in both.
 */
#ifndef TGTKIT_MGMT_CONVERT_H
#define TGTKIT_MGMT_CONVERT_H

#include <jansson.h>
#include <libconfig.h>

#define MGMT_CONVERT_ERROR_BYTES 256

/* Adds the value to a group under `name`, or (NULL) to a list.  The new setting; NULL with `error`, and nothing or a
 * part of it has been added. */
config_setting_t *mgmt_json_to_setting(config_setting_t *to, const char *name, const json_t *value,
				       char error[static MGMT_CONVERT_ERROR_BYTES]);
/* NULL: no memory. */
json_t *mgmt_setting_to_json(const config_setting_t *setting);

#endif
