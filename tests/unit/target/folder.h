/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder of the test's own.
 */
#ifndef TGTKIT_TESTS_UNIT_TARGET_FOLDER_H
#define TGTKIT_TESTS_UNIT_TARGET_FOLDER_H

extern char folder[64];

void folder_make(void);
void folder_remove(void); /* with the files in it */
/* "FOLDER/NAME", in one of a few static buffers. */
const char *folder_path(const char *name);
void folder_write(const char *name, const char *text);
/* The file's text, in a static buffer. */
const char *folder_read(const char *name);

#endif
