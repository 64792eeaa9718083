/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: taken, parked, completed.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "log.h"
#include "unit.h"

#define BLOCKED_LIMIT 64u /* writes that wait for memory; then the queue is full */

static bool changes_data(const struct tgtkit_request *request)
{
	return request->operation == TGTKIT_WRITE || request->operation == TGTKIT_DISCARD ||
	       request->operation == TGTKIT_ZERO;
}

/* ---- Segments
 * --------------------------------------------------------------------------------------------------------- */

enum direction { COPY_OUT, ZERO_OUT, COPY_IN };

static void walk(const struct s3_io *io, uint64_t position, void *bytes, size_t length, enum direction direction)
{
	unsigned char *memory = bytes;

	for (uint32_t i = 0; i < io->request->segment_count && length > 0; i++) {
		const struct tgtkit_segment *segment = &io->request->segments[i];
		unsigned char *address;
		size_t piece;

		if (position >= segment->length) {
			position -= segment->length;
			continue;
		}
		address = (unsigned char *)segment->address + position;
		piece = segment->length - position < length ? segment->length - position : length;
		if (direction == ZERO_OUT) {
			memset(address, 0, piece);
		} else {
			memcpy(direction == COPY_OUT ? address : memory, direction == COPY_OUT ? memory : address,
			       piece);
			memory += piece;
		}
		length -= piece;
		position = 0;
	}
}

void s3_io_copy_out(const struct s3_io *io, uint64_t position, const void *bytes, size_t length)
{
	walk(io, position, (void *)(uintptr_t)bytes, length, COPY_OUT);
}

void s3_io_zero_out(const struct s3_io *io, uint64_t position, size_t length)
{
	walk(io, position, NULL, length, ZERO_OUT);
}

void s3_io_copy_in(const struct s3_io *io, uint64_t position, void *bytes, size_t length)
{
	walk(io, position, bytes, length, COPY_IN);
}

/* ---- Completion
 * --------------------------------------------------------------------------------------------------------- */

static bool may_acknowledge(const struct s3_io *io)
{
	const struct s3_volume *volume = io->unit->volume;

	if (changes_data(io->request) || io->request->operation == TGTKIT_FLUSH)
		return s3_volume_may_write(volume) || (volume->is_read_only && io->request->operation == TGTKIT_FLUSH);
	return s3_volume_may_read(volume);
}

void s3_io_finish(struct s3_io *io, int status)
{
	if (status == 0 && s3_volume_is_fenced(io->unit->volume))
		status = -ESHUTDOWN;
	if (status == 0 && !may_acknowledge(io)) {
		s3_list_append(&io->unit->unacked, &io->link);
		s3_unit_wake(io->unit);
		return;
	}
	s3_host->complete(io->request, status);
}

static void carry_on(struct s3_io *io)
{
	if (io->request->flags & TGTKIT_REQUEST_FUA)
		s3_flush_range(io);
	else
		s3_io_finish(io, 0);
}

/* ---- Parked
 * ---------------------------------------------------------------------------------------------------------------- */

/* `late`: for those that are past their deadline. */
static void fail_list(struct s3_link *list, uint64_t now_ns, bool is_fenced, int late)
{
	struct s3_link *link = list->next;

	while (link != list) {
		struct s3_io *io = S3_LIST_ENTRY(link, struct s3_io, link);
		const bool is_late = io->request->deadline_ns != 0 && io->request->deadline_ns <= now_ns;

		link = link->next;
		if (!is_fenced && !is_late)
			continue;
		s3_list_remove(&io->link);
		if (list == &io->unit->blocked)
			io->unit->blocked_count--;
		s3_host->complete(io->request, is_fenced ? -ESHUTDOWN : late);
	}
}

static void fail_late_reads(struct s3_unit *unit, uint64_t now_ns)
{
	struct s3_link *link = unit->reading.next;

	while (link != &unit->reading) {
		struct s3_io *io = S3_LIST_ENTRY(link, struct s3_io, link);

		link = link->next;
		if (io->request->deadline_ns != 0 && io->request->deadline_ns <= now_ns)
			s3_read_give_up(io, -ETIMEDOUT);
	}
}

