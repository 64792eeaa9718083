/* SPDX-License-Identifier: Apache-2.0 */
#include "store/host.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "rt/log.h"
#include "store/load.h"
#include "store/pool.h"
#include "store/queue.h"

/* A plugin's work item holds what the runtime needs to carry it. */
static_assert(sizeof(struct rt_post) <= sizeof(((struct tgtkit_work *)0)->host_private), "a post fits");
static_assert(sizeof(struct store_job) <= sizeof(((struct tgtkit_work *)0)->host_private), "a job fits");
static_assert((int)RT_FD_READ == (int)TGTKIT_FD_READ && (int)RT_FD_WRITE == (int)TGTKIT_FD_WRITE &&
		  (int)RT_FD_ERROR == (int)TGTKIT_FD_ERROR,
	      "events pass as they are");

struct tgtkit_watch {
	struct rt_fd fd;
	void (*ready)(void *context, int fd, uint32_t events);
	void *context;
};

struct tgtkit_timer {
	struct rt_timer timer;
	struct rt_loop *loop;
	void (*expired)(void *context);
	void *context;
};

/* ---- Log -----------------------------------------------------------------------------------------------------------
 */

static enum rt_log_level log_level(int level)
{
	switch (level) {
	case TGTKIT_LOG_ERROR:
		return RT_LOG_ERROR;
	case TGTKIT_LOG_WARNING:
		return RT_LOG_WARNING;
	case TGTKIT_LOG_INFO:
		return RT_LOG_INFO;
	default:
		return RT_LOG_DEBUG;
	}
}

static const char *log_name(const struct tgtkit_unit *unit)
{
	if (unit != NULL)
		return unit->name;
	return store_load_current_file() != NULL ? store_load_current_file() : "plugin";
}

static void __attribute__((format(printf, 3, 4))) host_log(struct tgtkit_unit *unit, int level, const char *format, ...)
{
	char message[1024];
	va_list arguments;

	if (!rt_log_enabled(log_level(level)))
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (unit != NULL)
		rt_log_limited_about(&RT_CONTAINER_OF(unit, struct store, unit)->log_limit,
				     RT_ABOUT(.unit = unit->name), log_level(level), "%s: %s", log_name(unit), message);
	else
		rt_log(log_level(level), "%s: %s", log_name(unit), message);
}

/* ---- Requests and events -------------------------------------------------------------------------------------------
 */

static void host_complete(struct tgtkit_request *request, int status)
{
	store_queue_complete(RT_CONTAINER_OF(request, struct store_io, request), status);
}

static void host_event(struct tgtkit_unit *unit, int event)
{
	struct store *store = RT_CONTAINER_OF(unit, struct store, unit);

	if (event < TGTKIT_EVENT_CAPACITY_CHANGED || event > TGTKIT_EVENT_ACTIVE) {
		rt_log(RT_LOG_ERROR, "%s: the plugin raised the unknown event %d", unit->name, event);
		return;
	}
	if (store->event != NULL)
		store->event(store->event_context, (enum tgtkit_event)event);
}

/* ---- Memory --------------------------------------------------------------------------------------------------------
 */

