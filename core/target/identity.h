/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a backing store is, whatever it is called: the canonical form of its path, and serials in the form of UUIDs.
 */
#ifndef TGTKIT_TARGET_IDENTITY_H
#define TGTKIT_TARGET_IDENTITY_H

#include <limits.h>

#define TARGET_PATH_BYTES   (2 * PATH_MAX)
#define TARGET_SERIAL_BYTES 37u /* a UUID as text, and the NUL; also the longest serial */

/* One spelling for all that mean the same file: where the path, or the folder that it stands in, exists in the file
 * system, links and dots are resolved; anything else is taken as it is. */
void target_canonical_path(const char *path, char canonical[static TARGET_PATH_BYTES]);

/* A random UUID (RFC 9562 version 4). */
void target_serial_random(char serial[static TARGET_SERIAL_BYTES]);
/* The same UUID for the same text (version 8, from SHA-256). */
void target_serial_from_text(const char *text, char serial[static TARGET_SERIAL_BYTES]);
/* For a daemon that keeps no state: from this machine's identity and the store. */
void target_serial_of_store(const char *plugin, const char *canonical_path, char serial[static TARGET_SERIAL_BYTES]);
/* From what the store calls itself: as it is if it can be a serial, else a UUID made from it. */
void target_serial_from_identity(const char *identity, char serial[static TARGET_SERIAL_BYTES]);

#endif
