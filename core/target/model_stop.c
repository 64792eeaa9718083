/* SPDX-License-Identifier: Apache-2.0
 *
 * The model's end, one step after another on the control loop: stop accepting -> finish -> flush -> close.
 */
#include <string.h>

#include "rt/log.h"
#include "target/model_private.h"

#define PLACE_BYTES 1024

static const char loss[] = "writes since its last successful flush may be lost, although initiators saw them complete";

static void finish_stop(struct target_model *model, enum target_stop_result result)
{
	rt_timer_cancel(&model->timer);
	model->stopped(model->stopped_context, result);
}

static void unit_closed(struct target_unit *unit)
{
	struct target_model *model = unit->owner;

	/* After the time-out it is too late: the end has been announced. */
	if (--model->outstanding == 0 && !model->is_stuck)
		finish_stop(model, model->has_lost ? TARGET_STOPPED_WITH_LOSS : TARGET_STOPPED);
}

static void close_units(struct target_model *model)
{
	/* One more than there are, so that units which close at once do not end the stop in mid-loop; and those that
	 * were on their way out before. */
	model->outstanding = model->unit_count + 1;
	RT_LIST_FOR_EACH (node, &model->retiring) {
		model->outstanding++;
	}
	model->closing = true;
	for (size_t i = 0; i < model->unit_count; i++)
		target_unit_close(model->units[i], unit_closed);
	if (--model->outstanding == 0)
		finish_stop(model, model->has_lost ? TARGET_STOPPED_WITH_LOSS : TARGET_STOPPED);
}

void target_model_stop_unit_retired(struct target_model *model)
{
	if (model->closing && --model->outstanding == 0 && !model->is_stuck)
		finish_stop(model, model->has_lost ? TARGET_STOPPED_WITH_LOSS : TARGET_STOPPED);
}

static void unit_quiet(struct target_unit *unit)
{
	struct target_model *model = unit->owner;
	char place[PLACE_BYTES];

	unit->is_quiet = true;
	if (unit->status) {
		rt_log_about(TARGET_ABOUT_UNIT(unit), RT_LOG_ERROR, "%s: flush failed: %s; %s",
			     target_unit_place(unit, place, sizeof(place)), strerror(-unit->status), loss);
		model->has_lost = true;
	}
	if (--model->outstanding == 0 && !model->is_stuck)
		close_units(model);
}

static void quiesce_units(struct target_model *model)
{
	model->outstanding = 1;
	for (size_t i = 0; i < model->unit_count; i++) {
		if (!model->units[i]->logical_unit)
			continue;
		model->outstanding++;
		target_unit_quiesce(model->units[i], unit_quiet);
	}
	if (--model->outstanding == 0)
		close_units(model);
}

static void server_stopped(struct rt_post *post)
{
	struct target_model *model = RT_CONTAINER_OF(post, struct target_model, server_stopped);

	if (!model->is_stuck)
		quiesce_units(model);
}

/* true: a store is open that has not been closed. */
static bool report_stuck(const struct target_unit *unit, const char *place, unsigned seconds)
{
	if (unit->verb == TARGET_UNIT_OPEN) {
		rt_log(RT_LOG_ERROR, "%s: its opening has not come back within shutdown_timeout_s (%u s)", place,
		       seconds);
		return false;
	}
	if (unit->logical_unit && !unit->is_quiet)
		rt_log_about(TARGET_ABOUT_UNIT(unit), RT_LOG_ERROR,
			     "%s: not flushed within shutdown_timeout_s (%u s); %s", place, seconds, loss);
	else if (unit->store)
		rt_log_about(TARGET_ABOUT_UNIT(unit), RT_LOG_ERROR, "%s: not closed within shutdown_timeout_s (%u s)",
			     place, seconds);
	return unit->logical_unit || unit->store;
}

static void stop_timed_out(struct rt_timer *timer)
{
	struct target_model *model = RT_CONTAINER_OF(timer, struct target_model, timer);
	unsigned seconds = model->configuration->daemon.shutdown_timeout_s;
	char place[PLACE_BYTES];
	bool is_open = !model->closing;

	model->is_stuck = true;
	for (size_t i = 0; i < model->unit_count; i++) {
		target_unit_place(model->units[i], place, sizeof(place));
		is_open |= report_stuck(model->units[i], place, seconds);
	}
	RT_LIST_FOR_EACH (node, &model->retiring) {
		const struct target_unit *unit = RT_CONTAINER_OF(node, struct target_unit, in_retiring);

		is_open |= report_stuck(unit, unit->name, seconds);
	}
	finish_stop(model, is_open || model->has_lost ? TARGET_STUCK : TARGET_STUCK_OPENING);
}

void target_model_stop(struct target_model *model, void (*stopped)(void *context, enum target_stop_result result),
		       void *context)
{
	uint64_t timeout_us = model->configuration->daemon.shutdown_timeout_s * RT_US_PER_S;

	model->stopped = stopped;
	model->stopped_context = context;
	if (model->is_stuck) {
		stopped(context, TARGET_STUCK);
		return;
	}
	model->timer.expired = stop_timed_out;
	rt_timer_arm(model->control, &model->timer, timeout_us);
	model->is_stopping = true;
	/* The model's own change ends by itself. */
	model->stop_waits = model->change != NULL;
	if (!model->stop_waits)
		target_model_stop_serving(model);
}

void target_model_stop_serving(struct target_model *model)
{
	uint64_t timeout_us = model->configuration->daemon.shutdown_timeout_s * RT_US_PER_S;

	model->stop_waits = false;
	if (model->is_stuck)
		return;
	for (size_t i = 0; i < model->unit_count; i++)
		rt_timer_cancel(&model->units[i]->retry_timer);
	RT_LIST_FOR_EACH (node, &model->portals) {
		target_model_portal_close(RT_CONTAINER_OF(node, struct model_portal, node));
	}
	if (!model->server_started) {
		quiesce_units(model);
		return;
	}
	/* Half of the time at most for the sessions, so that the flush has some left. */
	model->server_stopped.run = server_stopped;
	iscsi_server_stop(timeout_us / 2, &model->server_stopped);
}
