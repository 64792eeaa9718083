/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests on their way: waiting, in flight, sent again, ended.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "unit.h"

static bool changes_data(const struct remote_io *io)
{
	return io->operation == TGTKIT_WRITE || io->operation == TGTKIT_ZERO || io->operation == TGTKIT_DISCARD;
}

static bool overlap(const struct remote_io *one, const struct remote_io *other)
{
	return one->offset < other->offset + other->length && other->offset < one->offset + one->length;
}

/* Whether an older request changes the same bytes.  `waiting_end`: where to stop looking among those that wait. */
static bool is_behind(const struct remote_io *io, const struct remote_io *waiting_end)
{
	const struct remote_unit *unit = io->unit;
	const struct remote_io *other;

	if (!changes_data(io))
		return false;
	TAILQ_FOREACH (other, &unit->changing, place)
		if (overlap(io, other))
			return true;
	TAILQ_FOREACH (other, &unit->waiting, place) {
		if (other == waiting_end)
			break;
		if (changes_data(other) && overlap(io, other))
			return true;
	}
	return false;
}

/* ---- Ends ---------------------------------------------------------------------------------------------------------- */

void remote_io_end(struct remote_io *io, int status)
{
	struct remote_unit *unit = io->unit;

	TAILQ_REMOVE(&unit->outstanding, io, age);
	if (io->operation == TGTKIT_FLUSH)
		remote_note_flush(unit, io, status);
	else if (status == 0 && io->request != NULL && changes_data(io))
		remote_note_change(unit, io);
	if (io->request == NULL) {
		remote_own_io_ended(io, status);
		return;
	}
	if (status == 0 && io->operation == TGTKIT_FLUSH)
		status = unit->own_flush_status;
	unit->host->complete(io->request, status);
}

/* In the terms of plugin.h, from those of the NBD protocol. */
static int status_of(const struct remote_io *io)
{
	switch (io->error) {
	case 0:
		if (io->operation == TGTKIT_EXTENTS && (io->nonsense || io->request->extents_count == 0))
			return -EIO;
		return 0;
	case EPERM:
		return changes_data(io) ? -EROFS : -EIO;
	case EOVERFLOW:
		return -EIO;
	case EAGAIN:
		return -EIO; /* would mean "not taken" to the host */
	default:
		return -io->error;
	}
}