static void *host_aligned_alloc(size_t alignment, size_t size)
{
	void *memory;

	if (alignment < sizeof(void *))
		alignment = sizeof(void *);
	return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

static void host_aligned_free(void *memory)
{
	free(memory);
}

/* ---- Descriptors and timers ----------------------------------------------------------------------------------------
 */

static void watch_ready(struct rt_fd *self, uint32_t events)
{
	struct tgtkit_watch *watch = RT_CONTAINER_OF(self, struct tgtkit_watch, fd);

	watch->ready(watch->context, watch->fd.fd, events);
}

static int host_watch_add(struct tgtkit_worker *worker, int fd, uint32_t events,
			  void (*ready)(void *context, int fd, uint32_t events), void *context,
			  struct tgtkit_watch **watch)
{
	struct tgtkit_watch *added = calloc(1, sizeof(*added));
	int status;

	if (added == NULL)
		return -ENOMEM;
	added->fd.fd = fd;
	added->fd.ready = watch_ready;
	added->ready = ready;
	added->context = context;
	status = rt_fd_add(worker->loop, &added->fd, events);
	if (status != 0) {
		free(added);
		return status;
	}
	*watch = added;
	return 0;
}

static int host_watch_modify(struct tgtkit_watch *watch, uint32_t events)
{
	return rt_fd_modify(&watch->fd, events);
}

static void host_watch_remove(struct tgtkit_watch *watch)
{
	if (watch == NULL)
		return;
	rt_fd_remove(&watch->fd);
	free(watch);
}

static void timer_expired(struct rt_timer *self)
{
	struct tgtkit_timer *timer = RT_CONTAINER_OF(self, struct tgtkit_timer, timer);

	timer->expired(timer->context);
}

static int host_timer_create(struct tgtkit_worker *worker, void (*expired)(void *context), void *context,
			     struct tgtkit_timer **timer)
{
	struct tgtkit_timer *created = calloc(1, sizeof(*created));

	if (created == NULL)
		return -ENOMEM;
	created->timer.expired = timer_expired;
	created->loop = worker->loop;
	created->expired = expired;
	created->context = context;
	*timer = created;
	return 0;
}

static void host_timer_arm(struct tgtkit_timer *timer, uint64_t delay_us)
{
	rt_timer_arm(timer->loop, &timer->timer, delay_us);
}

static void host_timer_disarm(struct tgtkit_timer *timer)
{
	rt_timer_cancel(&timer->timer);
}

static void host_timer_destroy(struct tgtkit_timer *timer)
{
	if (timer == NULL)
		return;
	rt_timer_cancel(&timer->timer);
	free(timer);
}

/* ---- Work elsewhere ------------------------------------------------------------------------------------------------
 */

static void run_posted(struct rt_post *self)
{
	struct tgtkit_work *work = RT_CONTAINER_OF(self, struct tgtkit_work, host_private);

	work->run(work);
}

static void host_post(struct tgtkit_worker *worker, struct tgtkit_work *work)
{
	struct rt_post *post = (struct rt_post *)work->host_private;

	post->run = run_posted;
	rt_loop_post(worker->loop, post);
}

static void run_offloaded(struct store_job *self)
{
	struct tgtkit_work *work = RT_CONTAINER_OF(self, struct tgtkit_work, host_private);

	work->run(work);
}

/* May hang with its backend, so it must not take a thread from the I/O of others. */
static void host_offload(struct tgtkit_unit *unit, struct tgtkit_work *work)
{
	struct store_job *job = (struct store_job *)work->host_private;

	(void)unit;
	job->run = run_offloaded;
	store_pool_submit_control(job);
}

static void host_open_takes(struct tgtkit_unit *unit, uint64_t duration_us)
{
	struct store *store = RT_CONTAINER_OF(unit, struct store, unit);

	if (store->open_takes != NULL)
		store->open_takes(store->event_context, duration_us);
}

static const void *host_extension(const char *name)
{
	(void)name;
	return NULL;
}

const struct tgtkit_host *store_host(void)
{
	static const struct tgtkit_host host = {
	    .size = sizeof(host),
	    .abi_major = TGTKIT_ABI_MAJOR,
	    .abi_minor = TGTKIT_ABI_MINOR,
	    .log = host_log,
	    .complete = host_complete,
	    .queue_ready = store_queue_ready,
	    .event = host_event,
	    .aligned_alloc = host_aligned_alloc,
	    .aligned_free = host_aligned_free,
	    .watch_add = host_watch_add,
	    .watch_modify = host_watch_modify,
	    .watch_remove = host_watch_remove,
	    .timer_create = host_timer_create,
	    .timer_arm = host_timer_arm,
	    .timer_disarm = host_timer_disarm,
	    .timer_destroy = host_timer_destroy,
	    .post = host_post,
	    .offload = host_offload,
	    .extension = host_extension,
	    .open_takes = host_open_takes,
	};

	return &host;
}
