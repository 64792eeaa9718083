/* SPDX-License-Identifier: Apache-2.0
 *
 * What a flush may say, and how the unflushed writes get to a server that may have forgotten them.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "unit.h"

static bool is_dirty(const struct remote_unit *unit)
{
	return unit->written > unit->flushed;
}

/* Before the first flush there may be writes of whoever had the export open before. */
bool remote_all_is_flushed(const struct remote_unit *unit)
{
	return unit->has_flushed && !is_dirty(unit);
}

struct remote_connection *remote_covering_connection(struct remote_unit *unit)
{
	for (unsigned i = 0; i < unit->connection_count; i++) {
		struct remote_connection *connection = &unit->connections[i];

		if (connection->state == CONNECTION_READY && connection->established <= unit->flushed)
			return connection;
	}
	return NULL;
}

/* ---- Keeping count ------------------------------------------------------------------------------------------------- */

/* What is discarded may come back, so it needs no record. */
void remote_note_change(struct remote_unit *unit, const struct remote_io *io)
{
	const struct remote_record header = {
	    .operation = io->operation, .flags = io->flags, .offset = io->offset, .length = io->length};

	if (!unit->tracks_writes || io->operation == TGTKIT_DISCARD)
		return;
	/* What is stable needs no flush, but an older record of the same bytes must not undo it. */
	if (!(io->flags & TGTKIT_REQUEST_FUA))
		unit->written++;
	else if (!is_dirty(unit))
		return;
	remote_journal_add(&unit->journal, unit->written, &header, io->data);
}

void remote_note_flush(struct remote_unit *unit, const struct remote_io *io, int status)
{
	if (status != 0)
		return;
	unit->has_flushed = true;
	if (io->covers > unit->flushed)
		unit->flushed = io->covers;
	remote_journal_drop(&unit->journal, unit->flushed);
}

int remote_flush_lost(struct remote_unit *unit)
{
	unit->host->log(unit->unit, TGTKIT_LOG_ERROR,
			"the connection to the server broke with unflushed writes that could not be written again: the "
			"server may have lost them, so this flush fails");
	unit->flushed = unit->written;
	remote_journal_drop(&unit->journal, unit->flushed);
	return -EIO;
}

/* ---- Flushing, so that the journal stays short --------------------------------------------------------------------- */

static void flush_journal(struct remote_unit *unit)
{
	struct remote_connection *connection;

	if (unit->own_flush.busy || unit->own_flush_status != 0 || remote_is_held(unit) ||
	    !remote_journal_wants_flush(&unit->journal, unit->flushed))
		return;
	connection = remote_covering_connection(unit);
	if (connection == NULL)
		return;
	unit->own_flush = (struct remote_io){.unit = unit, .operation = TGTKIT_FLUSH, .busy = true};
	remote_io_begin(&unit->own_flush, remote_now_ns());
	remote_io_send_on(&unit->own_flush, connection);
}

static void own_flush_ended(struct remote_unit *unit, int status)
{
	if (status == 0 || status == -ENOTCONN)
		return;
	/* The server has told its error once; whoever flushes next has to hear of it. */
	unit->own_flush_status = status;
	unit->host->log(unit->unit, TGTKIT_LOG_ERROR, "the server could not flush (%s): data written to it may be lost",
			strerror(-status));
}

/* ---- Replay -------------------------------------------------------------------------------------------------------- */

void remote_replay_consider(struct remote_unit *unit)
{
	unit->replay = REPLAY_IDLE;
	if (unit->ready > 0 && remote_covering_connection(unit) == NULL &&
	    remote_journal_is_complete(&unit->journal, unit->flushed))
		unit->replay = REPLAY_WANTED;
}

static struct remote_connection *any_ready_connection(struct remote_unit *unit)
{
	struct remote_connection *connection = unit->connections;

	while (connection->state != CONNECTION_READY)
		connection++;
	return connection;
}

