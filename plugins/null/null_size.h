/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes as people write them.
 */
#ifndef TGTKIT_PLUGINS_NULL_SIZE_H
#define TGTKIT_PLUGINS_NULL_SIZE_H

#include <stdbool.h>
#include <stdint.h>

/* Digits and an optional K, M, G, T or P (powers of 1024, either case): 1 to 2^63-1 bytes.  False if it is anything
 * else. */
bool null_parse_size(const char *text, uint64_t *bytes);

#endif
