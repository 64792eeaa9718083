/* SPDX-License-Identifier: Apache-2.0
 *
 * One plugin file: who may write it, is it a shared object, has it the entry point, is its descriptor right.
 */
#ifndef TGTKIT_STORE_LOAD_H
#define TGTKIT_STORE_LOAD_H

#include "store/plugins.h"

/* Length of NAME in a file name NAME.so; 0: no plugin's file name. */
size_t store_load_name_length(const char *file_name);

/* A folder that nobody but root and this process's user can write to.  0 or negative errno with `error`. */
int store_load_trust_folder(const char *folder, char error[static STORE_ERROR_BYTES]);

/* Control threads, one at a time.  What is loaded stays in the process, whether it is accepted or not; the same file is
 * asked for its descriptor once only.  The descriptor is complete, whatever version the plugin has.  0 or negative errno with `error`, which names the file. */
int store_load_file(const char *file, const struct tgtkit_plugin **descriptor, char error[static STORE_ERROR_BYTES]);

/* The file whose entry point this thread calls, or NULL: for what the plugin logs meanwhile. */
const char *store_load_current_file(void);

#endif