static void unblock(struct s3_unit *unit)
{
	while (!s3_list_is_empty(&unit->blocked)) {
		struct s3_io *io = S3_LIST_ENTRY(unit->blocked.next, struct s3_io, link);

		if (!s3_write(io))
			break;
		s3_list_remove(&io->link);
		unit->blocked_count--;
		carry_on(io);
	}
	if (unit->owes_ready && unit->blocked_count < BLOCKED_LIMIT / 2 && unit->queue != NULL) {
		unit->owes_ready = false;
		s3_host->queue_ready(unit->queue);
	}
}

static void acknowledge(struct s3_unit *unit)
{
	struct s3_link *link = unit->unacked.next;

	while (link != &unit->unacked) {
		struct s3_io *io = S3_LIST_ENTRY(link, struct s3_io, link);

		link = link->next;
		if (!may_acknowledge(io))
			continue;
		s3_list_remove(&io->link);
		s3_host->complete(io->request, 0);
	}
}

void s3_io_turn(struct s3_unit *unit)
{
	const uint64_t now_ns = s3_now_ns();
	const bool is_fenced = s3_volume_is_fenced(unit->volume);

	fail_late_reads(unit, now_ns);
	fail_list(&unit->blocked, now_ns, is_fenced, -EAGAIN);
	fail_list(&unit->flushing, now_ns, is_fenced, -ETIMEDOUT);
	fail_list(&unit->unacked, now_ns, is_fenced, -ETIMEDOUT);
	acknowledge(unit);
	unblock(unit);
}

/* ---- Intake
 * ------------------------------------------------------------------------------------------------------------------ */

static int objection(const struct s3_unit *unit, const struct tgtkit_request *request)
{
	const uint64_t device_bytes = atomic_load(&unit->volume->device_bytes);

	if (s3_volume_is_fenced(unit->volume))
		return -ESHUTDOWN;
	if (request->offset > device_bytes || request->length > device_bytes - request->offset)
		return -EINVAL;
	if (request->offset % S3_GRANULE_BYTES != 0 || request->length % S3_GRANULE_BYTES != 0)
		return -EINVAL;
	if (changes_data(request) && unit->volume->is_read_only)
		return -EROFS;
	return 0;
}

static void start_write(struct s3_io *io)
{
	struct s3_unit *unit = io->unit;

	if (s3_list_is_empty(&unit->blocked) && s3_write(io)) {
		carry_on(io);
	} else {
		s3_list_append(&unit->blocked, &io->link);
		unit->blocked_count++;
	}
	s3_upload_pump(unit);
}

int s3_io_submit(struct s3_unit *unit, struct tgtkit_request *request)
{
	struct s3_io *io = request->scratch;
	const int status = objection(unit, request);

	if (status == 0 && changes_data(request) && unit->blocked_count >= BLOCKED_LIMIT) {
		unit->owes_ready = true;
		s3_unit_wake(unit);
		return -EAGAIN;
	}
	if (status != 0 || (request->length == 0 && request->operation != TGTKIT_FLUSH)) {
		s3_host->complete(request, status);
		return 0;
	}
	*io = (struct s3_io){.unit = unit, .request = request};
	switch (request->operation) {
	case TGTKIT_READ:
		s3_read(io);
		break;
	case TGTKIT_WRITE:
	case TGTKIT_DISCARD:
	case TGTKIT_ZERO:
		start_write(io);
		break;
	case TGTKIT_FLUSH:
		s3_flush(io);
		break;
	case TGTKIT_EXTENTS:
		s3_extents(unit, request);
		s3_io_finish(io, 0);
		break;
	default:
		s3_host->complete(request, -EOPNOTSUPP);
		break;
	}
	return 0;
}

void s3_io_cancel(struct s3_unit *unit, struct tgtkit_request *request)
{
	struct s3_link *const lists[] = {&unit->reading, &unit->blocked, &unit->flushing, &unit->unacked};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		S3_LIST_FOR_EACH(link, lists[i])
		{
			struct s3_io *io = S3_LIST_ENTRY(link, struct s3_io, link);

			if (io->request != request)
				continue;
			if (lists[i] == &unit->reading) {
				s3_read_give_up(io, -ECANCELED);
				return;
			}
			s3_list_remove(&io->link);
			if (lists[i] == &unit->blocked)
				unit->blocked_count--;
			s3_host->complete(request, -ECANCELED);
			return;
		}
	}
}
