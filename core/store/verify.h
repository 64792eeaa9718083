/* SPDX-License-Identifier: Apache-2.0
 *
 * Is what a plugin returned, of a version that store_abi_take has accepted, a descriptor that the host can work with?
 */
#ifndef TGTKIT_STORE_VERIFY_H
#define TGTKIT_STORE_VERIFY_H

#include <tgtkit/plugin.h>

#include "store/plugins.h"

/* `name`: that the file's name demands.  0, or -EINVAL with `error`: one line without the file's name. */
int store_verify_descriptor(const struct tgtkit_plugin *plugin, const char *name, char error[static STORE_ERROR_BYTES]);

#endif
