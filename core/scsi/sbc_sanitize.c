/* SPDX-License-Identifier: Apache-2.0
 *
 * SANITIZE, SBC-4 5.30 and 4.11: overwrites or erases all of the medium, on a lane, whatever becomes of the command and
 * the nexus that asked for it.  It leaves the other units their share of the machine: its pace is bounded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/bytes.h"
#include "rt/log.h"
#include "scsi/access.h"
#include "scsi/background.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/sanitize.h"

enum service_action { OVERWRITE = 0x01, BLOCK_ERASE = 0x02, EXIT_FAILURE_MODE = 0x1f };
enum { IMMED = 0x80, AUSE = 0x20 };
enum { INVERT = 0x80, TEST = 0x60, OVERWRITE_COUNT = 0x1f, LIST_HEADER_BYTES = 4, MOST_PATTERN_BYTES = 4096 };
enum { STEP_BYTES = 1 << 20, ERASE_STEP_BYTES = 64 << 20, CATCH_UP_NS = 100000000 };
/* The pace of overwriting; a unit that it would be over within seconds takes USUAL_LEAST_S, so that who comes back to
 * it after a reset still finds it in progress (libiscsi's suite looks after four seconds). */
enum { LEAST_BYTES_PER_SECOND = 4 << 20, MOST_BYTES_PER_SECOND = 256 << 20, USUAL_LEAST_S = 8 };

struct sanitize {
	struct scsi_background background;
	struct scsi_logical_unit *unit;
	struct scsi_lun_map *map;     /* keeps the unit alive */
	struct scsi_command *command; /* NULL: answered, or given up by its nexus */
	struct rt_timer pause;
	uint64_t step_due_ns; /* when the next one may begin */
	uint8_t *buffer;      /* of STEP_BYTES, full of the pattern; NULL: erases */
	struct tgtkit_segment segment;
	uint64_t lba, step_blocks, blocks_done, blocks_in_all;
	unsigned passes_left;
	bool inverts;
};

bool sbc_sanitize_erase_offered(const struct scsi_logical_unit *unit)
{
	return unit->provisions;
}

bool sbc_sanitize_decode(struct scsi_command *command)
{
	uint32_t length = command->transfer_length;
	bool ok = length == 0;

	if ((command->cdb[1] & 0x1f) == OVERWRITE)
		ok = length > LIST_HEADER_BYTES && length <= LIST_HEADER_BYTES + command->unit->block_bytes;
	if (!ok)
		return scsi_sense_invalid_cdb_field(command, command->operation->length_at, 7);
	return true;
}

uint16_t scsi_sanitize_progress(struct scsi_logical_unit *unit)
{
	return (uint16_t)atomic_load_explicit(&unit->sanitize_progress, memory_order_relaxed);
}

static void free_sanitize(struct sanitize *sanitize)
{
	if (sanitize->map != NULL)
		scsi_lun_map_drop(sanitize->map);
	free(sanitize->buffer);
	free(sanitize);
}

static void end(struct sanitize *sanitize, int status)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct scsi_logical_unit *unit = sanitize->unit;
	struct scsi_command *command = sanitize->command;

	rt_log_limited_about(&limit, RT_ABOUT(.unit = unit->name), status == 0 ? RT_LOG_INFO : RT_LOG_ERROR,
			     "%s: sanitize %s%s", unit->name,
			     status == 0 ? "is complete" : "failed: ", status == 0 ? "" : strerror(-status));
	if (status != 0)
		scsi_unit_set_access(unit, SCSI_ACCESS_SANITIZE_FAILED);
	scsi_unit_clear_access(unit, SCSI_ACCESS_SANITIZING);
	scsi_background_end(&sanitize->background);
	free_sanitize(sanitize);
	if (command == NULL)
		return;
	if (status != 0)
		scsi_sense_fail(command, SCSI_KEY_MEDIUM_ERROR, SCSI_ASC_SANITIZE_FAILED);
	scsi_command_finish(command);
}

static void next_step(struct sanitize *sanitize);

static void note_progress(struct sanitize *sanitize)
{
	sanitize->blocks_done += sanitize->step_blocks;
	atomic_store_explicit(&sanitize->unit->sanitize_progress,
			      (unsigned)((double)sanitize->blocks_done / (double)sanitize->blocks_in_all * 65535.0),
			      memory_order_relaxed);
}

