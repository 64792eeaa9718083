/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/target/fakes.h"

#include "scsi/figures.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct fakes fakes;

static struct store_job *jobs;

void fakes_init(void)
{
	memset(&fakes, 0, sizeof(fakes));
	jobs = NULL;
	fakes_can_take_over(false);
	ck_assert_int_eq(rt_loop_create(&fakes.control, "control", 0), 0);
}

void fakes_end(void)
{
	if (fakes.directory)
		iscsi_directory_drop(fakes.directory);
	rt_loop_destroy(fakes.control);
}

/* ---- The pool ------------------------------------------------------------------------------------------------------
 */

void store_pool_submit_control(struct store_job *job)
{
	struct store_job **end = &jobs;

	while (*end)
		end = &(*end)->next;
	job->next = NULL;
	*end = job;
}

unsigned fakes_run_jobs(void)
{
	struct store_job *job = jobs;
	unsigned count = 0;

	jobs = NULL;
	for (; job; count++) {
		struct store_job *next = job->next;

		job->run(job);
		job = next;
	}
	return count;
}

void fakes_settle(void)
{
	/* A job's result may start the next job; the model's longest chain is shorter than this. */
	for (unsigned i = 0; i < 16; i++) {
		fakes_run_jobs();
		rt_loop_turn(fakes.control, 0);
	}
}

/* ---- Plugins and stores --------------------------------------------------------------------------------------------
 */

static int refresh(void *handle, struct tgtkit_capabilities *capabilities, struct tgtkit_error *error)
{
	(void)handle;
	(void)capabilities;
	(void)error;
	ck_abort_msg("store_refresh stands between");
	return 0;
}

static int take_over(void *handle, struct tgtkit_error *error)
{
	(void)handle;
	(void)error;
	ck_abort_msg("store_take_over stands between");
	return 0;
}

static const struct tgtkit_blocking blocking = {.size = sizeof(blocking)};
static const struct tgtkit_async async = {.size = sizeof(async)};
static struct tgtkit_plugin descriptor = {
    .size = sizeof(descriptor),
    .name = "mem",
    .refresh = refresh,
    .blocking = &blocking,
};
static const struct store_plugin plugin = {.descriptor = &descriptor};

int store_plugins_resolve(const char *path, const char *backend, const struct store_plugin **found,
			  const char **plugin_path, char error[static STORE_ERROR_BYTES])
{
	if (strncmp(path, "mem:", 4) != 0 && !(backend && !strcmp(backend, "mem"))) {
		snprintf(error, STORE_ERROR_BYTES, "%s: no plugin", path);
		return -ENOENT;
	}
	*found = &plugin;
	*plugin_path = strncmp(path, "mem:", 4) == 0 ? path + 4 : path;
	return 0;
}

int store_values_parse(const struct store_plugin *of, const struct store_setting *settings, size_t count,
		       struct store_values *out, char error[static STORE_ERROR_BYTES])
{
	(void)of;
	for (size_t i = 0; i < count; i++) {
		bool is_good = !strcmp(settings[i].key, "fast")	   ? !strcmp(settings[i].value, "true")
			       : !strcmp(settings[i].key, "depth") ? strlen(settings[i].value) == 1
								   : false;

		if (is_good)
			continue;
		snprintf(error, STORE_ERROR_BYTES, "\"%s\" is bad for an option", settings[i].value);
		return -EINVAL;
	}
	*out = (struct store_values){0};
	return 0;
}

void store_values_free(struct store_values *values)
{
	(void)values;
}

int store_check(const struct store_spec *spec, char error[static STORE_ERROR_BYTES])
{
	if (!fakes.fail_open || strcmp(fakes.fail_open, spec->path) != 0)
		return 0;
	snprintf(error, STORE_ERROR_BYTES, "mem:%s: there is no such thing", spec->path);
	return -ENOENT;
}

int store_open(const struct store_spec *spec, struct store **store, char error[static STORE_ERROR_BYTES])
{
	struct store *self = &fakes.stores[fakes.store_count];

	if (store_check(spec, error))
		return -ENOENT;
	ck_assert_uint_lt(fakes.store_count++, FAKE_MAXIMUM);
	snprintf(self->path, sizeof(self->path), "%s", spec->path);
	self->size_bytes = spec->size_bytes ? spec->size_bytes : 1u << 20;
	self->is_open = true;
	self->created = spec->create;
	self->read_only = spec->read_only;
	self->event = spec->event;
	self->event_context = spec->event_context;
	if (fakes.identity)
		snprintf(self->capabilities.identity, sizeof(self->capabilities.identity), "%s", fakes.identity);
	if (fakes.event_in_open)
		spec->event(spec->event_context, fakes.event_in_open);
	*store = self;
	return 0;
}

int store_refresh(struct store *store, char error[static STORE_ERROR_BYTES])
{
	(void)error;
	ck_assert(store->is_open);
	store->refreshes++;
	if (fakes.refresh_status)
		return fakes.refresh_status;
	store->size_bytes += fakes.growth_bytes;
	return 0;
}

void store_close(struct store *store)
{
	ck_assert(store->is_open);
	store->is_open = false;
}

const struct tgtkit_capabilities *store_capabilities(const struct store *store)
{
	return &store->capabilities;
}

uint64_t store_size_bytes(const struct store *store)
{
	return store->size_bytes;
}

