/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder of a test's own, with plugin files in it.
 */
#ifndef TGTKIT_TESTS_UNIT_STORE_FOLDER_H
#define TGTKIT_TESTS_UNIT_STORE_FOLDER_H

#include <sys/types.h>

#define FOLDER_PATH_BYTES 512

struct folder {
	char path[FOLDER_PATH_BYTES / 2];
};

void folder_create(struct folder *folder);
void folder_remove(struct folder *folder); /* with all files in it */

/* The path of a file in it; valid until the call after the next. */
const char *folder_file(const struct folder *folder, const char *name);
/* A copy of the specimen, or of the stranger, under that name. */
const char *folder_add_specimen(const struct folder *folder, const char *name);
const char *folder_add_stranger(const struct folder *folder, const char *name);
const char *folder_add_text(const struct folder *folder, const char *name, const char *text);

#endif
