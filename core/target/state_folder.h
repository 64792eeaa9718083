/* SPDX-License-Identifier: Apache-2.0
 *
 * The state folder: one daemon at a time, and small files that are replaced as a whole or not at all.  Everything here
 * blocks: start-up or a pool thread.
 */
#ifndef TGTKIT_TARGET_STATE_FOLDER_H
#define TGTKIT_TARGET_STATE_FOLDER_H

#include <stddef.h>

#define TARGET_ERROR_BYTES 1024
#define TARGET_STATE_FILE  "state.conf" /* what the API made */

struct target_state_folder {
	char *path;
	int fd;	     /* of the folder */
	int lock_fd; /* holds the lock as long as it is open */
};

/* Makes the folder if only its last part is missing, and locks it.  0 or negative errno with `error`. */
int target_state_folder_open(const char *path, struct target_state_folder *folder,
			     char error[static TARGET_ERROR_BYTES]);
void target_state_folder_close(struct target_state_folder *folder);

/* The file's content with a NUL after it, to be freed; NULL with 0 if there is no such file. */
int target_state_read(const struct target_state_folder *folder, const char *name, char **text, size_t *length,
		      char error[static TARGET_ERROR_BYTES]);
/* Temporary file, fsync, rename, fsync of the folder: what was there before stays until the new content is durable. */
int target_state_write(const struct target_state_folder *folder, const char *name, const char *text, size_t length,
		       char error[static TARGET_ERROR_BYTES]);
/* Durably; also if there is no such file. */
int target_state_remove(const struct target_state_folder *folder, const char *name,
			char error[static TARGET_ERROR_BYTES]);

#endif
