/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to a unit's backing store behind the daemon's back: events that its plugin raises, and changes of size
 * that only looking tells.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rt/log.h"
#include "target/unit.h"

/* Units are looked at one after another, so that a thousand of them do not need a thousand threads at once. */
#define STAGGER_US UINT64_C(37000)

static void apply_availability(struct target_unit *unit)
{
	bool available = unit->online && !atomic_load(&unit->lost) && !atomic_load(&unit->fenced);

	if (!unit->logical_unit)
		return;
	scsi_logical_unit_set_available(unit->logical_unit, available);
	scsi_logical_unit_set_standby(unit->logical_unit, atomic_load(&unit->standby));
}

static void handle_events(struct rt_post *post)
{
	struct target_unit *unit = RT_CONTAINER_OF(post, struct target_unit, event_post);

	/* First: whatever is reported from here on posts again. */
	atomic_store(&unit->event_posted, false);
	apply_availability(unit);
	if (atomic_exchange(&unit->capacity_changed, false))
		target_unit_refresh(unit);
}

static const char *event_text(enum tgtkit_event event)
{
	switch (event) {
	case TGTKIT_EVENT_CAPACITY_CHANGED:
		return "its capacity has changed";
	case TGTKIT_EVENT_LOST:
		return "its backend is lost: commands answer NOT READY until it is back";
	case TGTKIT_EVENT_BACK:
		return "its backend is back";
	case TGTKIT_EVENT_FENCED:
		return "another host took the store over: commands answer NOT READY until it is opened again";
	case TGTKIT_EVENT_STANDBY:
		return "another host has the store: the ports to this unit are in standby until it is taken over here "
		       "(tgtkit lun online)";
	case TGTKIT_EVENT_ACTIVE:
		return "this host has the store: the ports to this unit are active";
	}
	return "unknown event";
}

static enum rt_log_level event_level(enum tgtkit_event event)
{
	return event == TGTKIT_EVENT_LOST || event == TGTKIT_EVENT_FENCED || event == TGTKIT_EVENT_STANDBY
		   ? RT_LOG_WARNING
		   : RT_LOG_INFO;
}

/* Any thread. */
void target_unit_event(void *context, enum tgtkit_event event)
{
	struct target_unit *unit = context;

	rt_log_about(RT_ABOUT(.unit = unit->name), event_level(event), "%s: %s", unit->name, event_text(event));
	if (event == TGTKIT_EVENT_CAPACITY_CHANGED)
		atomic_store(&unit->capacity_changed, true);
	else if (event == TGTKIT_EVENT_FENCED)
		atomic_store(&unit->fenced, true);
	else if (event == TGTKIT_EVENT_STANDBY || event == TGTKIT_EVENT_ACTIVE)
		atomic_store(&unit->standby, event == TGTKIT_EVENT_STANDBY);
	else
		atomic_store(&unit->lost, event == TGTKIT_EVENT_LOST);
	if (!atomic_exchange(&unit->event_posted, true))
		rt_loop_post(unit->control, &unit->event_post);
}

/* A plugin may raise an event when its store changes, but need not be able to notice: a file grows without a word, and
 * that another host has died, or has taken the store, nobody may tell. */
static bool has_to_be_looked_at(const struct target_unit *unit)
{
	return unit->spec->plugin->descriptor->refresh && unit->daemon->refresh_interval_s;
}

static void arm_timer(struct target_unit *unit, uint64_t offset_us)
{
	uint64_t interval_us = unit->daemon->refresh_interval_s * RT_US_PER_S;

	if (has_to_be_looked_at(unit))
		rt_timer_arm(unit->control, &unit->refresh_timer, interval_us + offset_us % interval_us);
}

static void time_to_look(struct rt_timer *timer)
{
	target_unit_refresh(RT_CONTAINER_OF(timer, struct target_unit, refresh_timer));
}

/* Said once for each failure that lasts, and when it is over. */
static void report_failure(struct target_unit *unit)
{
	if (unit->status && unit->status != unit->refresh_status)
		rt_log_about(RT_ABOUT(.unit = unit->spec->name), RT_LOG_WARNING, "cannot be refreshed: %s",
			     unit->error);
	else if (!unit->status && unit->refresh_status)
		rt_log_about(RT_ABOUT(.unit = unit->spec->name), RT_LOG_INFO, "%s: can be refreshed again",
			     unit->spec->name);
	snprintf(unit->last_error, sizeof(unit->last_error), "%s", unit->status ? unit->error : "");
	unit->refresh_status = unit->status;
}

void target_unit_refreshed(struct target_unit *unit)
{
	report_failure(unit);
	if (!unit->close_wanted)
		arm_timer(unit, 0);
	if (!unit->status)
		target_unit_take_size(unit);
}

void target_unit_take_size(struct target_unit *unit)
{
	uint64_t size_bytes = store_size_bytes(unit->store);

	if (size_bytes == unit->size_bytes)
		return;
	unit->size_bytes = size_bytes;
	rt_log_about(RT_ABOUT(.unit = unit->spec->name), RT_LOG_INFO, "%s: has %" PRIu64 " bytes now", unit->spec->name,
		     size_bytes);
	if (unit->logical_unit)
		scsi_logical_unit_capacity_changed(unit->logical_unit);
}

void target_unit_set_online(struct target_unit *unit, bool online)
{
	if (unit->online != online)
		rt_log_about(RT_ABOUT(.unit = unit->name), RT_LOG_INFO, "%s: is %s now", unit->name,
			     online ? "online" : "offline");
	unit->online = online;
	apply_availability(unit);
}

void target_unit_watch_init(struct target_unit *unit)
{
	unit->event_post.run = handle_events;
	unit->refresh_timer.expired = time_to_look;
}

void target_unit_watch(struct target_unit *unit)
{
	unit->size_bytes = store_size_bytes(unit->store);
	apply_availability(unit);
	arm_timer(unit, unit->index * STAGGER_US);
	if (unit->refresh_wanted)
		target_unit_refresh(unit);
}

void target_unit_unwatch(struct target_unit *unit)
{
	rt_timer_cancel(&unit->refresh_timer);
}
