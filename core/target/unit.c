/* SPDX-License-Identifier: Apache-2.0 */
#include "target/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rt/log.h"
#include "target/check.h"

#define US_PER_S UINT64_C(1000000)

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

static void run_verb(struct store_job *job)
{
	struct target_unit *unit = RT_CONTAINER_OF(job, struct target_unit, job);
	struct store_spec spec;

	switch (unit->verb) {
	case TARGET_UNIT_OPEN:
		target_store_spec(unit->daemon, unit->spec, &spec);
		spec.event = target_unit_event;
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
	if (verb == TARGET_UNIT_OPEN && !unit->status)
		warn_of_size(unit);
	if (verb == TARGET_UNIT_REFRESH)
		target_unit_refreshed(unit);
	if (verb == TARGET_UNIT_CLOSE)
		unit->store = NULL;
	if (verb != TARGET_UNIT_REFRESH) {
		unit->finished(unit);
	} else if (unit->close_wanted) {
		start_verb(unit, TARGET_UNIT_CLOSE);
	} else if (unit->refresh_wanted) {
		target_unit_refresh(unit);
	}
}

void target_unit_refresh(struct target_unit *unit)
{
	if (unit->close_wanted)
		return;
	/* Until the verb has ended, the store belongs to the pool's thread. */
	unit->refresh_wanted = unit->verb != TARGET_UNIT_IDLE;
	if (!unit->refresh_wanted && unit->store)
		start_verb(unit, TARGET_UNIT_REFRESH);
}

void target_unit_init(struct target_unit *unit, const struct unit_spec *spec, const struct daemon_spec *daemon,
		      struct rt_loop *control, void *owner, unsigned index)
{
	*unit = (struct target_unit){
	    .spec = spec,
	    .daemon = daemon,
	    .control = control,
	    .owner = owner,
	    .index = index,
	    .job.run = run_verb,
	    .job_done.run = verb_done,
	};
	target_unit_watch_init(unit);
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
	unit->finished = finished;
	unit->close_wanted = true;
	target_unit_unwatch(unit);
	if (unit->logical_unit)
		scsi_logical_unit_destroy(unit->logical_unit);
	unit->logical_unit = NULL;
	if (!unit->store)
		finished(unit);
	else if (unit->verb == TARGET_UNIT_IDLE)
		start_verb(unit, TARGET_UNIT_CLOSE);
}
