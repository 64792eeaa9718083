/* SPDX-License-Identifier: Apache-2.0
 *
 * The control verbs: what happens to a store apart from its I/O.
 */
#include "config.h"

#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "store/handle.h"
#include "store/queue.h"

#define LOG_LINES_PER_S 20u /* of one unit, said by its plugin */

static int __attribute__((format(printf, 4, 5)))
refuse(const struct store *store, char *error, int status, const char *format, ...)
{
	char message[STORE_ERROR_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	snprintf(error, STORE_ERROR_BYTES, "%.400s: %.600s", store->unit.name, message);
	return status;
}

/* What a plugin answered to a control verb. */
static int refused_by_plugin(const struct store *store, char *error, int status, struct tgtkit_error *plugin_error)
{
	if (status > 0)
		status = -EIO;
	plugin_error->message[sizeof(plugin_error->message) - 1] = '\0';
	if (plugin_error->message[0] == '\0')
		return refuse(store, error, status, "%s", strerror(-status));
	return refuse(store, error, status, "%s", plugin_error->message);
}

/* ---- Opening -------------------------------------------------------------------------------------------------------
 */

static struct store *create(const struct store_spec *spec, char *error)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store == NULL ||
	    asprintf(&store->unit.name, "%s:%s", spec->plugin->descriptor->prefixes[0], spec->path) < 0) {
		free(store);
		snprintf(error, STORE_ERROR_BYTES, "%.400s: no memory", spec->path);
		return NULL;
	}
	store->log_limit.burst = LOG_LINES_PER_S;
	store->plugin = spec->plugin;
	store->descriptor = spec->plugin->descriptor;
	store->logical_block_bytes = spec->logical_block_bytes;
	store->event = spec->event;
	store->open_takes = spec->open_takes;
	store->event_context = spec->event_context;
	atomic_store_explicit(&store->home_worker, STORE_NO_WORKER, memory_order_relaxed);
	store_range_lock_init(&store->ranges);
	store_flush_gate_init(&store->flushes);
	return store;
}

static void destroy(struct store *store)
{
	store_flush_gate_destroy(&store->flushes);
	store_range_lock_destroy(&store->ranges);
	free(store->unit.name);
	free(store);
}

static struct tgtkit_open_args open_args(struct store *store, const struct store_spec *spec,
					 const struct store_values *values)
{
	return (struct tgtkit_open_args){
	    .size = sizeof(struct tgtkit_open_args),
	    .unit = &store->unit,
	    .path = spec->path,
	    .values = values->values,
	    .value_count = values->count,
	    .flags = (spec->create ? TGTKIT_OPEN_CREATE : 0) | (spec->read_only ? TGTKIT_OPEN_READ_ONLY : 0),
	    .size_bytes = spec->create ? spec->size_bytes : 0,
	    .logical_block_bytes = spec->logical_block_bytes,
	    .state_dir = spec->state_dir != NULL ? spec->state_dir : "",
	};
}

static int check_spec(const struct store *store, const struct store_spec *spec, char *error)
{
	if (spec->create && spec->read_only)
		return refuse(store, error, -EINVAL, "a read-only store cannot be created");
	if (spec->create && (spec->size_bytes == 0 || spec->size_bytes % spec->logical_block_bytes != 0))
		return refuse(store, error, -EINVAL, "the size to create must be a multiple of the %u byte block",
			      spec->logical_block_bytes);
	return 0;
}

static int parse_values(const struct store *store, const struct store_spec *spec, struct store_values *values,
			char *error)
{
	char reason[STORE_ERROR_BYTES];
	int status = store_values_parse(spec->plugin, spec->settings, spec->setting_count, values, reason);

	return status != 0 ? refuse(store, error, status, "%s", reason) : 0;
}

int store_check(const struct store_spec *spec, char error[static STORE_ERROR_BYTES])
{
	struct store *store = create(spec, error);
	struct tgtkit_error plugin_error = {{0}};
	struct tgtkit_open_args args;
	struct store_values values;
	int status;

	if (store == NULL)
		return -ENOMEM;
	status = check_spec(store, spec, error);
	if (status == 0)
		status = parse_values(store, spec, &values, error);
	if (status == 0) {
		args = open_args(store, spec, &values);
		if (store->descriptor->check != NULL)
			status = store->descriptor->check(&args, &plugin_error);
		if (status != 0)
			status = refused_by_plugin(store, error, status, &plugin_error);
		store_values_free(&values);
	}
	destroy(store);
	return status;
}

static uint64_t served_bytes(const struct store *store, uint64_t size_bytes)
{
	return store_limits_served_bytes(&store->limits, size_bytes, store->logical_block_bytes);
}

static void warn_of_tail(const struct store *store)
{
	uint64_t size_bytes = store->capabilities.size_bytes;

	if (store_size_bytes(store) != size_bytes)
		rt_log_about(RT_ABOUT(.unit = store->unit.name), RT_LOG_WARNING,
			     "%s: the last %llu of %llu bytes are less than a whole block and are not served",
			     store->unit.name, (unsigned long long)(size_bytes - store_size_bytes(store)),
			     (unsigned long long)size_bytes);
}

