/* SPDX-License-Identifier: Apache-2.0
 *
 * A unit whose store could not be opened, and is tried again until it is there.
 */
#include <stdio.h>
#include <string.h>

#include "rt/log.h"
#include "target/differ.h"
#include "target/unit.h"

#define PLACE_BYTES 1024
/* Twice as long from one attempt to the next, but no longer than this or, if that is more, retry_open_s. */
#define MOST_PAUSE_US (60 * RT_US_PER_S)
/* Stores of one cause that come back at one time are not all tried in the same moment. */
#define STAGGER_US UINT64_C(37000)

static uint64_t pause_us(const struct target_unit *unit)
{
	uint64_t first_us = unit->daemon->retry_open_s * RT_US_PER_S, pause = first_us;

	/* Those that wait already go on when no others shall. */
	if (!first_us)
		return MOST_PAUSE_US;
	for (unsigned i = 1; i < unit->attempts && pause < MOST_PAUSE_US; i++)
		pause *= 2;
	if (pause > MOST_PAUSE_US)
		pause = first_us > MOST_PAUSE_US ? first_us : MOST_PAUSE_US;
	return pause;
}

static void arm(struct target_unit *unit)
{
	uint64_t pause = pause_us(unit);

	rt_timer_arm(unit->control, &unit->retry_timer, pause + unit->index * STAGGER_US % (pause / 8));
}

/* Each cause is said once. */
static void take_failure(struct target_unit *unit, const char *reason)
{
	char place[PLACE_BYTES];

	if (strcmp(unit->last_error, reason))
		rt_log(RT_LOG_WARNING, "%s: cannot be opened, and is tried again: %s",
		       target_unit_place(unit, place, sizeof(place)), reason);
	snprintf(unit->last_error, sizeof(unit->last_error), "%s", reason);
	unit->attempts++;
}

static void closed_again(struct target_unit *unit)
{
	if (!unit->retiring)
		arm(unit);
}

static void closed_for_another_description(struct target_unit *unit)
{
	target_unit_retry_now(unit);
}

static void close_store(struct target_unit *unit, void (*closed)(struct target_unit *unit))
{
	unit->arrived = false;
	target_unit_close(unit, closed);
	unit->close_wanted = false;
}

static void tried(struct target_unit *unit)
{
	/* It is closed as soon as nobody maps it. */
	if (unit->retiring)
		return;
	if (unit->status) {
		take_failure(unit, *unit->error ? unit->error : strerror(-unit->status));
		arm(unit);
	} else if (target_unit_is_opened_otherwise(unit)) {
		close_store(unit, closed_for_another_description);
	} else {
		unit->arrived = true;
		unit->came(unit);
	}
}

static void attempt(struct target_unit *unit)
{
	/* What an earlier store of the unit has reported is nothing to this one. */
	atomic_store(&unit->lost, false);
	atomic_store(&unit->fenced, false);
	atomic_store(&unit->standby, false);
	target_unit_open(unit, tried);
}

static void time_to_try(struct rt_timer *timer)
{
	struct target_unit *unit = RT_CONTAINER_OF(timer, struct target_unit, retry_timer);

	if (unit->retiring)
		return;
	if (unit->arrived)
		unit->came(unit);
	else
		attempt(unit);
}

void target_unit_await(struct target_unit *unit, void (*came)(struct target_unit *unit))
{
	char late[STORE_ERROR_BYTES];

	unit->awaited = true;
	unit->came = came;
	if (unit->verb == TARGET_UNIT_OPEN) {
		snprintf(late, sizeof(late), "has not opened within open_timeout_s (%u s)",
			 unit->daemon->open_timeout_s);
		take_failure(unit, late);
		unit->finished = tried;
		return;
	}
	take_failure(unit, *unit->error ? unit->error : strerror(-unit->status));
	arm(unit);
}

void target_unit_await_again(struct target_unit *unit, const char *reason)
{
	take_failure(unit, reason);
	close_store(unit, closed_again);
}

void target_unit_come_again(struct target_unit *unit)
{
	unit->attempts++;
	arm(unit);
}

void target_unit_retry_now(struct target_unit *unit)
{
	if (!target_unit_is_waiting(unit) || unit->arrived || unit->retiring || unit->verb != TARGET_UNIT_IDLE)
		return;
	rt_timer_cancel(&unit->retry_timer);
	unit->attempts = 0;
	attempt(unit);
}

void target_unit_described_anew(struct target_unit *unit)
{
	/* One that came as what it was before is not what is wanted now. */
	if (unit->arrived && unit->verb == TARGET_UNIT_IDLE)
		close_store(unit, closed_for_another_description);
	else
		target_unit_retry_now(unit);
}

bool target_unit_is_opened_otherwise(const struct target_unit *unit)
{
	return target_unit_difference(unit->opening_spec->lun, unit->spec->lun) ||
	       unit->opened_read_only != unit->spec->read_only;
}

void target_unit_has_come(struct target_unit *unit)
{
	unit->awaited = unit->arrived = false;
	unit->attempts = 0;
	unit->last_error[0] = '\0';
}

void target_unit_await_init(struct target_unit *unit)
{
	unit->retry_timer.expired = time_to_try;
}
