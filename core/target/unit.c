/* SPDX-License-Identifier: Apache-2.0 */
#include "target/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rt/log.h"
#include "target/check.h"
#include "target/differ.h"
#include "target/figures.h"

#define NS_PER_US UINT64_C(1000)

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

/* Any thread, hence not the loop's time. */
static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * RT_US_PER_S * NS_PER_US + (uint64_t)now.tv_nsec;
}

static void open_takes(void *context, uint64_t duration_us)
{
	struct target_unit *unit = context;
	uint64_t limit_us = UINT64_MAX / 2 / NS_PER_US, until_ns;

	until_ns = now_ns() + (duration_us < limit_us ? duration_us : limit_us) * NS_PER_US;
	if (until_ns > atomic_load(&unit->open_until_ns))
		atomic_store(&unit->open_until_ns, until_ns);
}

uint64_t target_unit_open_left_us(const struct target_unit *unit)
{
	uint64_t now = now_ns(), until_ns = atomic_load(&unit->open_until_ns);

	if (unit->verb != TARGET_UNIT_OPEN)
		return UINT64_MAX;
	return until_ns <= now ? 0 : (until_ns - now + NS_PER_US - 1) / NS_PER_US;
}

static void run_verb(struct store_job *job)
{
	struct target_unit *unit = RT_CONTAINER_OF(job, struct target_unit, job);
	struct store_spec spec;

	switch (unit->verb) {
	case TARGET_UNIT_OPEN:
		target_store_spec(&unit->opening->daemon, unit->opening_spec, &spec);
		spec.event = target_unit_event;
		spec.open_takes = open_takes;
		spec.event_context = unit;
		unit->status = store_open(&spec, &unit->store, unit->error);
		break;
	case TARGET_UNIT_REFRESH:
		unit->status = store_refresh(unit->store, unit->error);
		break;
	case TARGET_UNIT_RESIZE:
		unit->status = store_resize(unit->store, unit->resize_bytes, unit->resize_shrinks, unit->error);
		break;
	case TARGET_UNIT_TAKE_OVER:
		unit->status = store_take_over(unit->store, unit->error);
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

static void warn_of_size(const struct target_unit *unit)
{
	uint64_t wanted = unit->spec->lun->size_bytes, real = store_size_bytes(unit->store);

	if (wanted && wanted != real)
		rt_log_about(TARGET_ABOUT_UNIT(unit), RT_LOG_WARNING,
			     "%s: has %" PRIu64 " bytes, not the %" PRIu64
			     " of the configuration: the store's own size counts",
			     unit->spec->name, real, wanted);
}

/* ---- Size ------------------------------------------------------------------------------------------------------- */

static void say_closing(struct target_unit *unit)
{
	unit->status = -ECANCELED;
	snprintf(unit->error, sizeof(unit->error), "%s: is being closed", unit->name);
}

static void finish_resize(struct target_unit *unit)
{
	void (*resized)(struct target_unit * unit) = unit->resized;

	unit->resize_wanted = false;
	unit->resized = NULL;
	if (!unit->status)
		target_unit_take_size(unit);
	/* It may be on its way out by now. */
	if (unit->resize_shrinks && unit->logical_unit)
		scsi_logical_unit_resume(unit->logical_unit);
	resized(unit);
}

static void begin_resize(struct target_unit *unit)
{
	unit->resize_wanted = true;
	if (unit->verb == TARGET_UNIT_IDLE)
		start_verb(unit, TARGET_UNIT_RESIZE);
}

static void start_quiesce(struct target_unit *unit);

/* Nothing may be under way beyond the new end. */
static void quiet_for_resize(struct rt_post *post)
{
	struct scsi_unit_quiesce *quiesce = RT_CONTAINER_OF(post, struct scsi_unit_quiesce, done);
	struct target_unit *unit = RT_CONTAINER_OF(quiesce, struct target_unit, quiesce);

	unit->resize_quiesces = false;
	unit->status = quiesce->status;
	if (unit->quiesce_wanted) {
		say_closing(unit);
		finish_resize(unit);
		start_quiesce(unit);
		return;
	}
	if (!unit->status) {
		begin_resize(unit);
		return;
	}
	snprintf(unit->error, sizeof(unit->error), "%s: cannot be flushed: %s", unit->name, strerror(-unit->status));
	finish_resize(unit);
}

int target_unit_resize(struct target_unit *unit, uint64_t size_bytes, bool shrink,
		       void (*resized)(struct target_unit *unit))
{
	if (unit->resized || unit->close_wanted || unit->retiring || !unit->logical_unit)
		return -EBUSY;
	unit->resized = resized;
	unit->resize_bytes = size_bytes;
	unit->resize_shrinks = shrink;
	if (!shrink) {
		begin_resize(unit);
		return 0;
	}
	unit->resize_quiesces = true;
	unit->quiesce = (struct scsi_unit_quiesce){
	    .done.run = quiet_for_resize, .reply_to = unit->control, .flush = !unit->opened_read_only};
	scsi_logical_unit_quiesce(unit->logical_unit, &unit->quiesce);
	return 0;
}

/* ---- Owner ------------------------------------------------------------------------------------------------------ */

static void finish_take_over(struct target_unit *unit)
{
	void (*taken_over)(struct target_unit * unit) = unit->taken_over;

	unit->take_over_wanted = false;
	unit->taken_over = NULL;
	taken_over(unit);
}

int target_unit_take_over(struct target_unit *unit, void (*taken_over)(struct target_unit *unit))
{
	if (unit->taken_over || unit->close_wanted || unit->retiring || !unit->logical_unit)
		return -EBUSY;
	unit->taken_over = taken_over;
	unit->take_over_wanted = true;
	if (unit->verb == TARGET_UNIT_IDLE)
		start_verb(unit, TARGET_UNIT_TAKE_OVER);
	return 0;
}

/* The unit is being closed: whoever wanted something of it behind the verb that has ended is told so. */
static void cancel_what_waits(struct target_unit *unit)
{
	say_closing(unit);
	if (unit->take_over_wanted)
		finish_take_over(unit);
	if (unit->resize_wanted)
		finish_resize(unit);
}

/* ---- Verbs ------------------------------------------------------------------------------------------------------ */

static void close_store(struct target_unit *unit)
{
	if (unit->store)
		start_verb(unit, TARGET_UNIT_CLOSE);
	else
		unit->finished(unit);
}

static void opened(struct target_unit *unit)
{
	struct target_configuration *opening = unit->opening;

	if (!unit->status)
		warn_of_size(unit);
	if (unit->close_wanted)
		close_store(unit);
	else
		unit->finished(unit);
	target_configuration_drop(opening);
}

static void verb_done(struct rt_post *post)
{
	struct target_unit *unit = RT_CONTAINER_OF(post, struct target_unit, job_done);
	enum target_unit_verb verb = unit->verb;

	unit->verb = TARGET_UNIT_IDLE;
	if (verb == TARGET_UNIT_OPEN) {
		opened(unit);
		return;
	}
	if (verb == TARGET_UNIT_CLOSE) {
		unit->store = NULL;
		unit->finished(unit);
		return;
	}
	if (verb == TARGET_UNIT_REFRESH)
		target_unit_refreshed(unit);
	if (verb == TARGET_UNIT_RESIZE)
		finish_resize(unit);
	if (verb == TARGET_UNIT_TAKE_OVER)
		finish_take_over(unit);
	if (unit->close_wanted)
		cancel_what_waits(unit);
	if (unit->verb != TARGET_UNIT_IDLE)
		return;
	if (unit->close_wanted)
		start_verb(unit, TARGET_UNIT_CLOSE);
	else if (unit->resize_wanted)
		start_verb(unit, TARGET_UNIT_RESIZE);
	else if (unit->take_over_wanted)
		start_verb(unit, TARGET_UNIT_TAKE_OVER);
	else if (unit->refresh_wanted)
		target_unit_refresh(unit);
}

void target_unit_refresh(struct target_unit *unit)
{
	if (unit->close_wanted)
		return;
	/* Until the verb has ended, the store belongs to the pool's thread; and one that came waits to be served. */
	unit->refresh_wanted = unit->verb != TARGET_UNIT_IDLE || target_unit_is_waiting(unit);
	if (!unit->refresh_wanted && unit->store)
		start_verb(unit, TARGET_UNIT_REFRESH);
}

struct target_unit *target_unit_create(struct target_configuration *configuration, const struct unit_spec *spec,
				       struct rt_loop *control, void *owner, unsigned index)
{
	struct target_unit *unit = malloc(sizeof(*unit));
	char *name = strdup(spec->name);

	if (!unit || !name) {
		free(unit);
		free(name);
		return NULL;
	}
	*unit = (struct target_unit){
	    .configuration = target_configuration_hold(configuration),
	    .spec = spec,
	    .daemon = &configuration->daemon,
	    .name = name,
	    .plugin_index = spec->plugin->index,
	    .online = spec->lun->online,
	    .opened_read_only = spec->read_only,
	    .control = control,
	    .owner = owner,
	    .index = index,
	    .job.run = run_verb,
	    .job_done.run = verb_done,
	};
	rt_list_init(&unit->in_retiring);
	target_unit_watch_init(unit);
	target_unit_retire_init(unit);
	target_unit_await_init(unit);
	return unit;
}

void target_unit_free(struct target_unit *unit)
{
	rt_list_remove(&unit->in_retiring);
	target_configuration_drop(unit->configuration);
	free(unit->name);
	free(unit->canonical_path);
	free(unit);
}

void target_unit_adopt(struct target_unit *unit, struct target_configuration *configuration,
		       const struct unit_spec *spec)
{
	struct target_configuration *old = unit->configuration;
	bool was_online = unit->spec->lun->online;
	bool differs = target_unit_difference(unit->spec->lun, spec->lun) || unit->spec->read_only != spec->read_only;

	unit->configuration = target_configuration_hold(configuration);
	unit->spec = spec;
	unit->daemon = &configuration->daemon;
	/* What was set at run time stays as long as the configuration says what it said. */
	if (spec->lun->online != was_online)
		target_unit_set_online(unit, spec->lun->online);
	if (differs && target_unit_is_waiting(unit))
		target_unit_described_anew(unit);
	target_configuration_drop(old);
}

void target_unit_open(struct target_unit *unit, void (*finished)(struct target_unit *unit))
{
	unit->finished = finished;
	unit->opening = target_configuration_hold(unit->configuration);
	unit->opening_spec = unit->spec;
	unit->opened_read_only = unit->spec->read_only;
	atomic_store(&unit->open_until_ns, now_ns() + unit->daemon->open_timeout_s * RT_US_PER_S * NS_PER_US);
	start_verb(unit, TARGET_UNIT_OPEN);
}

static int create_logical_unit(struct target_unit *unit, const char *reservations)
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
	    .read_only = unit->opened_read_only || (store_capabilities(unit->store)->flags & TGTKIT_READ_ONLY),
	    .removable = lun->removable,
	    .thin = lun->thin,
	    .write_cache = lun->write_cache,
	    .persistent_reservations = lun->features.persistent_reservations,
	    .compare_and_write = lun->features.compare_and_write,
	    .orwrite = lun->features.orwrite,
	    .extended_copy = lun->features.extended_copy,
	    .unmap = lun->features.unmap,
	    .save_reservations = unit->reservations.folder ? target_reservation_keep_save : NULL,
	    .save_context = &unit->reservations,
	    .saved_reservations = reservations,
	    .command_timeout_us = unit->daemon->command_timeout_s * RT_US_PER_S,
	    .task_management_timeout_us = unit->daemon->tmf_timeout_s * RT_US_PER_S,
	};

	return scsi_logical_unit_create(&spec, &unit->logical_unit);
}

