/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "journal.h"

#define RECORD_ALIGNMENT _Alignof(struct remote_record)
#define FILLER		 0

int remote_journal_init(struct remote_journal *journal, const struct tgtkit_host *host, uint64_t size_bytes)
{
	*journal = (struct remote_journal){.size_bytes = size_bytes / RECORD_ALIGNMENT * RECORD_ALIGNMENT};
	if (journal->size_bytes < sizeof(struct remote_record))
		return 0;
	journal->memory = host->aligned_alloc(RECORD_ALIGNMENT, journal->size_bytes);
	return journal->memory == NULL ? -ENOMEM : 0;
}

void remote_journal_destroy(struct remote_journal *journal, const struct tgtkit_host *host)
{
	host->aligned_free(journal->memory);
	journal->memory = NULL;
}

static struct remote_record *record_at(const struct remote_journal *journal, size_t position)
{
	return (struct remote_record *)(void *)(journal->memory + position);
}

static void reset(struct remote_journal *journal)
{
	journal->used_bytes = 0;
	journal->first = journal->end = 0;
}

/* Takes `bytes` at the end, behind a filler where they would not fit in front of the end of the ring.  NULL: no room. */
static struct remote_record *take(struct remote_journal *journal, size_t bytes)
{
	const size_t to_the_end = journal->size_bytes - journal->end;
	const size_t skip = bytes <= to_the_end ? 0 : to_the_end;
	struct remote_record *record;

	if (skip + bytes > journal->size_bytes - journal->used_bytes)
		return NULL;
	if (skip >= sizeof(*record))
		*record_at(journal, journal->end) = (struct remote_record){.ring_bytes = skip, .operation = FILLER};
	journal->used_bytes += skip + bytes;
	record = record_at(journal, (journal->end + skip) % journal->size_bytes);
	journal->end = (journal->end + skip + bytes) % journal->size_bytes;
	return record;
}

void remote_journal_add(struct remote_journal *journal, uint64_t sequence, const struct remote_record *header,
			const void *data)
{
	const size_t payload = header->operation == TGTKIT_WRITE ? header->length : 0;
	const size_t bytes = (sizeof(*header) + payload + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
	struct remote_record *record = journal->memory == NULL ? NULL : take(journal, bytes);

	if (record == NULL) {
		remote_journal_give_up(journal, sequence);
		return;
	}
	*record = *header;
	record->ring_bytes = bytes;
	record->sequence = sequence;
	if (payload > 0)
		memcpy(record->data, data, payload);
}

/* A gap at the end of the ring that is too small for a filler is one all the same. */
static size_t ring_bytes_at(const struct remote_journal *journal, size_t position)
{
	const size_t to_the_end = journal->size_bytes - position;

	return to_the_end < sizeof(struct remote_record) ? to_the_end : record_at(journal, position)->ring_bytes;
}

static bool is_filler(const struct remote_journal *journal, size_t position)
{
	return journal->size_bytes - position < sizeof(struct remote_record) ||
	       record_at(journal, position)->operation == FILLER;
}

void remote_journal_drop(struct remote_journal *journal, uint64_t sequence)
{
	while (journal->used_bytes > 0) {
		const size_t bytes = ring_bytes_at(journal, journal->first);

		if (!is_filler(journal, journal->first) && record_at(journal, journal->first)->sequence > sequence)
			return;
		assert(bytes <= journal->used_bytes);
		journal->used_bytes -= bytes;
		journal->first = (journal->first + bytes) % journal->size_bytes;
	}
	/* From the start, where memory is warm. */
	reset(journal);
}

void remote_journal_give_up(struct remote_journal *journal, uint64_t sequence)
{
	journal->missing = sequence;
	reset(journal);
}

bool remote_journal_is_complete(const struct remote_journal *journal, uint64_t flushed)
{
	return journal->missing <= flushed;
}

bool remote_journal_wants_flush(const struct remote_journal *journal, uint64_t flushed)
{
	if (journal->memory == NULL)
		return false;
	return journal->missing > flushed || journal->used_bytes > journal->size_bytes / 2;
}

const struct remote_record *remote_journal_next(const struct remote_journal *journal,
						const struct remote_record *record)
{
	size_t position = journal->first;

	if (journal->used_bytes == 0)
		return NULL;
	if (record != NULL) {
		position = ((size_t)((const unsigned char *)record - journal->memory) + record->ring_bytes) %
			   journal->size_bytes;
		if (position == journal->end)
			return NULL;
	}
	if (is_filler(journal, position))
		position = 0;
	return record_at(journal, position);
}

bool remote_journal_piece(const struct remote_journal *journal, const struct remote_record *record, uint64_t *offset,
			  uint64_t *length)
{
	const uint64_t record_end = record->offset + record->length;
	uint64_t start = *offset, end;
	bool covered;

	do {
		const struct remote_record *later = record;

		covered = false;
		end = record_end;
		while (start < end && (later = remote_journal_next(journal, later)) != NULL) {
			const uint64_t later_end = later->offset + later->length;

			if (later->offset <= start && start < later_end) {
				start = later_end;
				covered = true;
			} else if (later->offset > start && later->offset < end) {
				end = later->offset;
			}
		}
	} while (covered && start < record_end);
	*offset = start;
	*length = end - start;
	return start < record_end;
}
