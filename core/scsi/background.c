/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/background.h"

#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "scsi/device_server.h"

void scsi_background_begin(struct scsi_background *background, struct scsi_lane *lane)
{
	background->lane = lane;
	rt_list_append(&lane->background, &background->in_lane);
}

void scsi_background_end(struct scsi_background *background)
{
	struct scsi_lane *lane = background->lane;

	rt_list_remove(&background->in_lane);
	if (!rt_list_is_empty(&lane->waiters))
		scsi_lane_recheck(lane);
}

static void flush_is_done(struct store_request *io)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct scsi_background *background = RT_CONTAINER_OF(io, struct scsi_background, io);

	if (io->status != 0)
		rt_log_limited_about(&limit, RT_ABOUT(.unit = background->lane->unit->name), RT_LOG_ERROR,
				     "%s: a flush that was answered ahead (IMMED) failed: %s",
				     background->lane->unit->name, strerror(-io->status));
	scsi_background_end(background);
	free(background);
}

static void flush_is_complete(struct scsi_command *command)
{
	scsi_command_good(command);
}

void scsi_background_flush(struct scsi_command *command)
{
	struct scsi_background *background = calloc(1, sizeof(*background));

	if (background == NULL) {
		scsi_command_submit_range(command, TGTKIT_FLUSH, 0, 0, 0, flush_is_complete);
		return;
	}
	background->io.operation = TGTKIT_FLUSH;
	background->io.done = flush_is_done;
	background->io.deadline_ns = rt_loop_now_ns(command->nexus->worker->loop) + command->unit->command_timeout_ns;
	scsi_background_begin(background, command->nexus_lun->lane);
	store_submit(command->unit->store, &background->io);
	scsi_command_good(command);
}
