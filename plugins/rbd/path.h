/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TGTKIT_PLUGINS_RBD_PATH_H
#define TGTKIT_PLUGINS_RBD_PATH_H

#include "settings.h"

/* Fills pool, name_space, image and snapshot.  0 or a negative errno with `error`; some may be set then, too. */
int crbd_path_read(struct crbd_settings *settings, const char *path, struct tgtkit_error *error);

#endif