static void begin_replay(struct remote_unit *unit)
{
	unit->replay = REPLAY_RUNNING;
	unit->replay_connection = any_ready_connection(unit);
	unit->replay_record = remote_journal_next(&unit->journal, NULL);
	if (unit->replay_record != NULL)
		unit->replay_offset = unit->replay_record->offset;
	unit->host->log(unit->unit, TGTKIT_LOG_INFO, "writing to the server again what was not flushed yet: %" PRIu64 " writes",
			unit->written - unit->flushed);
}

/* Everything is on the server that this connection leads to. */
static void end_replay(struct remote_unit *unit)
{
	unit->replay = REPLAY_IDLE;
	unit->replay_connection->established = unit->flushed;
}

/* False after the last piece. */
static bool next_piece(struct remote_unit *unit, uint64_t *length)
{
	while (unit->replay_record != NULL) {
		if (remote_journal_piece(&unit->journal, unit->replay_record, &unit->replay_offset, length))
			return true;
		unit->replay_record = remote_journal_next(&unit->journal, unit->replay_record);
		if (unit->replay_record != NULL)
			unit->replay_offset = unit->replay_record->offset;
	}
	return false;
}

static void send_piece(struct remote_unit *unit, struct remote_io *io, uint64_t length)
{
	const struct remote_record *record = unit->replay_record;

	if (record->operation == TGTKIT_ZERO && length > REMOTE_SLOW_ZERO_BYTES)
		length = REMOTE_SLOW_ZERO_BYTES;
	*io = (struct remote_io){
	    .unit = unit,
	    .operation = record->operation,
	    .flags = record->flags & TGTKIT_REQUEST_MAY_UNMAP,
	    .offset = unit->replay_offset,
	    .length = length,
	    .data = (unsigned char *)record->data + (unit->replay_offset - record->offset),
	    .slow = true,
	    .busy = true,
	};
	unit->replay_offset += length;
	unit->replay_in_flight++;
	remote_count(unit, REMOTE_REPLAYED_BYTES, length);
	remote_io_begin(io, remote_now_ns());
	remote_io_send_on(io, unit->replay_connection);
}

static struct remote_io *free_io(struct remote_unit *unit)
{
	for (unsigned i = 0; i < REMOTE_REPLAY_DEPTH; i++)
		if (!unit->replay_ios[i].busy)
			return &unit->replay_ios[i];
	return NULL;
}

static void go_on(struct remote_unit *unit)
{
	struct remote_io *io;
	uint64_t length;

	/* A piece may end the replay, when it cannot be sent. */
	while (unit->replay == REPLAY_RUNNING && (io = free_io(unit)) != NULL && next_piece(unit, &length))
		send_piece(unit, io, length);
	if (unit->replay == REPLAY_RUNNING && unit->replay_in_flight == 0)
		end_replay(unit);
}

void remote_replay_run(struct remote_unit *unit)
{
	flush_journal(unit);
	if (unit->replay == REPLAY_WANTED && unit->draining == 0 && unit->in_flight == 0)
		begin_replay(unit);
	if (unit->replay == REPLAY_RUNNING)
		go_on(unit);
}

static void piece_ended(struct remote_unit *unit, int status)
{
	unit->replay_in_flight--;
	if (status == 0 || unit->replay != REPLAY_RUNNING)
		return;
	/* From the start, on whatever connection is next, ... */
	unit->replay = REPLAY_WANTED;
	if (status == -ENOTCONN)
		return;
	/* ... or not at all. */
	unit->replay = REPLAY_IDLE;
	unit->host->log(unit->unit, TGTKIT_LOG_ERROR, "the server does not take again what was not flushed yet: %s",
			strerror(-status));
	remote_journal_give_up(&unit->journal, unit->written);
}

void remote_own_io_ended(struct remote_io *io, int status)
{
	struct remote_unit *unit = io->unit;

	io->busy = false;
	if (io == &unit->own_flush)
		own_flush_ended(unit, status);
	else
		piece_ended(unit, status);
}
