/* SPDX-License-Identifier: Apache-2.0
 *
 * NBD servers (nbdkit, qemu-nbd) that a test starts for itself, each with a socket that is bound and listening before
 * the server runs, so that nobody has to wait for it.  They end with the test, whatever becomes of it.  What they say is
 * shown if NBD_SERVER_VERBOSE is set in the environment.
 */
#ifndef TGTKIT_TESTS_NBD_SERVER_H
#define TGTKIT_TESTS_NBD_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#define NBD_SERVER_ARGUMENTS 24

struct nbd_server {
	pid_t pid; /* 0: it does not run */
	char socket[100]; /* Unix, or "": TCP on 127.0.0.1 */
	unsigned port;
	const char *arguments[NBD_SERVER_ARGUMENTS];
	char uri[256]; /* "nbd..." of the default export */
};

/* Whether `program` is installed; if not, says on stderr that the test is skipped. */
bool nbd_server_has(const char *program);

/* Starts `arguments` (NULL ends them; nbdkit is told to stay in the foreground by the caller) on a Unix socket at
 * `socket`, or on a free TCP port of 127.0.0.1 if `socket` is NULL.  Aborts if it cannot. */
void nbd_server_start(struct nbd_server *server, const char *socket, const char *const *arguments);
/* The same again, at the same address. */
void nbd_server_restart(struct nbd_server *server);
/* Sends `signal` and waits for the end.  Nothing listens at the address then. */
void nbd_server_kill(struct nbd_server *server, int signal);

/* Stops it, and waits until it stands still; SIGCONT lets it go on. */
void nbd_server_freeze(const struct nbd_server *server);

/* A socket that listens at the server's address, for a server that is part of the test. */
int nbd_server_listen(struct nbd_server *server, const char *socket);

#endif