static void step_is_done(struct store_request *io)
{
	struct sanitize *sanitize = RT_CONTAINER_OF(io, struct sanitize, background.io);
	struct rt_loop *loop = rt_loop_current();
	uint64_t now_ns = rt_loop_now_ns(loop);

	if (io->status != 0) {
		end(sanitize, io->status);
		return;
	}
	note_progress(sanitize);
	sanitize->lba += sanitize->step_blocks;
	if (sanitize->buffer == NULL || sanitize->step_due_ns <= now_ns)
		next_step(sanitize);
	else
		rt_timer_arm(loop, &sanitize->pause, (sanitize->step_due_ns - now_ns) / 1000);
}

static void pause_is_over(struct rt_timer *timer)
{
	next_step(RT_CONTAINER_OF(timer, struct sanitize, pause));
}

static uint64_t bytes_per_second(struct scsi_logical_unit *unit)
{
	uint64_t pace = (scsi_unit_blocks(unit) << unit->block_shift) / USUAL_LEAST_S;

	if (pace < LEAST_BYTES_PER_SECOND)
		return LEAST_BYTES_PER_SECOND;
	return pace < MOST_BYTES_PER_SECOND ? pace : MOST_BYTES_PER_SECOND;
}

/* Late steps are made up for, but not for long. */
static void set_due_time(struct sanitize *sanitize, uint64_t bytes, uint64_t now_ns)
{
	if (sanitize->step_due_ns + CATCH_UP_NS < now_ns)
		sanitize->step_due_ns = now_ns - CATCH_UP_NS;
	sanitize->step_due_ns += bytes * UINT64_C(1000000000) / bytes_per_second(sanitize->unit);
}

static void submit_step(struct sanitize *sanitize)
{
	struct scsi_logical_unit *unit = sanitize->unit;
	struct store_request *io = &sanitize->background.io;
	uint64_t most = (sanitize->buffer != NULL ? STEP_BYTES : ERASE_STEP_BYTES) >> unit->block_shift;
	uint64_t left = scsi_unit_blocks(unit) - sanitize->lba;
	uint64_t now_ns = rt_loop_now_ns(rt_loop_current());

	sanitize->step_blocks = left < most ? left : most;
	memset(io, 0, sizeof(*io));
	io->offset = sanitize->lba << unit->block_shift;
	io->length = sanitize->step_blocks << unit->block_shift;
	io->deadline_ns = now_ns + unit->command_timeout_ns;
	io->done = step_is_done;
	if (sanitize->buffer != NULL) {
		sanitize->segment = (struct tgtkit_segment){sanitize->buffer, (uint32_t)io->length, TGTKIT_NO_REGION};
		io->operation = TGTKIT_WRITE;
		io->segments = &sanitize->segment;
		io->segment_count = 1;
	} else if (unit->unmap_reads_zero) {
		io->operation = TGTKIT_DISCARD;
	} else {
		io->operation = TGTKIT_ZERO;
		io->flags = TGTKIT_REQUEST_MAY_UNMAP;
	}
	set_due_time(sanitize, io->length, now_ns);
	store_submit(unit->store, io);
}

static void is_flushed(struct store_request *io)
{
	end(RT_CONTAINER_OF(io, struct sanitize, background.io), io->status);
}

static void flush(struct sanitize *sanitize)
{
	struct store_request *io = &sanitize->background.io;

	memset(io, 0, sizeof(*io));
	io->operation = TGTKIT_FLUSH;
	io->deadline_ns = rt_loop_now_ns(rt_loop_current()) + sanitize->unit->command_timeout_ns;
	io->done = is_flushed;
	store_submit(sanitize->unit->store, io);
}

static void next_pass(struct sanitize *sanitize)
{
	sanitize->lba = 0;
	for (size_t i = 0; sanitize->inverts && i < STEP_BYTES; i++)
		sanitize->buffer[i] = (uint8_t)~sanitize->buffer[i];
}

static void next_step(struct sanitize *sanitize)
{
	if (scsi_unit_access(sanitize->unit) & SCSI_ACCESS_QUIET) {
		end(sanitize, -ECANCELED); /* the unit is being taken out of service */
		return;
	}
	if (sanitize->lba >= scsi_unit_blocks(sanitize->unit)) {
		if (--sanitize->passes_left == 0) {
			flush(sanitize);
			return;
		}
		next_pass(sanitize);
	}
	submit_step(sanitize);
}

/* The pattern is repeated within each block; a block begins with its first byte. */
static void fill_buffer(struct sanitize *sanitize, const uint8_t *pattern, size_t length)
{
	size_t block = sanitize->unit->block_bytes;

	for (size_t i = 0; i < STEP_BYTES; i++)
		sanitize->buffer[i] = pattern[i % block % length];
}

