/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder `secrets` in the state folder: what the API was given and must never show, one value to a file (0600) with
 * a name that never comes again.  A file whose name no kept text holds is nobody's.  Everything here blocks: start-up
 * or a pool thread.
 */
#ifndef TGTKIT_TARGET_SECRET_FOLDER_H
#define TGTKIT_TARGET_SECRET_FOLDER_H

#include <limits.h>

#include "target/state_folder.h"

/* Makes the value durable with a final newline, as target_secret_read and target_secret_text want it.  `path` is the
 * file's, absolute.  0 or negative errno with `error`; then there is no such file. */
int target_secrets_keep(const struct target_state_folder *folder, const char *value, char path[static PATH_MAX],
			char error[static TARGET_ERROR_BYTES]);

/* Removes the files whose names stand in none of the texts (any of which may be NULL).  What cannot be removed is
 * logged. */
void target_secrets_sweep(const struct target_state_folder *folder, const char *const *texts, size_t count);

#endif
