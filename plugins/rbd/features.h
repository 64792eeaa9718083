/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TGTKIT_PLUGINS_RBD_FEATURES_H
#define TGTKIT_PLUGINS_RBD_FEATURES_H

#include "settings.h"

/* "layering,exclusive-lock" to bits; NULL and "" to 0.  0 or -EINVAL with `error`. */
int crbd_features_read(const char *text, uint64_t *features, struct tgtkit_error *error);

#endif