static void end_or_go_on(struct remote_io *io)
{
	if (io->operation == TGTKIT_ZERO && io->error == 0) {
		io->done_bytes += io->sent_bytes;
		if (io->done_bytes < io->length) {
			remote_io_requeue(io);
			return;
		}
	}
	if (io->operation == TGTKIT_ZERO && (io->error == ENOTSUP || io->error == EOPNOTSUPP) && !io->slow &&
	    io->unit->export.can_fast_zero) {
		io->slow = true;
		remote_io_requeue(io);
		return;
	}
	if (io->error == 0 && remote_command_must_repeat(io)) {
		io->unit->initializes_reads = true;
		remote_io_requeue(io);
		return;
	}
	remote_io_end(io, status_of(io));
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

static void land(struct remote_io *io)
{
	struct remote_unit *unit = io->unit;

	io->connection->in_flight--;
	io->connection = NULL;
	unit->in_flight--;
	if (changes_data(io))
		TAILQ_REMOVE(&unit->changing, io, place);
}

void remote_io_answered(struct remote_io *io)
{
	struct remote_connection *connection = io->connection;

	switch (io->error) {
	case ENOTCONN: /* never the server's word: the connection broke */
		remote_count(io->unit, REMOTE_RESENT, 1);
		remote_io_requeue(io);
		return;
	case ESHUTDOWN:
		connection->must_leave = true;
		remote_io_requeue(io);
		return;
	default:
		land(io);
		end_or_go_on(io);
	}
}

void remote_io_requeue(struct remote_io *io)
{
	struct remote_unit *unit = io->unit;
	struct remote_io *other;

	if (io->connection != NULL)
		land(io);
	if (io->request == NULL) {
		remote_io_end(io, -ENOTCONN);
		return;
	}
	/* Among those that wait, by age. */
	TAILQ_FOREACH (other, &unit->waiting, place)
		if (other->number > io->number)
			break;
	if (other != NULL)
		TAILQ_INSERT_BEFORE(other, io, place);
	else
		TAILQ_INSERT_TAIL(&unit->waiting, io, place);
}

void remote_io_send_on(struct remote_io *io, struct remote_connection *connection)
{
	struct remote_unit *unit = io->unit;

	io->connection = connection;
	io->covers = unit->written;
	connection->in_flight++;
	unit->in_flight++;
	if (changes_data(io))
		TAILQ_INSERT_TAIL(&unit->changing, io, place);
	if (remote_command_send(io, connection->nbd))
		return;
	land(io);
	if (remote_server_is_gone(connection->nbd))
		remote_io_requeue(io);
	else
		remote_io_end(io, status_of(io));
}

static struct remote_connection *idlest_connection(struct remote_unit *unit)
{
	struct remote_connection *best = NULL;

	for (unsigned i = 0; i < unit->connection_count; i++) {
		struct remote_connection *candidate = &unit->connections[i];

		if (candidate->state == CONNECTION_READY && (best == NULL || candidate->in_flight < best->in_flight))
			best = candidate;
	}
	return best;
}

void remote_io_send(struct remote_io *io)
{
	struct remote_unit *unit = io->unit;
	struct remote_connection *connection =
	    io->operation == TGTKIT_FLUSH ? remote_covering_connection(unit) : idlest_connection(unit);

	if (connection != NULL)
		remote_io_send_on(io, connection);
	else
		remote_io_end(io, remote_flush_lost(unit));
}

void remote_io_pump(struct remote_unit *unit)
{
	struct remote_io *io = TAILQ_FIRST(&unit->waiting), *next;

	for (; io != NULL && !remote_is_held(unit); io = next) {
		next = TAILQ_NEXT(io, place);
		if (is_behind(io, io))
			continue;
		TAILQ_REMOVE(&unit->waiting, io, place);
		remote_io_send(io);
	}
}

/* ---- From the host ------------------------------------------------------------------------------------------------- */

void remote_io_begin(struct remote_io *io, uint64_t now_ns)
{
	struct remote_unit *unit = io->unit;

	io->number = unit->next_number++;
	io->due_ns = now_ns + unit->settings.timeout_ns;
	TAILQ_INSERT_TAIL(&unit->outstanding, io, age);
}

/* 1: go on; else what to complete it with. */
static int check_request(const struct remote_unit *unit, const struct tgtkit_request *request)
{
	const bool has_data = request->operation == TGTKIT_READ || request->operation == TGTKIT_WRITE;

	if (request->payload != TGTKIT_PAYLOAD_CORE || request->operation < TGTKIT_READ ||
	    request->operation > TGTKIT_EXTENTS)
		return -EOPNOTSUPP;
	if (has_data && (request->segment_count != 1 || request->segments[0].length != request->length))
		return -EINVAL;
	if (unit->lost)
		return request->operation == TGTKIT_FLUSH && remote_all_is_flushed(unit) ? 0 : -ESHUTDOWN;
	return 1;
}

/* The server discards whole blocks only; what is left of others may stay. */
static bool shrink_to_blocks(struct remote_io *io)
{
	const uint64_t block = io->unit->export.minimum_block_bytes;
	uint64_t start, end;

	if (block <= 1)
		return io->length > 0;
	start = (io->offset + block - 1) / block * block;
	end = (io->offset + io->length) / block * block;
	io->offset = start;
	io->length = end > start ? end - start : 0;
	return io->length > 0;
}

int remote_submit(void *queue_context, struct tgtkit_request *request)
{
	struct remote_unit *unit = queue_context;
	struct remote_io *io = request->scratch;
	const int status = check_request(unit, request);

	if (status <= 0) {
		unit->host->complete(request, status);
		return 0;
	}
	*io = (struct remote_io){
	    .unit = unit,
	    .request = request,
	    .operation = request->operation,
	    .flags = request->flags,
	    .offset = request->offset,
	    .length = request->length,
	    .data = request->segment_count > 0 ? request->segments[0].address : NULL,
	};
	if (io->operation == TGTKIT_DISCARD && !shrink_to_blocks(io)) {
		unit->host->complete(request, 0);
		return 0;
	}
	remote_io_begin(io, remote_now_ns());
	if (remote_is_held(unit) || is_behind(io, NULL))
		TAILQ_INSERT_TAIL(&unit->waiting, io, place);
	else
		remote_io_send(io);
	return 0;
}

/* What is in flight cannot be called back. */
void remote_cancel(void *queue_context, struct tgtkit_request *request)
{
	struct remote_unit *unit = queue_context;
	struct remote_io *io;

	TAILQ_FOREACH (io, &unit->waiting, place)
		if (io->request == request)
			break;
	if (io == NULL)
		return;
	TAILQ_REMOVE(&unit->waiting, io, place);
	remote_io_end(io, -ECANCELED);
	remote_run(unit);
}
