/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/task_management.h"

#include <stdlib.h>

#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/mode_pages.h"
#include "scsi/reservations.h"
#include "scsi/sense.h"
#include "scsi/task_management_private.h"
#include "scsi/unit_attention.h"

void scsi_task_set_abort(struct scsi_nexus_lun *nexus_lun, bool silently)
{
	RT_LIST_FOR_EACH (node, &nexus_lun->tasks)
		scsi_command_abort(RT_CONTAINER_OF(node, struct scsi_command, in_task_set), silently);
}

void scsi_command_mark_hung(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;

	if (command->hung || command->stage != SCSI_STAGE_EXECUTING || !(command->operation->flags & SCSI_OP_WRITES))
		return;
	command->hung = true;
	pthread_mutex_lock(&unit->mutex);
	unit->hung_commands++;
	scsi_unit_set_access(unit, SCSI_ACCESS_HUNG);
	pthread_mutex_unlock(&unit->mutex);
}

static void mark_hung_if_cancelled(struct scsi_command *command)
{
	if (command->cancelled)
		scsi_command_mark_hung(command);
}

void scsi_task_set_mark_hung(struct scsi_nexus_lun *nexus_lun)
{
	RT_LIST_FOR_EACH (node, &nexus_lun->tasks) {
		mark_hung_if_cancelled(RT_CONTAINER_OF(node, struct scsi_command, in_task_set));
	}
}

/* Functions within one task set: they wait in the I_T_L nexus's list. */
static void run_done(struct rt_deferred *deferred)
{
	struct scsi_task_management *function = RT_CONTAINER_OF(deferred, struct scsi_task_management, finish);

	function->done(function);
}

static void respond(struct scsi_task_management *function, enum scsi_task_response response)
{
	rt_timer_cancel(&function->timer);
	function->response = response;
	function->finish.run = run_done;
	rt_loop_defer(rt_worker_current()->loop, RT_PHASE_COMPLETE, &function->finish);
}

void scsi_task_management_recheck(struct rt_list *functions)
{
	struct rt_list *node;

	while ((node = rt_list_take_first(functions)) != NULL)
		respond(RT_CONTAINER_OF(node, struct scsi_task_management, waiting), SCSI_FUNCTION_COMPLETE);
}

static void mark_nexus_lun_hung(struct scsi_nexus_lun *nexus_lun, void *context)
{
	(void)context;
	scsi_task_set_mark_hung(nexus_lun);
}

static void local_timed_out(struct rt_timer *timer)
{
	struct scsi_task_management *function = RT_CONTAINER_OF(timer, struct scsi_task_management, timer);

	rt_list_remove(&function->waiting);
	if (function->nexus_lun != NULL)
		scsi_task_set_mark_hung(function->nexus_lun);
	else
		scsi_nexus_lun_for_each(function->nexus, mark_nexus_lun_hung, NULL);
	respond(function, SCSI_FUNCTION_REJECTED);
}

/* Until what it has aborted has ended, or the time is over. */
static void wait_for_end(struct scsi_task_management *function, struct rt_list *functions, uint64_t timeout_us)
{
	rt_list_append(functions, &function->waiting);
	function->timer.expired = local_timed_out;
	if (timeout_us != 0)
		rt_timer_arm(function->nexus->worker->loop, &function->timer, timeout_us);
}

static void start_local(struct scsi_task_management *function, struct scsi_nexus_lun *nexus_lun)
{
	if (function->function == SCSI_ABORT_TASK)
		scsi_command_abort(function->referenced, true);
	else
		scsi_task_set_abort(nexus_lun, true);
	if (nexus_lun->cancelled == 0) {
		respond(function, SCSI_FUNCTION_COMPLETE);
		return;
	}
	function->nexus_lun = nexus_lun;
	wait_for_end(function, &nexus_lun->functions,
		     nexus_lun->unit != NULL ? nexus_lun->unit->task_management_timeout_us : 0);
}

static void query(struct scsi_task_management *function, const struct scsi_nexus_lun *nexus_lun)
{
	bool found = function->function == SCSI_QUERY_TASK
			 ? function->referenced != NULL && function->referenced->registered
			 : nexus_lun->task_count > 0;

	respond(function, found ? SCSI_FUNCTION_SUCCEEDED : SCSI_FUNCTION_COMPLETE);
}

/* SAM-5 7.11: how many there are, and the sense of the one that would be reported next, which stays pending. */
static void query_event(struct scsi_task_management *function, const struct scsi_nexus_lun *nexus_lun)
{
	enum { ONE = 1 << 4, SEVERAL = 2 << 4 };
	struct scsi_sense sense;
	unsigned count = scsi_unit_attention_peek(nexus_lun, &sense);

	if (count == 0) {
		respond(function, SCSI_FUNCTION_COMPLETE);
		return;
	}
	function->additional_information[0] = (uint8_t)((count > 1 ? SEVERAL : ONE) | sense.key);
	function->additional_information[1] = (uint8_t)(sense.asc >> 8);
	function->additional_information[2] = (uint8_t)sense.asc;
	respond(function, SCSI_FUNCTION_SUCCEEDED);
}

