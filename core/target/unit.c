/* SPDX-License-Identifier: Apache-2.0 */
#include "target/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rt/log.h"
#include "target/check.h"

#define US_PER_S	UINT64_C(1000000)
#define GROWTH_CHECK_US (5 * US_PER_S)

static void start_verb(struct target_unit *unit, enum target_unit_verb verb);

const char *target_unit_place(const struct target_unit *unit, char *text, size_t size)
{
	const struct lun_spec *lun = unit->spec->lun;
	const struct spec_key_line *path = spec_origin_find(&lun->origin, "path");
	int length =
	    snprintf(text, size, "target %s, LUN %u (%s", unit->spec->target->name, lun->lun, unit->spec->name);

	if (length < 0 || (size_t)length >= size)
		return text;
	if (path && path->file)
		snprintf(text + length, size - (size_t)length, ", %s:%u)", path->file, path->line);
	else
		snprintf(text + length, size - (size_t)length, ")");
	return text;
}

/* ---- Events of the backend ------------------------------------------------------------------------------------ */

static void apply_availability(struct target_unit *unit)
{
	bool available = unit->spec->lun->online && !atomic_load(&unit->lost) && !atomic_load(&unit->fenced);

	if (unit->logical_unit)
		scsi_logical_unit_set_available(unit->logical_unit, available);
}

static void handle_events(struct rt_post *post)
{
	struct target_unit *unit = RT_CONTAINER_OF(post, struct target_unit, event_post);

	/* First: whatever is reported from here on posts again. */
	atomic_store(&unit->event_posted, false);
	apply_availability(unit);
	if (!atomic_exchange(&unit->capacity_changed, false) || !unit->store || unit->close_wanted)
		return;
	if (unit->verb == TARGET_UNIT_IDLE)
		start_verb(unit, TARGET_UNIT_REFRESH);
	else
		unit->refresh_wanted = true;
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
	}
	return "unknown event";
}

/* Any thread. */
static void store_event(void *context, enum tgtkit_event event)
{
	struct target_unit *unit = context;

	rt_log(event == TGTKIT_EVENT_CAPACITY_CHANGED || event == TGTKIT_EVENT_BACK ? RT_LOG_INFO : RT_LOG_WARNING,
	       "%s: %s", unit->spec->name, event_text(event));
	if (event == TGTKIT_EVENT_CAPACITY_CHANGED)
		atomic_store(&unit->capacity_changed, true);
	else if (event == TGTKIT_EVENT_FENCED)
		atomic_store(&unit->fenced, true);
	else
		atomic_store(&unit->lost, event == TGTKIT_EVENT_LOST);
	if (!atomic_exchange(&unit->event_posted, true))
		rt_loop_post(unit->control, &unit->event_post);
}

/* ---- Control verbs -------------------------------------------------------------------------------------------- */

static void run_verb(struct store_job *job)
{
	struct target_unit *unit = RT_CONTAINER_OF(job, struct target_unit, job);
	struct store_spec spec;

	switch (unit->verb) {
	case TARGET_UNIT_OPEN:
		target_store_spec(unit->daemon, unit->spec, &spec);
		spec.event = store_event;
		spec.event_context = unit;
		unit->status = store_open(&spec, &unit->store, unit->error);
		break;
	case TARGET_UNIT_REFRESH:
		unit->status = store_refresh(unit->store, unit->error);
		break;
	case TARGET_UNIT_CLOSE:
		store_close(unit->store);
		unit->status = 0;
		break;
	case TARGET_UNIT_IDLE:
		break;
	}
	rt_loop_post(unit->control, &unit->job_done);
}

static void start_verb(struct target_unit *unit, enum target_unit_verb verb)
{
	unit->verb = verb;
	unit->error[0] = '\0';
	store_pool_submit_control(&unit->job);
}

static void refresh_done(struct target_unit *unit)
{
	if (unit->status) {
		rt_log(RT_LOG_WARNING, "%s: cannot be refreshed: %s", unit->spec->name, unit->error);
		return;
	}
	if (store_size_bytes(unit->store) == unit->known_bytes)
		return;
	unit->known_bytes = store_size_bytes(unit->store);
	if (unit->logical_unit)
		scsi_logical_unit_capacity_changed(unit->logical_unit);
	rt_log(RT_LOG_INFO, "%s: has %" PRIu64 " bytes now", unit->spec->name, unit->known_bytes);
}

/* A store of the blocking tier has no thread of its own to notice that its size has changed: it is asked. */
static void look_for_growth(struct rt_timer *timer)
{
	struct target_unit *unit = RT_CONTAINER_OF(timer, struct target_unit, growth_timer);

	if (unit->verb == TARGET_UNIT_IDLE && unit->store && !unit->close_wanted)
		start_verb(unit, TARGET_UNIT_REFRESH);
	rt_timer_arm(unit->control, timer, GROWTH_CHECK_US);
}

