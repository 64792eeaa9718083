/* SPDX-License-Identifier: Apache-2.0
 *
 * Reader for Amazon's shared `config` and `credentials` files.
 */
#ifndef TGTKIT_S3_INI_H
#define TGTKIT_S3_INI_H

#include <stdbool.h>
#include <stddef.h>

#define S3_INI_VALUE_BYTES 16384

/* Calls `found` for every key of the section, in order; false from it ends the reading.  Nested (indented) settings are
 * passed over.  Section "NAME" also matches "[profile NAME]".  False if the section is not there. */
bool s3_ini_read(const char *text, size_t length, const char *section,
		 bool (*found)(void *context, const char *key, const char *value), void *context);

#endif