static void lose_nexus(struct scsi_nexus_lun *nexus_lun, void *context)
{
	uint64_t *timeout_us = context;

	scsi_task_set_abort(nexus_lun, true);
	scsi_prevent_removal(nexus_lun, false);
	scsi_reservations_nexus_lost(nexus_lun);
	scsi_unit_attention_raise(nexus_lun, SCSI_UA_NEXUS_LOSS);
	if (*timeout_us < nexus_lun->unit->task_management_timeout_us)
		*timeout_us = nexus_lun->unit->task_management_timeout_us;
}

static void start_nexus_reset(struct scsi_task_management *function)
{
	uint64_t timeout_us = 0;

	scsi_nexus_lun_for_each(function->nexus, lose_nexus, &timeout_us);
	if (function->nexus->cancelled == 0)
		respond(function, SCSI_FUNCTION_COMPLETE);
	else
		wait_for_end(function, &function->nexus->functions, timeout_us);
}

/* Resets go to all lanes of one unit or several.  Visits outlive a function that has timed out, hence memory of their
 * own. */
struct reset {
	struct scsi_task_management *function; /* NULL: answered */
	unsigned units_left;
	size_t visit_count;
	struct reset_visit {
		struct reset *reset;
		struct scsi_visit *visit, *mark_hung; /* NULL: it has come home; it was not needed */
		struct scsi_nexus *nexus;
		struct scsi_lun_map *map; /* keeps the unit alive */
	} visits[];
};

static void announce_end(const struct scsi_nexus_lun *nexus_lun)
{
	const struct scsi_nexus *nexus = nexus_lun->nexus;

	if (nexus->commands_terminated != NULL && !rt_list_is_empty(&nexus_lun->tasks))
		nexus->commands_terminated(nexus->context, nexus_lun->lun);
}

static void reset_lane(struct scsi_visit *visit, struct scsi_lane *lane)
{
	const struct reset_visit *target = visit->context;

	RT_LIST_FOR_EACH (node, &lane->nexus_luns) {
		struct scsi_nexus_lun *nexus_lun = RT_CONTAINER_OF(node, struct scsi_nexus_lun, in_lane);

		if (nexus_lun->nexus != target->nexus)
			announce_end(nexus_lun);
		scsi_task_set_abort(nexus_lun, nexus_lun->nexus == target->nexus);
		scsi_prevent_removal(nexus_lun, false);
	}
	scsi_reservations_refresh_lane(lane);
	scsi_unit_attention_raise_lane(lane, SCSI_UA_RESET, NULL);
}

static bool lane_has_no_cancelled(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	return lane->cancelled == 0;
}

static void mark_lane_hung(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	RT_LIST_FOR_EACH (node, &lane->executing)
		mark_hung_if_cancelled(RT_CONTAINER_OF(node, struct scsi_command, in_lane));
}

static void free_reset(struct reset *reset)
{
	for (size_t i = 0; i < reset->visit_count; i++) {
		if (reset->visits[i].mark_hung != NULL)
			scsi_visit_free(reset->visits[i].mark_hung);
		if (reset->visits[i].visit != NULL)
			scsi_visit_free(reset->visits[i].visit);
		if (reset->visits[i].map != NULL)
			scsi_lun_map_drop(reset->visits[i].map);
	}
	free(reset);
}

static void unit_is_reset(struct scsi_visit *visit)
{
	struct reset_visit *target = visit->context;
	struct reset *reset = target->reset;

	scsi_visit_free(visit);
	target->visit = NULL;
	if (--reset->units_left > 0)
		return;
	if (reset->function != NULL)
		respond(reset->function, SCSI_FUNCTION_COMPLETE);
	free_reset(reset);
}

static void reset_timed_out(struct rt_timer *timer)
{
	struct scsi_task_management *function = RT_CONTAINER_OF(timer, struct scsi_task_management, timer);
	struct reset *reset = function->private_state;

	reset->function = NULL;
	for (size_t i = 0; i < reset->visit_count; i++) {
		struct reset_visit *target = &reset->visits[i];

		if (target->visit == NULL)
			continue;
		target->mark_hung->arrive = mark_lane_hung;
		scsi_visit_start(target->mark_hung);
		target->mark_hung = NULL;
	}
	respond(function, SCSI_FUNCTION_REJECTED);
}

