/* SPDX-License-Identifier: Apache-2.0
 *
 * An NBD server inside the test, on threads of its own, that misbehaves on demand.  One at a time; its disk is 1 MiB of
 * memory, which outlives connections.
 */
#ifndef TGTKIT_TESTS_ROGUE_SERVER_H
#define TGTKIT_TESTS_ROGUE_SERVER_H

#include <stdbool.h>

#define ROGUE_DISK_BYTES (1u << 20)

enum rogue_behaviour {
	ROGUE_HONEST,
	/* At the beginning of a connection. */
	ROGUE_SILENT,  /* says nothing */
	ROGUE_CLOSES,  /* closes at once */
	ROGUE_BABBLES, /* sends bytes that mean nothing */
	ROGUE_LIES,    /* promises 2^63 bytes */
	/* In answer to a request. */
	ROGUE_BAD_MAGIC,
	ROGUE_UNKNOWN_COOKIE,
	ROGUE_SHORT_READ,	 /* half of what a read asked for, as if it were all */
	ROGUE_SECOND_HALF_FIRST, /* of a read */
	ROGUE_FIRST_HALF_TWICE,	 /* of a read, and never the other */
	ROGUE_EMPTY_EXTENTS,	 /* block status with a length of zero */
	ROGUE_FOREIGN_EXTENTS,	 /* block status that is longer than asked for */
	ROGUE_HOLDS_FLUSHES,	 /* answers none */
	ROGUE_HANGS_UP,		 /* reads the request, and closes */
	ROGUE_SHUTS_DOWN,	 /* answers NBD_ESHUTDOWN, and closes when the client does */
};

extern unsigned char rogue_disk[ROGUE_DISK_BYTES];

/* Listens on a socket in the scratch folder; `server.uri` leads there. */
void rogue_start(enum rogue_behaviour behaviour, bool multi_conn);
void rogue_behave(enum rogue_behaviour behaviour);
/* Hangs up on the `index`th connection that was made since the start. */
void rogue_cut(unsigned index);
/* Write requests that arrived. */
unsigned rogue_writes(void);
void rogue_stop(void);

#endif
