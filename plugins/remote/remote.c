/* SPDX-License-Identifier: Apache-2.0
 *
 * The plugin "remote": the export of an NBD server, through libnbd.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "unit.h"

/* The host gives an open ten seconds by default, and this knows better what it failed for. */
#define OPEN_LIMIT_NS (8 * NS_PER_S)

static const struct tgtkit_host *the_host;

/* ---- Control verbs ------------------------------------------------------------------------------------------------- */

static int remote_check(const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	struct remote_settings settings;
	const int status = remote_settings_read(&settings, args, error);

	if (status == 0)
		remote_settings_free(&settings);
	return status;
}

static void set_up_connections(struct remote_unit *unit, struct nbd_handle *first)
{
	unit->connection_count = unit->export.multi_conn ? unit->settings.connections : 1;
	if (unit->connection_count < unit->settings.connections)
		unit->host->log(unit->unit, TGTKIT_LOG_WARNING,
				"one connection instead of %u: the server does not say that several see the same data",
				unit->settings.connections);
	for (unsigned i = 0; i < unit->connection_count; i++) {
		struct remote_connection *connection = &unit->connections[i];

		connection->unit = unit;
		connection->number = i + 1;
		connection->fd = -1;
		STAILQ_INIT(&connection->answered);
	}
	unit->connections[0].nbd = first;
}

static struct remote_unit *make_unit(const struct tgtkit_open_args *args)
{
	struct remote_unit *unit = calloc(1, sizeof(*unit));

	if (unit == NULL)
		return NULL;
	unit->host = the_host;
	unit->unit = args->unit;
	unit->started_fd = -1;
	pthread_mutex_init(&unit->lock, NULL);
	pthread_cond_init(&unit->start_is_over, NULL);
	TAILQ_INIT(&unit->outstanding);
	TAILQ_INIT(&unit->waiting);
	TAILQ_INIT(&unit->changing);
	return unit;
}

static void remote_close(void *handle);

static int connect_first(struct remote_unit *unit, struct tgtkit_error *error)
{
	const uint64_t limit = unit->settings.timeout_ns < OPEN_LIMIT_NS ? unit->settings.timeout_ns : OPEN_LIMIT_NS;
	char reason[REMOTE_REASON_BYTES];
	struct nbd_handle *nbd;
	int status = remote_server_connect(&unit->settings, limit, &nbd, error);

	if (status != 0)
		return status;
	if (!remote_export_read(nbd, &unit->export, reason)) {
		nbd_close(nbd);
		return remote_fail(error, EINVAL, "this export cannot be served: %s", reason);
	}
	set_up_connections(unit, nbd);
	return 0;
}

static int make_journal(struct remote_unit *unit, const struct tgtkit_open_args *args, struct tgtkit_error *error)
{
	unit->tracks_writes = unit->export.can_flush && !unit->export.read_only &&
			      !(args->flags & TGTKIT_OPEN_READ_ONLY);
	if (remote_journal_init(&unit->journal, unit->host, unit->tracks_writes ? unit->settings.replay_bytes : 0) != 0)
		return remote_fail(error, ENOMEM, "no memory for replay_size");
	unit->started_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (unit->started_fd < 0)
		return remote_fail(error, errno, "eventfd: %s", strerror(errno));
	return 0;
}

static int remote_open(const struct tgtkit_open_args *args, void **handle, struct tgtkit_capabilities *capabilities,
		       struct tgtkit_error *error)
{
	struct remote_unit *unit = make_unit(args);
	int status;

	if (unit == NULL)
		return remote_fail(error, ENOMEM, "out of memory");
	status = remote_settings_read(&unit->settings, args, error);
	if (status == 0)
		status = connect_first(unit, error);
	if (status == 0)
		status = make_journal(unit, args, error);
	if (status != 0) {
		remote_close(unit);
		return status;
	}
	remote_export_measure(&unit->export, args, capabilities);
	*handle = unit;
	return 0;
}

static void wait_for_start(struct remote_unit *unit, struct remote_start *start)
{
	pthread_mutex_lock(&unit->lock);
	while (start->running)
		pthread_cond_wait(&unit->start_is_over, &unit->lock);
	pthread_mutex_unlock(&unit->lock);
	nbd_close(start->nbd);
}

static void remote_close(void *handle)
{
	struct remote_unit *unit = handle;

	for (unsigned i = 0; i < unit->connection_count; i++) {
		wait_for_start(unit, &unit->connections[i].start);
		remote_server_end(unit->connections[i].nbd);
	}
	if (unit->started_fd >= 0)
		close(unit->started_fd);
	remote_journal_destroy(&unit->journal, unit->host);
	remote_settings_free(&unit->settings);
	pthread_cond_destroy(&unit->start_is_over);
	pthread_mutex_destroy(&unit->lock);
	free(unit);
}

/* ---- Descriptor ---------------------------------------------------------------------------------------------------- */

static const struct tgtkit_counter counters[] = {
    [REMOTE_RECONNECTS] = {.name = "reconnects_total", .help = "connections to the server that were made again"},
    [REMOTE_RESENT] = {.name = "resent_total", .help = "requests sent again after a connection broke"},
    [REMOTE_TIMED_OUT] = {.name = "timed_out_total", .help = "requests that waited for the server in vain"},
    [REMOTE_REPLAYED_BYTES] = {.name = "replayed_bytes_total",
			       .help = "unflushed data written again after a connection broke"},
    [REMOTE_READY_CONNECTIONS] = {.name = "connections", .help = "connections that are ready", .is_gauge = 1},
    {.name = NULL},
};

static void remote_read_counters(void *handle, uint64_t *values)
{
	struct remote_unit *unit = handle;

	for (unsigned i = 0; i < REMOTE_COUNTERS; i++)
		values[i] = atomic_load_explicit(&unit->counters[i], memory_order_relaxed);
}

static const struct tgtkit_async async = {
    .size = sizeof(async),
    .queue_open = remote_queue_open,
    .submit = remote_submit,
    .commit = remote_commit,
    .cancel = remote_cancel,
    .queue_close = remote_queue_close,
};

static const char *const prefixes[] = {"remote", NULL};

static const struct tgtkit_plugin plugin = {
    .size = sizeof(plugin),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .name = "remote",
    .version = PACKAGE_VERSION,
    .description = "exports of NBD servers",
    .prefixes = prefixes,
    .options = remote_options,
    .scratch_bytes = sizeof(struct remote_io),
    .check = remote_check,
    .open = remote_open,
    .close = remote_close,
    .async = &async,
    .counters = counters,
    .read_counters = remote_read_counters,
};

const struct tgtkit_plugin *tgtkit_plugin_v1(const struct tgtkit_host *host)
{
	the_host = host;
	return &plugin;
}