static bool take_overwrite(struct scsi_command *command, struct sanitize *sanitize)
{
	uint8_t list[LIST_HEADER_BYTES + MOST_PATTERN_BYTES];
	uint16_t length;

	if (command->data_out_length != command->transfer_length)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	rt_segments_read(command->data_out.segments, command->data_out.segment_count, 0, list,
			 command->data_out_length);
	length = rt_get_be16(list + 2);
	/* libiscsi's suite, like SBC-4 5.30.2, has faults of the list answered as faults of the CDB. */
	if ((list[0] & OVERWRITE_COUNT) == 0 || (list[0] & TEST) != 0 || length == 0 ||
	    length != command->data_out_length - LIST_HEADER_BYTES)
		return scsi_sense_invalid_cdb_field(command, command->operation->length_at, 7);
	sanitize->buffer = malloc(STEP_BYTES);
	if (sanitize->buffer == NULL) {
		command->status = SCSI_BUSY;
		return false;
	}
	sanitize->passes_left = list[0] & OVERWRITE_COUNT;
	sanitize->inverts = (list[0] & INVERT) != 0;
	fill_buffer(sanitize, list + LIST_HEADER_BYTES, length);
	return true;
}

static void is_abandoned(struct scsi_command *command)
{
	struct sanitize *sanitize = command->detached_state;

	sanitize->command = NULL;
}

static bool lane_has_no_medium_command(struct scsi_visit *visit, struct scsi_lane *lane)
{
	const struct sanitize *sanitize = visit->context;

	RT_LIST_FOR_EACH (node, &lane->executing) {
		const struct scsi_command *command = RT_CONTAINER_OF(node, struct scsi_command, in_lane);

		if ((command->operation->gate & SCSI_ACCESS_SANITIZING) && command->detached_state != sanitize)
			return false;
	}
	return true;
}

static void medium_is_free(struct scsi_visit *visit)
{
	struct sanitize *sanitize = visit->context;

	scsi_visit_free(visit);
	next_step(sanitize);
}

static void begin(struct sanitize *sanitize, struct scsi_visit *visit)
{
	struct scsi_command *command = sanitize->command;

	command->detached_state = sanitize;
	command->abandoned = is_abandoned;
	sanitize->map = scsi_lun_map_hold(command->nexus_lun->map);
	sanitize->pause.expired = pause_is_over;
	sanitize->blocks_in_all = scsi_unit_blocks(sanitize->unit) * sanitize->passes_left;
	atomic_store(&sanitize->unit->sanitize_progress, 0);
	sanitize->unit->sanitize_ause = (command->cdb[1] & AUSE) != 0;
	scsi_unit_set_access(sanitize->unit, SCSI_ACCESS_SANITIZING);
	scsi_unit_clear_access(sanitize->unit, SCSI_ACCESS_SANITIZE_FAILED);
	scsi_background_begin(&sanitize->background, command->nexus_lun->lane);
	scsi_access_unlock(command); /* who waits for it is told that the unit is being sanitized */
	visit->context = sanitize;
	visit->satisfied = lane_has_no_medium_command;
	visit->finished = medium_is_free;
	if (command->cdb[1] & IMMED) {
		sanitize->command = NULL;
		scsi_command_good(command);
	}
	scsi_visit_start(visit);
}

void sbc_sanitize(struct scsi_command *command)
{
	struct sanitize *sanitize = calloc(1, sizeof(*sanitize));
	struct scsi_visit *visit = scsi_visit_create(command->unit, NULL);
	bool ok = sanitize != NULL && visit != NULL;

	if (ok) {
		sanitize->unit = command->unit;
		sanitize->command = command;
		sanitize->passes_left = 1;
		ok = (command->cdb[1] & 0x1f) != OVERWRITE || take_overwrite(command, sanitize);
	} else {
		command->status = SCSI_BUSY;
	}
	if (ok) {
		begin(sanitize, visit);
		return;
	}
	if (visit != NULL)
		scsi_visit_free(visit);
	if (sanitize != NULL)
		free_sanitize(sanitize);
	scsi_command_finish(command);
}

/* SBC-4 5.30.5: only a sanitize operation that was started with AUSE may be left unfinished. */
void sbc_sanitize_exit_failure_mode(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;

	if ((scsi_unit_access(unit) & SCSI_ACCESS_SANITIZE_FAILED) && !unit->sanitize_ause) {
		scsi_sense_invalid_cdb_field(command, 1, 4);
		scsi_command_finish(command);
		return;
	}
	scsi_unit_clear_access(unit, SCSI_ACCESS_SANITIZE_FAILED);
	scsi_command_good(command);
}
