/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets for CHAP, one to a file: the file's bytes less one final newline, or any bytes as 0x... (hexadecimal) or
 * base64:...
 */
#ifndef TGTKIT_TARGET_SECRET_H
#define TGTKIT_TARGET_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "iscsi/directory.h"
#include "target/arena.h"

#define TARGET_SECRET_ERROR_BYTES 256
#define TARGET_SECRET_TEXT_BYTES  16384u /* of an option's value in a file */

/* Reads a file that belongs to root or to the daemon's user and that nobody else may open, but root's group for
 * reading.  The secret's length, within the bounds of iscsi/directory.h, or negative errno with `error`, which never
 * holds a part of the secret.  Blocks. */
int target_secret_read(const char *path, uint8_t secret[static ISCSI_CHAP_LARGEST_SECRET_BYTES],
		       char error[static TARGET_SECRET_ERROR_BYTES]);

/* Whether a file with this text and a final newline would hold a secret of a legal length.  0 or -EINVAL with `error`.
 */
int target_secret_check(const char *given, char error[static TARGET_SECRET_ERROR_BYTES]);

/* The text in such a file, less one final newline, in the arena: what an option of a plugin is set to.  0 or negative
 * errno with `error`.  Blocks. */
int target_secret_text(const char *path, struct target_arena *arena, const char **value,
		       char error[static TARGET_SECRET_ERROR_BYTES]);

#endif
