/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of writes that have completed and that no flush has covered yet, in a ring of fixed size, so that a server
 * that was restarted, and may have lost them, can be given them again.
 */
#ifndef TGTKIT_PLUGINS_REMOTE_JOURNAL_H
#define TGTKIT_PLUGINS_REMOTE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tgtkit/plugin.h>

struct remote_record {
	size_t ring_bytes; /* of it all */
	uint32_t operation; /* TGTKIT_WRITE, TGTKIT_ZERO; 0: filler at the end of the ring */
	uint32_t flags;     /* of the request */
	uint64_t sequence;
	uint64_t offset, length;
	unsigned char data[]; /* TGTKIT_WRITE: `length` bytes */
};

struct remote_journal {
	unsigned char *memory; /* NULL: keeps nothing */
	size_t size_bytes, used_bytes;
	size_t first, end; /* oldest record; where the next one goes */
	/* The newest write that is not in here and was not flushed when it should have been added. */
	uint64_t missing;
};

/* 0 or -ENOMEM.  size_bytes 0: keeps nothing. */
int remote_journal_init(struct remote_journal *journal, const struct tgtkit_host *host, uint64_t size_bytes);
void remote_journal_destroy(struct remote_journal *journal, const struct tgtkit_host *host);

/* Adds a completed request.  Sequences never go back.  If there is no room, it and all before it are missing. */
void remote_journal_add(struct remote_journal *journal, uint64_t sequence, const struct remote_record *header,
			const void *data);
/* A flush has covered everything up to and with `sequence`. */
void remote_journal_drop(struct remote_journal *journal, uint64_t sequence);
/* Gives everything up: what is in here up to `sequence` is missing. */
void remote_journal_give_up(struct remote_journal *journal, uint64_t sequence);

/* Whether everything after `flushed` is in here. */
bool remote_journal_is_complete(const struct remote_journal *journal, uint64_t flushed);
bool remote_journal_wants_flush(const struct remote_journal *journal, uint64_t flushed);

/* In the order of sequences; NULL after the last.  `record` NULL: the first. */
const struct remote_record *remote_journal_next(const struct remote_journal *journal,
						const struct remote_record *record);

/* The next piece of `record`, from `*offset` on, that no later record has written over: true with its place, or false
 * if there is none. */
bool remote_journal_piece(const struct remote_journal *journal, const struct remote_record *record, uint64_t *offset,
			  uint64_t *length);

#endif
