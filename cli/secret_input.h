/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets, which never stand on a command line, where everybody can see them.
 */
#ifndef TGTKIT_CLI_SECRET_INPUT_H
#define TGTKIT_CLI_SECRET_INPUT_H

#include <jansson.h>

/* From a file; NULL or "-": from standard input, where a terminal asks for it without showing it.  One final newline is
 * no part of it.  Bytes that JSON or a configuration file cannot hold are sent as base64:...  Ends the process if it
 * cannot be read. */
json_t *secret_input_read(const char *file);
/* Likewise, for an option of a plugin: has to be text. */
json_t *secret_input_read_text(const char *file);

#endif