int store_take_over(struct store *store, char error[static STORE_ERROR_BYTES])
{
	store->take_overs++;
	if (fakes.take_over_status)
		snprintf(error, STORE_ERROR_BYTES, "cannot be taken over");
	else
		store->event(store->event_context, TGTKIT_EVENT_ACTIVE);
	return fakes.take_over_status;
}

void fakes_be_asynchronous(bool be)
{
	descriptor.async = be ? &async : NULL;
	descriptor.blocking = be ? NULL : &blocking;
}

void fakes_can_take_over(bool can)
{
	fakes_be_asynchronous(can);
	descriptor.take_over = can ? take_over : NULL;
}

int store_resize(struct store *store, uint64_t size_bytes, bool shrink, char error[static STORE_ERROR_BYTES])
{
	ck_assert(store->is_open);
	if (fakes.resize_status)
		snprintf(error, STORE_ERROR_BYTES, "resize refused");
	else
		store->size_bytes = size_bytes;
	fakes.shrink_asked = shrink;
	return fakes.resize_status;
}

/* ---- Logical units -------------------------------------------------------------------------------------------------
 */

int scsi_logical_unit_create(const struct scsi_logical_unit_spec *spec, struct scsi_logical_unit **unit)
{
	struct scsi_logical_unit *self = &fakes.units[fakes.unit_count];

	ck_assert_uint_lt(fakes.unit_count++, FAKE_MAXIMUM);
	ck_assert(spec->store->is_open);
	snprintf(self->name, sizeof(self->name), "%s", spec->name);
	snprintf(self->serial, sizeof(self->serial), "%s", spec->serial);
	self->store = spec->store;
	self->exists = true;
	self->read_only = spec->read_only;
	*unit = self;
	return 0;
}

void scsi_logical_unit_destroy(struct scsi_logical_unit *unit)
{
	ck_assert(unit->exists && unit->store->is_open);
	unit->exists = false;
}

void scsi_logical_unit_capacity_changed(struct scsi_logical_unit *unit)
{
	unit->capacity_changes++;
}

void scsi_logical_unit_set_standby(struct scsi_logical_unit *unit, bool standby)
{
	unit->standby = standby;
}

void scsi_logical_unit_set_available(struct scsi_logical_unit *unit, bool available)
{
	unit->available = available;
}

int scsi_logical_unit_set_port_groups(struct scsi_logical_unit *unit, const struct scsi_port_group *groups,
				      size_t count)
{
	(void)unit;
	(void)groups;
	(void)count;
	return 0;
}

void scsi_logical_unit_quiesce(struct scsi_logical_unit *unit, struct scsi_unit_quiesce *quiesce)
{
	ck_assert(unit->exists);
	unit->is_quiet = true;
	unit->quiesce = quiesce;
	quiesce->status = quiesce->flush ? fakes.flush_status : 0;
	if (!fakes.holds_quiesce)
		rt_loop_post(quiesce->reply_to, &quiesce->done);
}

void scsi_logical_unit_resume(struct scsi_logical_unit *unit)
{
	ck_assert(unit->exists && unit->is_quiet);
	unit->is_quiet = false;
}

void scsi_logical_unit_add_figures(const struct scsi_logical_unit *unit, unsigned worker, struct scsi_figures *sum)
{
	(void)worker;
	ck_assert(unit->exists);
	sum->ended[SCSI_FIGURES_READ]++;
}

void scsi_figures_sum(const struct scsi_figures *figures, struct scsi_figures *sum)
{
	sum->ended[SCSI_FIGURES_READ] += figures->ended[SCSI_FIGURES_READ];
}

/* ---- The server ----------------------------------------------------------------------------------------------------
 */

int iscsi_server_start(struct rt_loop *control, const struct iscsi_server_options *options)
{
	ck_assert_ptr_eq(control, fakes.control);
	ck_assert_uint_gt(options->max_connections, 0);
	fakes.server_runs = true;
	return 0;
}

void iscsi_server_publish(struct iscsi_directory *directory, struct rt_post *applied)
{
	ck_assert(fakes.server_runs);
	if (fakes.directory)
		iscsi_directory_drop(fakes.directory);
	fakes.directory = directory;
	fakes.publications++;
	rt_loop_post(fakes.control, applied);
}

int iscsi_listener_open(const struct sockaddr_storage *address, uint16_t portal_group_tag,
			struct iscsi_listener **listener, struct sockaddr_storage *bound)
{
	struct iscsi_listener *self = &fakes.listeners[fakes.listener_count];
	struct sockaddr_in *in = (struct sockaddr_in *)bound;

	ck_assert(fakes.publications > 0);
	*bound = *address;
	if (fakes.fail_listen_port && ntohs(in->sin_port) == fakes.fail_listen_port)
		return -EADDRINUSE;
	ck_assert_uint_lt(fakes.listener_count++, FAKE_MAXIMUM);
	if (in->sin_port == 0)
		in->sin_port = htons(40000);
	self->address = *bound;
	self->tag = portal_group_tag;
	self->is_open = true;
	*listener = self;
	return 0;
}

void iscsi_listener_close(struct iscsi_listener *listener)
{
	ck_assert(listener->is_open);
	listener->is_open = false;
}

void iscsi_server_stop(uint64_t timeout_us, struct rt_post *stopped)
{
	ck_assert(fakes.server_runs);
	fakes.server_runs = false;
	if (fakes.directory)
		iscsi_directory_drop(fakes.directory);
	fakes.directory = NULL;
	fakes.server_stop_timeout_us = timeout_us;
	rt_loop_post(fakes.control, stopped);
}
