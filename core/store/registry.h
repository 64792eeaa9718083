/* SPDX-License-Identifier: Apache-2.0
 *
 * What the path resolver needs of the registry for its messages.
 */
#ifndef TGTKIT_STORE_REGISTRY_H
#define TGTKIT_STORE_REGISTRY_H

#include "store/plugins.h"

/* The folders of the last scan, separated by commas.  Any thread. */
void store_registry_searched_folders(char text[static STORE_ERROR_BYTES]);

#endif
