/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a logical unit quiet: for offline, resize, deletion and shutdown.
 */
#include <errno.h>
#include <stdlib.h>

#include "scsi/device_server.h"

struct quiet_flush {
	struct rt_post post;
	struct store_request io;
	struct scsi_unit_quiesce *quiesce;
};

static void report(struct scsi_unit_quiesce *quiesce, int status)
{
	free(quiesce->private_state);
	quiesce->private_state = NULL;
	quiesce->status = status;
	rt_loop_post(quiesce->reply_to, &quiesce->done);
}

static void is_flushed(struct store_request *io)
{
	struct quiet_flush *flush = RT_CONTAINER_OF(io, struct quiet_flush, io);

	report(flush->quiesce, io->status);
}

static void submit_flush(struct rt_post *post)
{
	struct quiet_flush *flush = RT_CONTAINER_OF(post, struct quiet_flush, post);
	struct scsi_logical_unit *unit = flush->quiesce->unit;

	flush->io.operation = TGTKIT_FLUSH;
	flush->io.done = is_flushed;
	flush->io.deadline_ns = rt_loop_now_ns(rt_loop_current()) + unit->command_timeout_ns;
	store_submit(unit->store, &flush->io);
}

static void is_quiet(struct scsi_visit *visit)
{
	struct scsi_unit_quiesce *quiesce = visit->context;
	struct quiet_flush *flush = quiesce->private_state;

	scsi_visit_free(visit);
	if (flush == NULL) {
		report(quiesce, 0);
		return;
	}
	flush->post.run = submit_flush;
	rt_loop_post(rt_worker_get(0)->loop, &flush->post);
}

/* What waits for a lock is answered now. */
static void answer_parked(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	scsi_lane_run_parked(lane);
}

static bool lane_is_quiet(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	return rt_list_is_empty(&lane->executing) && rt_list_is_empty(&lane->parked) &&
	       rt_list_is_empty(&lane->background);
}

void scsi_logical_unit_quiesce(struct scsi_logical_unit *unit, struct scsi_unit_quiesce *quiesce)
{
	struct scsi_visit *visit = scsi_visit_create(unit, quiesce->reply_to);
	struct quiet_flush *flush = quiesce->flush ? calloc(1, sizeof(*flush)) : NULL;

	scsi_unit_set_access(unit, SCSI_ACCESS_QUIET);
	quiesce->unit = unit;
	quiesce->private_state = flush;
	if (visit == NULL || (quiesce->flush && flush == NULL)) {
		if (visit != NULL)
			scsi_visit_free(visit);
		report(quiesce, -ENOMEM);
		return;
	}
	if (flush != NULL)
		flush->quiesce = quiesce;
	visit->arrive = answer_parked;
	visit->satisfied = lane_is_quiet;
	visit->finished = is_quiet;
	visit->context = quiesce;
	scsi_visit_start(visit);
}

void scsi_logical_unit_resume(struct scsi_logical_unit *unit)
{
	scsi_unit_clear_access(unit, SCSI_ACCESS_QUIET);
}