/* Takes over what the plugin's open has filled in. */
static int accept_capabilities(struct store *store, bool read_only, char *error)
{
	const struct tgtkit_plugin *descriptor = store->descriptor;
	struct tgtkit_capabilities *capabilities = &store->capabilities;
	char reason[STORE_ERROR_BYTES];
	int status;

	if (read_only)
		capabilities->flags |= TGTKIT_READ_ONLY;
	status = store_capabilities_check(descriptor, capabilities, store->logical_block_bytes, reason);
	if (status != 0)
		return refuse(store, error, status, "%s", reason);
	if (descriptor->blocking != NULL)
		status = store_blocking_unit_init(&store->blocking, descriptor->blocking, store->handle,
						  capabilities->max_parallel);
	if (status != 0)
		return refuse(store, error, status, "no memory");
	store_limits_set(&store->limits, descriptor, capabilities, store->logical_block_bytes);
	atomic_store(&store->size_bytes, served_bytes(store, capabilities->size_bytes));
	warn_of_tail(store);
	return 0;
}

static int open_handle(struct store *store, const struct store_spec *spec, char *error)
{
	struct tgtkit_error plugin_error = {{0}};
	struct tgtkit_open_args args;
	struct store_values values;
	int status = check_spec(store, spec, error);

	if (status == 0)
		status = parse_values(store, spec, &values, error);
	if (status != 0)
		return status;
	args = open_args(store, spec, &values);
	store->capabilities = (struct tgtkit_capabilities){.size = sizeof(store->capabilities)};
	status = store->descriptor->open(&args, &store->handle, &store->capabilities, &plugin_error);
	store_values_free(&values);
	return status != 0 ? refused_by_plugin(store, error, status, &plugin_error) : 0;
}

int store_open(const struct store_spec *spec, struct store **opened, char error[static STORE_ERROR_BYTES])
{
	struct store *store = create(spec, error);
	int status;

	if (store == NULL)
		return -ENOMEM;
	status = open_handle(store, spec, error);
	if (status != 0) {
		destroy(store);
		return status;
	}
	status = accept_capabilities(store, spec->read_only, error);
	if (status != 0) {
		store->descriptor->close(store->handle);
		destroy(store);
		return status;
	}
	*opened = store;
	return 0;
}

/* ---- Size ----------------------------------------------------------------------------------------------------------
 */

/* Limits that a queue was opened with stay as they are; the size alone moves. */
static int take_new_size(struct store *store, const struct tgtkit_capabilities *capabilities, char *error)
{
	char reason[STORE_ERROR_BYTES];
	int status = store_capabilities_check(store->descriptor, capabilities, store->logical_block_bytes, reason);

	if (status != 0)
		return refuse(store, error, status, "%s", reason);
	store->capabilities.size_bytes = capabilities->size_bytes;
	atomic_store(&store->size_bytes, served_bytes(store, capabilities->size_bytes));
	warn_of_tail(store);
	return 0;
}

int store_refresh(struct store *store, char error[static STORE_ERROR_BYTES])
{
	struct tgtkit_capabilities capabilities = {.size = sizeof(capabilities)};
	struct tgtkit_error plugin_error = {{0}};
	int status;

	if (store->descriptor->refresh == NULL)
		return 0;
	status = store->descriptor->refresh(store->handle, &capabilities, &plugin_error);
	if (status != 0)
		return refused_by_plugin(store, error, status, &plugin_error);
	return take_new_size(store, &capabilities, error);
}

static int check_resize(const struct store *store, uint64_t size_bytes, bool shrink, char *error)
{
	if (store->descriptor->resize == NULL)
		return refuse(store, error, -EOPNOTSUPP, "plugin %s cannot change the size of a store",
			      store->descriptor->name);
	if (store_can(store, TGTKIT_READ_ONLY))
		return refuse(store, error, -EROFS, "the store is read-only");
	if (size_bytes == 0 || size_bytes > INT64_MAX || size_bytes % store->logical_block_bytes != 0)
		return refuse(store, error, -EINVAL, "the new size must be a multiple of the %u byte block",
			      store->logical_block_bytes);
	if (size_bytes < store_size_bytes(store) && !shrink)
		return refuse(store, error, -EINVAL,
			      "the new size is smaller; shrinking has to be asked for (--shrink)");
	return 0;
}

int store_resize(struct store *store, uint64_t size_bytes, bool shrink, char error[static STORE_ERROR_BYTES])
{
	struct tgtkit_capabilities capabilities = {.size = sizeof(capabilities)};
	struct tgtkit_error plugin_error = {{0}};
	int status = check_resize(store, size_bytes, shrink, error);

	if (status != 0)
		return status;
	status = store->descriptor->resize(store->handle, size_bytes, shrink ? TGTKIT_RESIZE_SHRINK : 0, &capabilities,
					   &plugin_error);
	if (status != 0)
		return refused_by_plugin(store, error, status, &plugin_error);
	return take_new_size(store, &capabilities, error);
}