static void opened(struct target_unit *unit)
{
	const struct tgtkit_plugin *descriptor = unit->spec->plugin->descriptor;

	unit->known_bytes = store_size_bytes(unit->store);
	unit->growth_timer.expired = look_for_growth;
	if (descriptor->blocking && descriptor->refresh)
		rt_timer_arm(unit->control, &unit->growth_timer, GROWTH_CHECK_US);
}

static void warn_of_size(const struct target_unit *unit)
{
	uint64_t wanted = unit->spec->lun->size_bytes, real = store_size_bytes(unit->store);

	if (wanted && wanted != real)
		rt_log(RT_LOG_WARNING,
		       "%s: has %" PRIu64 " bytes, not the %" PRIu64
		       " of the configuration: the store's own size counts",
		       unit->spec->name, real, wanted);
}

static void verb_done(struct rt_post *post)
{
	struct target_unit *unit = RT_CONTAINER_OF(post, struct target_unit, job_done);
	enum target_unit_verb verb = unit->verb;

	unit->verb = TARGET_UNIT_IDLE;
	if (verb == TARGET_UNIT_OPEN && !unit->status) {
		warn_of_size(unit);
		opened(unit);
	}
	if (verb == TARGET_UNIT_REFRESH)
		refresh_done(unit);
	if (verb == TARGET_UNIT_CLOSE)
		unit->store = NULL;
	if (verb != TARGET_UNIT_REFRESH) {
		unit->finished(unit);
	} else if (unit->close_wanted) {
		start_verb(unit, TARGET_UNIT_CLOSE);
	} else if (unit->refresh_wanted) {
		unit->refresh_wanted = false;
		start_verb(unit, TARGET_UNIT_REFRESH);
	}
}

void target_unit_init(struct target_unit *unit, const struct unit_spec *spec, const struct daemon_spec *daemon,
		      struct rt_loop *control, void *owner)
{
	*unit = (struct target_unit){
	    .spec = spec,
	    .daemon = daemon,
	    .control = control,
	    .owner = owner,
	    .job.run = run_verb,
	    .job_done.run = verb_done,
	    .event_post.run = handle_events,
	};
}

void target_unit_open(struct target_unit *unit, void (*finished)(struct target_unit *unit))
{
	unit->finished = finished;
	start_verb(unit, TARGET_UNIT_OPEN);
}

int target_unit_serve(struct target_unit *unit)
{
	const struct lun_spec *lun = unit->spec->lun;
	const struct scsi_logical_unit_spec spec = {
	    .name = unit->spec->name,
	    .store = unit->store,
	    .logical_block_bytes = lun->block_size,
	    .physical_block_bytes = lun->physical_block_size,
	    .serial = unit->serial,
	    .vendor = lun->vendor,
	    .product = lun->product,
	    .read_only = unit->spec->read_only || (store_capabilities(unit->store)->flags & TGTKIT_READ_ONLY),
	    .removable = lun->removable,
	    .thin = lun->thin,
	    .write_cache = lun->write_cache,
	    .persistent_reservations = lun->features.persistent_reservations,
	    .compare_and_write = lun->features.compare_and_write,
	    .orwrite = lun->features.orwrite,
	    .extended_copy = lun->features.extended_copy,
	    .unmap = lun->features.unmap,
	    .command_timeout_us = unit->daemon->command_timeout_s * US_PER_S,
	    .task_management_timeout_us = unit->daemon->tmf_timeout_s * US_PER_S,
	};
	int status = scsi_logical_unit_create(&spec, &unit->logical_unit);

	if (!status)
		apply_availability(unit);
	return status;
}

static void quiesced(struct rt_post *post)
{
	struct scsi_unit_quiesce *quiesce = RT_CONTAINER_OF(post, struct scsi_unit_quiesce, done);
	struct target_unit *unit = RT_CONTAINER_OF(quiesce, struct target_unit, quiesce);

	unit->status = quiesce->status;
	unit->finished(unit);
}

void target_unit_quiesce(struct target_unit *unit, void (*finished)(struct target_unit *unit))
{
	unit->finished = finished;
	unit->quiesce = (struct scsi_unit_quiesce){
	    .done.run = quiesced,
	    .reply_to = unit->control,
	    .flush = !unit->spec->read_only,
	};
	scsi_logical_unit_quiesce(unit->logical_unit, &unit->quiesce);
}

void target_unit_close(struct target_unit *unit, void (*finished)(struct target_unit *unit))
{
	rt_timer_cancel(&unit->growth_timer);
	unit->finished = finished;
	unit->close_wanted = true;
	if (unit->logical_unit)
		scsi_logical_unit_destroy(unit->logical_unit);
	unit->logical_unit = NULL;
	if (!unit->store)
		finished(unit);
	else if (unit->verb == TARGET_UNIT_IDLE)
		start_verb(unit, TARGET_UNIT_CLOSE);
}