static bool add_unit(struct reset *reset, struct scsi_nexus *nexus, struct scsi_logical_unit *unit)
{
	struct reset_visit *target = &reset->visits[reset->visit_count++];

	target->reset = reset;
	target->nexus = nexus;
	target->map = scsi_lun_map_hold(nexus->lun_map);
	target->visit = scsi_visit_create(unit, nexus->worker->loop);
	target->mark_hung = scsi_visit_create(unit, nexus->worker->loop);
	if (target->visit == NULL || target->mark_hung == NULL)
		return false;
	target->visit->arrive = reset_lane;
	target->visit->satisfied = lane_has_no_cancelled;
	target->visit->finished = unit_is_reset;
	target->visit->context = target;
	return true;
}

/* All visits are made before any starts: a reset is whole or does not happen. */
static void start_reset(struct scsi_task_management *function, struct scsi_logical_unit *const *units, size_t count)
{
	struct reset *reset = calloc(1, sizeof(*reset) + count * sizeof(reset->visits[0]));
	uint64_t timeout_us = 0;
	bool ready = reset != NULL;

	for (size_t i = 0; i < count && ready; i++)
		ready = add_unit(reset, function->nexus, units[i]);
	if (!ready) {
		if (reset != NULL)
			free_reset(reset);
		respond(function, SCSI_FUNCTION_REJECTED);
		return;
	}
	reset->function = function;
	reset->units_left = (unsigned)count;
	function->private_state = reset;
	for (size_t i = 0; i < count; i++) {
		if (timeout_us < units[i]->task_management_timeout_us)
			timeout_us = units[i]->task_management_timeout_us;
		scsi_mode_pages_reset(units[i]);
		scsi_reservations_reset(units[i]);
		scsi_visit_start(reset->visits[i].visit);
	}
	function->timer.expired = reset_timed_out;
	rt_timer_arm(function->nexus->worker->loop, &function->timer, timeout_us);
}

static int compare_units(const void *a, const void *b)
{
	const struct scsi_logical_unit *left = *(struct scsi_logical_unit *const *)a;
	const struct scsi_logical_unit *right = *(struct scsi_logical_unit *const *)b;

	return (left > right) - (left < right);
}

/* Every unit that the nexus reaches, once. */
static void start_target_reset(struct scsi_task_management *function)
{
	const struct scsi_lun_map *map = function->nexus->lun_map;
	struct scsi_logical_unit **units = calloc(map->count + 1, sizeof(*units));
	size_t count = 0;

	if (units == NULL || map->count == 0) {
		free(units);
		respond(function, map->count == 0 ? SCSI_FUNCTION_COMPLETE : SCSI_FUNCTION_REJECTED);
		return;
	}
	for (size_t i = 0; i < map->count; i++)
		units[i] = map->mappings[i].unit;
	qsort(units, map->count, sizeof(*units), compare_units);
	for (size_t i = 0; i < map->count; i++)
		if (units[i] != NULL && (count == 0 || units[count - 1] != units[i]))
			units[count++] = units[i];
	if (count != 0)
		start_reset(function, units, count);
	else
		respond(function, SCSI_FUNCTION_COMPLETE);
	free(units);
}

static struct scsi_nexus_lun *addressed(const struct scsi_task_management *function)
{
	struct scsi_nexus_lun *nexus_lun;
	enum scsi_lun_kind kind;
	uint16_t lun;

	nexus_lun = scsi_nexus_lun_find(function->nexus, function->lun, &kind, &lun);
	if (nexus_lun == NULL && (kind == SCSI_LUN_REPORT_LUNS ||
				  (kind == SCSI_LUN_NUMBER && scsi_lun_map_awaits(function->nexus->lun_map, lun))))
		return &function->nexus->without_unit;
	return nexus_lun;
}

static void start_on_lun(struct scsi_task_management *function)
{
	struct scsi_nexus_lun *nexus_lun = addressed(function);

	if (nexus_lun == NULL)
		respond(function, SCSI_FUNCTION_LUN_DOES_NOT_EXIST);
	else if (function->function == SCSI_QUERY_TASK || function->function == SCSI_QUERY_TASK_SET)
		query(function, nexus_lun);
	else if (function->function == SCSI_QUERY_ASYNCHRONOUS_EVENT)
		query_event(function, nexus_lun);
	else if (function->function == SCSI_LOGICAL_UNIT_RESET && nexus_lun->unit != NULL)
		start_reset(function, &nexus_lun->unit, 1);
	else
		start_local(function, nexus_lun);
}

void scsi_task_management_start(struct scsi_task_management *function)
{
	rt_list_init(&function->waiting);
	function->nexus_lun = NULL;
	if (function->function >= SCSI_QUERY_TASK && !function->nexus->newer_functions)
		respond(function, SCSI_FUNCTION_REJECTED);
	else if (function->function == SCSI_TARGET_RESET)
		start_target_reset(function);
	else if (function->function == SCSI_I_T_NEXUS_RESET)
		start_nexus_reset(function);
	else
		start_on_lun(function);
}
