/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to the daemon over its API socket.
 */
#ifndef TGTKIT_CLI_CLIENT_H
#define TGTKIT_CLI_CLIENT_H

#include <jansson.h>

enum { EXIT_REFUSED = 1, EXIT_USAGE = 2 };

/* Used by all requests from then on. */
void client_set_socket(const char *path);

/* `path_format` with %s for names, which are encoded.  Takes `body` over (NULL: none).  The answer's JSON; ends the
 * process with one line on stderr and EXIT_REFUSED when the daemon cannot be reached or says no. */
json_t *client_request(const char *method, json_t *body, const char *path_format, ...)
    __attribute__((format(printf, 3, 4)));
/* The answer as it is, to be freed. */
char *client_text(const char *path);
/* A name as part of a path; valid until the next call. */
const char *client_encode(const char *name);

/* One line on stderr, and the end. */
void client_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
