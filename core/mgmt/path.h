/* SPDX-License-Identifier: Apache-2.0
 *
 * The path of a request, split at its slashes and decoded after that.
 */
#ifndef TGTKIT_MGMT_PATH_H
#define TGTKIT_MGMT_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MGMT_PATH_PARTS 8u

struct mgmt_path {
	char *parts[MGMT_PATH_PARTS];
	size_t count;
};

/* `text` is changed and keeps the parts.  0; -EINVAL: a bad escape, an escaped control byte, or too many parts. */
int mgmt_path_split(char *text, struct mgmt_path *path);
/* A value of the query, in place: %XX and, as forms have it, + for a space.  0; -EINVAL: a bad escape or a control
 * byte. */
int mgmt_path_decode_value(char *text);
/* A decimal number without sign or leading zeros, not above `maximum`. */
bool mgmt_path_number(const char *part, uint32_t maximum, uint32_t *number);

#endif