/* ---- Options -------------------------------------------------------------------------------------------------------
 */

int store_reload(struct store *store, const struct store_setting *settings, size_t count,
		 char error[static STORE_ERROR_BYTES])
{
	struct tgtkit_error plugin_error = {{0}};
	char reason[STORE_ERROR_BYTES];
	struct store_values values;
	int status;

	if (store->descriptor->reload == NULL)
		return refuse(store, error, -EOPNOTSUPP, "plugin %s takes new options only when a store is opened",
			      store->descriptor->name);
	status = store_values_parse(store->plugin, settings, count, &values, reason);
	if (status != 0)
		return refuse(store, error, status, "%s", reason);
	status = store->descriptor->reload(store->handle, values.values, values.count, &plugin_error);
	store_values_free(&values);
	return status != 0 ? refused_by_plugin(store, error, status, &plugin_error) : 0;
}

/* ---- Owner ---------------------------------------------------------------------------------------------------------
 */

int store_take_over(struct store *store, char error[static STORE_ERROR_BYTES])
{
	struct tgtkit_error plugin_error = {{0}};
	int status;

	if (store->descriptor->take_over == NULL)
		return refuse(store, error, -EOPNOTSUPP, "plugin %s cannot take a store over while it is open",
			      store->descriptor->name);
	status = store->descriptor->take_over(store->handle, &plugin_error);
	return status != 0 ? refused_by_plugin(store, error, status, &plugin_error) : 0;
}

/* ---- Closing -------------------------------------------------------------------------------------------------------
 */

struct closing {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned open_queues;
};

struct close_message {
	struct rt_post post;
	struct tgtkit_queue *queue;
	struct closing *closing;
};

static void queue_closed(void *context)
{
	struct closing *closing = context;

	pthread_mutex_lock(&closing->lock);
	closing->open_queues--;
	pthread_cond_signal(&closing->changed);
	pthread_mutex_unlock(&closing->lock);
}

static void close_arrived(struct rt_post *self)
{
	struct close_message *message = RT_CONTAINER_OF(self, struct close_message, post);
	struct tgtkit_queue *queue = message->queue;
	struct closing *closing = message->closing;

	store_queue_close(queue, queue_closed, closing);
}

/* On the worker itself (a test's, or a single-threaded tool's) nobody else would run the message. */
static void close_queue(struct close_message *message)
{
	struct tgtkit_worker *worker = message->queue->worker;

	message->post.run = close_arrived;
	if (rt_worker_current() == worker->worker)
		close_arrived(&message->post);
	else
		rt_loop_post(worker->loop, &message->post);
}

static void close_queues(struct store *store)
{
	struct closing closing = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	struct close_message messages[RT_MAXIMUM_WORKERS];

	for (unsigned i = 0; i < RT_MAXIMUM_WORKERS; i++) {
		messages[i].queue = atomic_load_explicit(&store->queues[i], memory_order_acquire);
		messages[i].closing = &closing;
		closing.open_queues += messages[i].queue != NULL;
	}
	for (unsigned i = 0; i < RT_MAXIMUM_WORKERS; i++) {
		if (messages[i].queue != NULL)
			close_queue(&messages[i]);
	}
	pthread_mutex_lock(&closing.lock);
	while (closing.open_queues > 0)
		pthread_cond_wait(&closing.changed, &closing.lock);
	pthread_mutex_unlock(&closing.lock);
	pthread_cond_destroy(&closing.changed);
	pthread_mutex_destroy(&closing.lock);
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	close_queues(store);
	store_blocking_unit_destroy(&store->blocking);
	store->descriptor->close(store->handle);
	destroy(store);
}

/* ---- Questions -----------------------------------------------------------------------------------------------------
 */

const struct tgtkit_capabilities *store_capabilities(const struct store *store)
{
	return &store->capabilities;
}

uint32_t store_atomic_write_bytes(const struct store *store)
{
	const struct store_limits *limits = &store->limits;
	uint32_t bytes = store->capabilities.atomic_write_bytes;
	bool whole = store->descriptor->async != NULL && !limits->read_modify_write &&
		     (limits->address_mask | limits->length_mask) == 0 && limits->maximum_segments == UINT32_MAX &&
		     (store_can(store, TGTKIT_CAN_FUA) || !store_can(store, TGTKIT_CAN_FLUSH));

	if (!whole || bytes % store->logical_block_bytes != 0 || (bytes & (bytes - 1)) != 0 ||
	    bytes > limits->maximum_transfer_bytes)
		return 0;
	return bytes;
}

uint64_t store_size_bytes(const struct store *store)
{
	return atomic_load_explicit(&store->size_bytes, memory_order_relaxed);
}

const char *store_name(const struct store *store)
{
	return store->unit.name;
}

const struct store_plugin *store_plugin_of(const struct store *store)
{
	return store->plugin;
}

bool store_has_failed(const struct store *store)
{
	return atomic_load_explicit(&store->has_failed, memory_order_relaxed);
}

void store_read_counters(const struct store *store, uint64_t *values)
{
	store->descriptor->read_counters(store->handle, values);
}