int target_unit_serve(struct target_unit *unit, const struct target_state_folder *folder,
		      char error[static TARGET_ERROR_BYTES])
{
	char place[TARGET_ERROR_BYTES / 2], *reservations;
	int status;

	target_reservation_keep_init(&unit->reservations, folder, unit->serial);
	status = target_reservation_keep_read(&unit->reservations, &reservations, error);
	if (status)
		return status;
	status = create_logical_unit(unit, reservations);
	free(reservations);
	target_unit_place(unit, place, sizeof(place));
	if (status == -EBADMSG)
		snprintf(
		    error, TARGET_ERROR_BYTES,
		    "%.480s: its persistent reservations in %.256s/%s are damaged: restore the file from a backup, or "
		    "remove it, which releases them",
		    place, folder->path, unit->reservations.name);
	else if (status)
		snprintf(error, TARGET_ERROR_BYTES, "%s: cannot be served: %s", place, strerror(-status));
	else
		target_unit_watch(unit);
	return status;
}

static void quiesced(struct rt_post *post)
{
	struct scsi_unit_quiesce *quiesce = RT_CONTAINER_OF(post, struct scsi_unit_quiesce, done);
	struct target_unit *unit = RT_CONTAINER_OF(quiesce, struct target_unit, quiesce);

	unit->status = quiesce->status;
	unit->finished(unit);
}

static void start_quiesce(struct target_unit *unit)
{
	unit->quiesce_wanted = false;
	unit->quiesce = (struct scsi_unit_quiesce){
	    .done.run = quiesced,
	    .reply_to = unit->control,
	    .flush = !unit->opened_read_only,
	};
	scsi_logical_unit_quiesce(unit->logical_unit, &unit->quiesce);
}

void target_unit_quiesce(struct target_unit *unit, void (*finished)(struct target_unit *unit))
{
	unit->finished = finished;
	unit->quiesce_wanted = unit->resize_quiesces;
	if (!unit->resize_quiesces)
		start_quiesce(unit);
}

void target_unit_close(struct target_unit *unit, void (*finished)(struct target_unit *unit))
{
	unit->finished = finished;
	unit->close_wanted = true;
	target_unit_unwatch(unit);
	rt_timer_cancel(&unit->retry_timer);
	if (unit->logical_unit) {
		target_figures_keep(unit);
		scsi_logical_unit_destroy(unit->logical_unit);
	}
	unit->logical_unit = NULL;
	/* Else it goes on when the verb is done. */
	if (unit->verb == TARGET_UNIT_IDLE)
		close_store(unit);
}
