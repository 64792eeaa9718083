/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of functions that every plugin gets.
 */
#ifndef TGTKIT_STORE_HOST_H
#define TGTKIT_STORE_HOST_H

#include <tgtkit/plugin.h>

const struct tgtkit_host *store_host(void);

#endif
