/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts a change of reservations into force: kept on stable storage if it has to be, then told to every lane.  When the
 * command is answered, nothing that is refused now is executing any more.
 */
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "scsi/device_server.h"
#include "scsi/reservations.h"
#include "scsi/task_management_private.h"

struct publication {
	struct scsi_command *command; /* NULL: answered because the time was over */
	struct scsi_logical_unit *unit;
	const struct scsi_nexus *issuer; /* compared only */
	const struct scsi_lane *lane;	 /* the command's */
	struct scsi_reservation_change change;
	struct scsi_reservations *previous;
	struct scsi_visit *visit, *mark_hung;
	struct scsi_lun_map *map; /* keeps the unit alive */
	struct rt_timer timer;
	struct scsi_reservation_save save;
};

static void free_publication(struct publication *publication)
{
	if (publication->visit != NULL)
		scsi_visit_free(publication->visit);
	if (publication->mark_hung != NULL)
		scsi_visit_free(publication->mark_hung);
	if (publication->map != NULL)
		scsi_lun_map_drop(publication->map);
	free(publication->save.text);
	free(publication->previous);
	free(publication);
}

static void tell(struct publication *publication, struct scsi_nexus_lun *nexus_lun)
{
	const struct scsi_reservation_change *change = &publication->change;

	if (publication->previous == NULL || nexus_lun->nexus == publication->issuer ||
	    scsi_reservations_find_nexus(publication->previous, nexus_lun->nexus) == NULL)
		return;
	if (scsi_reservations_find_nexus(change->next, nexus_lun->nexus) != NULL) {
		if (change->remaining_attention >= 0)
			scsi_unit_attention_raise(nexus_lun, (enum scsi_unit_attention)change->remaining_attention);
		return;
	}
	if (change->removed_attention >= 0)
		scsi_unit_attention_raise(nexus_lun, (enum scsi_unit_attention)change->removed_attention);
	if (change->aborts)
		scsi_task_set_abort(nexus_lun, false);
}

static void change_lane(struct scsi_visit *visit, struct scsi_lane *lane)
{
	scsi_reservations_refresh_lane(lane);
	RT_LIST_FOR_EACH (node, &lane->nexus_luns) {
		tell(visit->context, RT_CONTAINER_OF(node, struct scsi_nexus_lun, in_lane));
	}
}

static bool is_refused_now(const struct scsi_command *command)
{
	return (command->nexus_lun->refusals & command->operation->refusals & SCSI_REFUSE_RESERVED) != 0;
}

static bool lane_is_clear(struct scsi_visit *visit, struct scsi_lane *lane)
{
	const struct publication *publication = visit->context;
	/* The command itself may have been aborted meanwhile, by a reset: it does not wait for itself. */
	bool itself = lane == publication->lane && publication->command != NULL && publication->command->cancelled;

	if (publication->change.aborts && lane->cancelled > itself)
		return false;
	RT_LIST_FOR_EACH (node, &lane->executing) {
		if (is_refused_now(RT_CONTAINER_OF(node, struct scsi_command, in_lane)))
			return false;
	}
	return true;
}

static void in_force(struct scsi_visit *visit)
{
	struct publication *publication = visit->context;

	rt_timer_cancel(&publication->timer);
	if (publication->command != NULL)
		scsi_command_good(publication->command);
	scsi_visit_free(visit);
	free_publication(publication);
}

static void mark_lane_hung(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	RT_LIST_FOR_EACH (node, &lane->executing) {
		struct scsi_command *command = RT_CONTAINER_OF(node, struct scsi_command, in_lane);

		if (command->cancelled || is_refused_now(command))
			scsi_command_mark_hung(command);
	}
}

/* An old write may still land: until it has, the unit answers nobody, and the change is not reported as done. */
static void change_timed_out(struct rt_timer *timer)
{
	struct publication *publication = RT_CONTAINER_OF(timer, struct publication, timer);
	struct scsi_command *command = publication->command;

	publication->command = NULL;
	publication->mark_hung->arrive = mark_lane_hung;
	scsi_visit_start(publication->mark_hung);
	publication->mark_hung = NULL;
	scsi_sense_fail(command, SCSI_KEY_NOT_READY, SCSI_ASC_NOT_READY_TARGET_PORT_UNAVAILABLE);
	scsi_command_finish(command);
}

static void put_in_force(struct publication *publication)
{
	struct scsi_logical_unit *unit = publication->unit;

	pthread_mutex_lock(&unit->mutex);
	if (publication->change.next != NULL) {
		publication->previous = unit->reservations;
		unit->reservations = publication->change.next;
	} else {
		unit->legacy_holder = publication->change.legacy_holder;
	}
	pthread_mutex_unlock(&unit->mutex);
	publication->timer.expired = change_timed_out;
	rt_timer_arm(rt_worker_current()->loop, &publication->timer, unit->task_management_timeout_us);
	publication->visit->context = publication;
	publication->visit->arrive = change_lane;
	publication->visit->satisfied = lane_is_clear;
	publication->visit->finished = in_force;
	scsi_visit_start(publication->visit);
	publication->visit = NULL;
}

static void is_saved(struct rt_post *post)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct publication *publication = RT_CONTAINER_OF(post, struct publication, save.done);
	struct scsi_command *command = publication->command;

	if (publication->save.status == 0) {
		put_in_force(publication);
		return;
	}
	rt_log_limited_about(&limit, RT_ABOUT(.unit = publication->unit->name), RT_LOG_ERROR,
			     "%s: cannot keep the reservations over a restart: %s; the change was refused",
			     publication->unit->name, strerror(-publication->save.status));
	scsi_sense_fail(command, SCSI_KEY_HARDWARE_ERROR, SCSI_ASC_INTERNAL_TARGET_FAILURE);
	scsi_command_finish(command);
	free(publication->change.next);
	free_publication(publication);
}

/* Also when they no longer have to be kept: what was kept must not come back. */
static bool has_to_be_saved(const struct publication *publication)
{
	const struct scsi_reservations *next = publication->change.next;

	return publication->unit->save_reservations != NULL && next != NULL &&
	       (next->persists || publication->unit->reservations->persists);
}

static bool prepare_save(struct publication *publication)
{
	if (!has_to_be_saved(publication))
		return true;
	publication->save.reply_to = rt_worker_current()->loop;
	publication->save.done.run = is_saved;
	if (!publication->change.next->persists)
		return true;
	publication->save.text = scsi_reservations_to_text(publication->change.next);
	return publication->save.text != NULL;
}

static struct publication *create(struct scsi_command *command, const struct scsi_reservation_change *change)
{
	struct publication *publication = calloc(1, sizeof(*publication));

	if (publication == NULL)
		return NULL;
	publication->command = command;
	publication->unit = command->unit;
	publication->issuer = command->nexus;
	publication->lane = command->nexus_lun->lane;
	publication->change = *change;
	publication->map = scsi_lun_map_hold(command->nexus_lun->map);
	publication->visit = scsi_visit_create(command->unit, NULL);
	publication->mark_hung = scsi_visit_create(command->unit, NULL);
	if (publication->visit != NULL && publication->mark_hung != NULL && prepare_save(publication))
		return publication;
	free_publication(publication);
	return NULL;
}

void scsi_reservations_publish(struct scsi_command *command, const struct scsi_reservation_change *change)
{
	struct publication *publication = create(command, change);

	if (publication == NULL) {
		free(change->next);
		command->status = SCSI_BUSY;
		scsi_command_finish(command);
		return;
	}
	if (has_to_be_saved(publication))
		publication->unit->save_reservations(publication->unit->save_context, &publication->save);
	else
		put_in_force(publication);
}
