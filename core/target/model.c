/* SPDX-License-Identifier: Apache-2.0
 *
 * The model's start, one step after another on the control loop: open -> name -> persist -> publish -> listen.
 */
#include "target/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "target/address.h"
#include "target/model_private.h"
#include "target/snapshot.h"

#define PLACE_BYTES 1024

static int make_units(struct target_model *model)
{
	struct target_configuration *configuration = model->configuration;

	model->units = calloc(configuration->unit_count + 1, sizeof(*model->units));
	if (!model->units)
		return -ENOMEM;
	for (size_t i = 0; i < configuration->unit_count; i++) {
		model->units[i] =
		    target_unit_create(configuration, &configuration->units[i], model->control, model, (unsigned)i);
		if (!model->units[i])
			return -ENOMEM;
		model->unit_count++;
	}
	return 0;
}

int target_model_create(struct rt_loop *control, struct target_configuration *configuration,
			struct target_model **model, char error[static TARGET_ERROR_BYTES])
{
	struct target_model *self = calloc(1, sizeof(*self));
	int status;

	if (!self) {
		snprintf(error, TARGET_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	status = target_ledger_open(configuration->daemon.state_dir, &self->ledger, error);
	if (status) {
		free(self);
		return status;
	}
	target_ledger_start_port_ids(&self->ledger, configuration->daemon.first_port_id);
	self->control = control;
	self->configuration = target_configuration_hold(configuration);
	rt_list_init(&self->retiring);
	rt_list_init(&self->portals);
	status = make_units(self);
	if (status) {
		snprintf(error, TARGET_ERROR_BYTES, "out of memory");
		target_model_free(self);
		return status;
	}
	*model = self;
	return 0;
}

void target_model_free(struct target_model *model)
{
	for (size_t i = 0; i < model->unit_count; i++)
		target_unit_free(model->units[i]);
	free(model->units);
	target_configuration_drop(model->configuration);
	target_ledger_close(&model->ledger);
	target_alua_free(model);
	free(model);
}

struct target_configuration *target_model_configuration(const struct target_model *model)
{
	return model->configuration;
}

const struct target_state_folder *target_model_state_folder(const struct target_model *model)
{
	return model->ledger.is_kept ? &model->ledger.folder : NULL;
}

struct target_unit *target_model_unit(const struct target_model *model, const struct lun_spec *lun)
{
	return model->units[lun->unit - model->configuration->units];
}

void target_model_cancel_start(struct target_model *model)
{
	model->start_canceled = true;
}

static void finish_start(struct target_model *model, int status)
{
	rt_timer_cancel(&model->timer);
	model->is_serving = !status;
	model->started(model->started_context, status);
	target_model_go_on(model);
}

/* ---- Listen --------------------------------------------------------------------------------------------------- */

int target_model_portal_open(const struct portal_group_spec *group, struct portal_spec *portal, struct rt_list *list,
			     char error[static TARGET_ERROR_BYTES])
{
	char text[TARGET_ADDRESS_BYTES], place[PLACE_BYTES];
	struct model_portal *self = calloc(1, sizeof(*self));
	int status = -ENOMEM;

	if (self)
		status = iscsi_listener_open(&portal->address, group->tag, &self->listener, &self->bound);
	if (status) {
		target_address_format(&portal->address, text);
		spec_origin_format(&portal->origin, place, sizeof(place));
		snprintf(error, TARGET_ERROR_BYTES, "%.500s: cannot listen on portal %s of group %u: %s", place, text,
			 group->tag, strerror(-status));
		free(self);
		return status;
	}
	rt_list_append(list, &self->node);
	self->tag = group->tag;
	self->wanted = portal->address;
	portal->address = self->bound;
	target_address_format(&self->bound, text);
	rt_log_about(RT_ABOUT(.address = text), RT_LOG_INFO, "listening on %s, portal group %u", text, group->tag);
	return 0;
}

void target_model_portal_close(struct model_portal *portal)
{
	char text[TARGET_ADDRESS_BYTES];

	target_address_format(&portal->bound, text);
	rt_log_about(RT_ABOUT(.address = text), RT_LOG_INFO, "no longer listening on %s, portal group %u", text,
		     portal->tag);
	rt_list_remove(&portal->node);
	iscsi_listener_close(portal->listener);
	free(portal);
}

static int open_portal(struct target_model *model, const struct portal_group_spec *group, struct portal_spec *spec)
{
	char error[TARGET_ERROR_BYTES];
	int status = target_model_portal_open(group, spec, &model->portals, error);
	const struct model_portal *portal;

	if (status) {
		rt_log(RT_LOG_ERROR, "%s", error);
		return status;
	}
	portal = RT_CONTAINER_OF(model->portals.previous, struct model_portal, node);
	model->picked_port |= !target_address_equal(&portal->wanted, &portal->bound);
	return 0;
}

static int open_portals(struct target_model *model)
{
	struct target_configuration *configuration = model->configuration;

	for (size_t i = 0; i < configuration->group_count; i++)
		for (size_t k = 0; k < configuration->groups[i].portal_count; k++) {
			int status =
			    open_portal(model, &configuration->groups[i], &configuration->groups[i].portals[k]);

			if (status)
				return status;
		}
	return 0;
}

/* ---- Publish -------------------------------------------------------------------------------------------------- */

static int start_server(struct target_model *model)
{
	const struct daemon_spec *daemon = &model->configuration->daemon;
	const struct iscsi_server_options options = {
	    .login_timeout_s = daemon->login_timeout_s,
	    .nop_interval_s = daemon->nop_interval_s,
	    .nop_timeout_s = daemon->nop_timeout_s,
	    .task_management_timeout_s = daemon->tmf_timeout_s,
	    .max_connections = daemon->max_connections,
	    .max_connections_per_address = daemon->max_connections_per_address,
	    .max_pending_logins = daemon->max_pending_logins,
	};
	int status = iscsi_server_start(model->control, &options);

	if (status)
		rt_log(RT_LOG_ERROR, "the iSCSI server cannot start: %s", strerror(-status));
	else
		model->server_started = true;
	return status;
}

/* Makes and publishes a snapshot; `applied` runs when every worker has it. */
static int publish(struct target_model *model, void (*applied)(struct rt_post *post))
{
	struct iscsi_directory *directory;
	char error[TARGET_ERROR_BYTES];
	int status = target_snapshot_create(model->configuration, model->units, &model->ledger, &directory, error);

	if (status) {
		rt_log(RT_LOG_ERROR, "%s", error);
		return status;
	}
	model->applied.run = applied;
	iscsi_server_publish(directory, &model->applied);
	return 0;
}

static void log_luns(const struct target_model *model)
{
	for (size_t i = 0; i < model->configuration->target_count; i++) {
		const struct target_spec *target = &model->configuration->targets[i];

		for (size_t k = 0; k < target->lun_count; k++) {
			const struct target_unit *unit = target_model_unit(model, &target->luns[k]);

			if (target_unit_is_waiting(unit))
				continue;
			rt_log_about(
			    RT_ABOUT(.target = target->name, .unit = unit->spec->name, .has_lun = true,
				     .lun = target->luns[k].lun),
			    RT_LOG_INFO, "serving %s, LUN %u: %s, %" PRIu64 " bytes, blocks of %u, serial %s%s",
			    target->name, target->luns[k].lun, unit->spec->name, store_size_bytes(unit->store),
			    unit->spec->lun->block_size, unit->serial, target->luns[k].read_only ? ", read-only" : "");
		}
	}
}

static void complete_directory_applied(struct rt_post *post)
{
	struct target_model *model = RT_CONTAINER_OF(post, struct target_model, applied);

	log_luns(model);
	finish_start(model, model->start_canceled ? -ECANCELED : 0);
}

/* The first snapshot is in force: initiators may come. */
static void directory_applied(struct rt_post *post)
{
	struct target_model *model = RT_CONTAINER_OF(post, struct target_model, applied);
	int status = open_portals(model);

	/* Discovery has to tell the ports that the kernel picked. */
	if (!status && model->picked_port)
		status = publish(model, complete_directory_applied);
	else if (!status)
		complete_directory_applied(post);
	if (status)
		finish_start(model, status);
}

/* ---- Name and persist ----------------------------------------------------------------------------------------- */

static void choose_serial(struct target_model *model, struct target_unit *unit)
{
	const char *identity = store_capabilities(unit->store)->identity;
	char canonical[TARGET_PATH_BYTES];

	/* Again, as `open` may have made the file. */
	target_canonical_path(unit->spec->plugin_path, canonical);
	free(unit->canonical_path);
	unit->canonical_path = strdup(canonical);
	if (*unit->spec->lun->serial) {
		snprintf(unit->serial, sizeof(unit->serial), "%s", unit->spec->lun->serial);
	} else if (*identity) {
		target_serial_from_identity(identity, unit->serial);
	} else {
		target_ledger_serial(&model->ledger, unit->spec->plugin->descriptor->name, canonical, unit->serial);
	}
}

static int refuse_same_serial(const struct target_unit *unit, const struct target_unit *other,
			      char error[static TARGET_ERROR_BYTES])
{
	char place[PLACE_BYTES], other_place[PLACE_BYTES];

	snprintf(error, TARGET_ERROR_BYTES,
		 "%.400s and %.400s have the same serial %s: initiators would take both for one disk; give one a "
		 "serial of its own",
		 target_unit_place(unit, place, sizeof(place)),
		 target_unit_place(other, other_place, sizeof(other_place)), unit->serial);
	return -EEXIST;
}

int target_model_serve_unit(struct target_model *model, struct target_unit *unit, struct target_unit *const *others,
			    size_t other_count, char error[static TARGET_ERROR_BYTES])
{
	choose_serial(model, unit);
	for (size_t i = 0; i < other_count; i++)
		if (others[i] && others[i] != unit && !strcmp(others[i]->serial, unit->serial))
			return refuse_same_serial(unit, others[i], error);
	return target_unit_serve(unit, model->ledger.is_kept ? &model->ledger.folder : NULL, error);
}

int target_model_name_ports(struct target_ledger *ledger, const struct target_configuration *configuration,
			    char error[static TARGET_ERROR_BYTES])
{
	uint16_t id;

	for (size_t i = 0; i < configuration->target_count; i++)
		for (size_t k = 0; k < configuration->targets[i].group_tag_count; k++) {
			const struct target_spec *target = &configuration->targets[i];
			int status = target_ledger_port_id(ledger, target->name, target->group_tags[k], &id);

			if (!status)
				continue;
			snprintf(error, TARGET_ERROR_BYTES,
				 "target %s: all 65535 relative target port ids have been given", target->name);
			return status;
		}
	return 0;
}

static void ledger_saved(struct target_ledger_save *save)
{
	struct target_model *model = RT_CONTAINER_OF(save, struct target_model, save);
	int status = model->start_canceled ? -ECANCELED : save->status;

	if (save->status)
		rt_log(RT_LOG_ERROR, "%s", save->error);
	if (!status)
		status = start_server(model);
	if (!status) {
		target_alua_apply(model, model->configuration, model->units);
		status = publish(model, directory_applied);
	}
	if (status)
		finish_start(model, status);
}

static int compare_serials(const void *a, const void *b)
{
	const struct target_unit *first = *(struct target_unit *const *)a, *second = *(struct target_unit *const *)b;

	return strcmp(first->serial, second->serial);
}

/* Of all units at once, as there may be many. */
static int check_serials(const struct target_model *model, char error[static TARGET_ERROR_BYTES])
{
	struct target_unit **units = calloc(model->unit_count + 1, sizeof(*units));
	size_t count = 0;
	int status = 0;

	if (!units) {
		snprintf(error, TARGET_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < model->unit_count; i++)
		if (!model->units[i]->awaited)
			units[count++] = model->units[i];
	qsort(units, count, sizeof(struct target_unit *), compare_serials);
	for (size_t i = 1; i < count && !status; i++)
		if (!strcmp(units[i - 1]->serial, units[i]->serial))
			status = refuse_same_serial(units[i], units[i - 1], error);
	free(units);
	return status;
}

static void name_and_persist(struct target_model *model)
{
	char error[TARGET_ERROR_BYTES];
	/* Before anything is persisted: which port ids the snapshot will need. */
	int status = target_model_name_ports(&model->ledger, model->configuration, error);

	for (size_t i = 0; i < model->unit_count && !status; i++)
		if (!model->units[i]->awaited)
			status = target_model_serve_unit(model, model->units[i], NULL, 0, error);
	if (!status)
		status = check_serials(model, error);
	if (status) {
		rt_log(RT_LOG_ERROR, "%s", error);
		finish_start(model, status);
		return;
	}
	model->save.done = ledger_saved;
	target_ledger_save(&model->ledger, &model->save, model->control);
}

/* ---- Open ----------------------------------------------------------------------------------------------------- */

static void all_opened(struct target_model *model)
{
	rt_timer_cancel(&model->timer);
	if (model->start_canceled)
		finish_start(model, -ECANCELED);
	else if (model->start_failed)
		finish_start(model, -EIO);
	else
		name_and_persist(model);
}

static void unit_opened(struct target_unit *unit)
{
	struct target_model *model = unit->owner;
	char place[PLACE_BYTES];

	if (unit->status && unit->daemon->retry_open_s) {
		target_model_await(model, unit);
	} else if (unit->status) {
		rt_log_about(TARGET_ABOUT_UNIT(unit), RT_LOG_ERROR, "%s: cannot be opened: %s",
			     target_unit_place(unit, place, sizeof(place)),
			     *unit->error ? unit->error : strerror(-unit->status));
		model->start_failed = true;
	}
	model->outstanding--;
	if (model->outstanding == 0 && !model->is_stuck)
		all_opened(model);
}

/* Until the first unit that the start waits for is late. */
static uint64_t open_left_us(const struct target_model *model)
{
	uint64_t least_us = UINT64_MAX;

	for (size_t i = 0; i < model->unit_count; i++) {
		uint64_t left_us = model->units[i]->awaited ? UINT64_MAX : target_unit_open_left_us(model->units[i]);

		least_us = left_us < least_us ? left_us : least_us;
	}
	return least_us;
}

static void go_on_without_late(struct target_model *model)
{
	for (size_t i = 0; i < model->unit_count; i++) {
		struct target_unit *unit = model->units[i];

		if (unit->awaited || target_unit_open_left_us(unit))
			continue;
		target_model_await(model, unit);
		model->outstanding--;
	}
	if (model->outstanding == 0)
		all_opened(model);
	else
		rt_timer_arm(model->control, &model->timer, open_left_us(model));
}

static void open_timed_out(struct rt_timer *timer)
{
	struct target_model *model = RT_CONTAINER_OF(timer, struct target_model, timer);
	uint64_t left_us = open_left_us(model);
	char place[PLACE_BYTES];

	if (left_us) {
		rt_timer_arm(model->control, &model->timer, left_us);
		return;
	}
	if (model->configuration->daemon.retry_open_s) {
		go_on_without_late(model);
		return;
	}
	for (size_t i = 0; i < model->unit_count; i++)
		if (!target_unit_open_left_us(model->units[i]))
			rt_log_about(TARGET_ABOUT_UNIT(model->units[i]), RT_LOG_ERROR,
				     "%s: has not opened within open_timeout_s (%u s)",
				     target_unit_place(model->units[i], place, sizeof(place)),
				     model->configuration->daemon.open_timeout_s);
	model->is_stuck = true;
	finish_start(model, -ETIMEDOUT);
}

void target_model_start(struct target_model *model, void (*started)(void *context, int status), void *context)
{
	model->started = started;
	model->started_context = context;
	model->timer.expired = open_timed_out;
	rt_timer_arm(model->control, &model->timer, model->configuration->daemon.open_timeout_s * UINT64_C(1000000));
	model->outstanding = model->unit_count;
	for (size_t i = 0; i < model->unit_count; i++)
		target_unit_open(model->units[i], unit_opened);
	if (model->unit_count == 0)
		all_opened(model);
}
