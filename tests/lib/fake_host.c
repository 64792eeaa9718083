/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop of the fake host and the services that run on it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fake_host_private.h"

#define STUCK_AFTER_NS	(60ull * 1000000000u)
#define LOG_LEVELS	(TGTKIT_LOG_DEBUG + 1)
#define EVENTS_PER_TURN 16

struct tgtkit_worker {
	unsigned char nothing;
};

struct tgtkit_watch {
	int fd;
	void (*ready)(void *context, int fd, uint32_t events);
	void *context;
	bool removed;
	struct tgtkit_watch *next; /* once removed */
};

struct tgtkit_timer {
	void (*expired)(void *context);
	void *context;
	bool armed;
	uint64_t due_ns;
	struct tgtkit_timer *next;
};

static struct {
	bool runs;
	pthread_t thread;
	int epoll_fd, event_fd;
	struct tgtkit_worker worker;
	struct tgtkit_timer *timers;
	struct tgtkit_watch *removed;
	uint32_t random;

	pthread_mutex_t lock; /* for all below */
	struct tgtkit_work *posts_first, *posts_last;
	struct fh_io *completed_first, *completed_last;
	struct tgtkit_queue *ready[64];
	unsigned ready_count;
	unsigned offloads, violations;
	unsigned log_counts[LOG_LEVELS];
	char last_log[LOG_LEVELS][512];
} host = {.lock = PTHREAD_MUTEX_INITIALIZER, .random = 0x2545f491};

void fh_lock(void)
{
	pthread_mutex_lock(&host.lock);
}

void fh_unlock(void)
{
	pthread_mutex_unlock(&host.lock);
}

static void report(const char *kind, const char *format, va_list arguments)
{
	fprintf(stderr, "fake host: %s: ", kind);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void fh_violation(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report("the plugin broke a rule", format, arguments);
	va_end(arguments);
	__atomic_add_fetch(&host.violations, 1, __ATOMIC_SEQ_CST);
}

unsigned fh_violations(void)
{
	return __atomic_load_n(&host.violations, __ATOMIC_SEQ_CST);
}

void fh_die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	report("cannot go on", format, arguments);
	va_end(arguments);
	abort();
}

uint32_t fh_random(void)
{
	host.random ^= host.random << 13;
	host.random ^= host.random >> 17;
	host.random ^= host.random << 5;
	return host.random;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void fh_start_loop(void)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (host.runs)
		return;
	host.runs = true;
	host.thread = pthread_self();
	host.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	host.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (host.epoll_fd < 0 || host.event_fd < 0 ||
	    epoll_ctl(host.epoll_fd, EPOLL_CTL_ADD, host.event_fd, &event) != 0)
		fh_die("no loop: %s", strerror(errno));
}

struct tgtkit_worker *fh_worker(void)
{
	return &host.worker;
}

static void wake(void)
{
	const uint64_t one = 1;

	if (!pthread_equal(pthread_self(), host.thread) && write(host.event_fd, &one, sizeof(one)) != sizeof(one))
		fh_die("eventfd: %s", strerror(errno));
}

static void must_be_on_loop(const char *service)
{
	if (!pthread_equal(pthread_self(), host.thread))
		fh_violation("%s called off the worker's own thread", service);
}

/* ---- Services for any thread ----------------------------------------------------------------------------------- */

static void service_log(struct tgtkit_unit *unit, int level, const char *format, ...) TGTKIT_PRINTF(3, 4);

static void service_log(struct tgtkit_unit *unit, int level, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (level < 0 || level >= LOG_LEVELS) {
		fh_violation("log at level %d", level);
		return;
	}
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (strchr(line, '\n') != NULL)
		fh_violation("a log line with a newline: %s", line);
	fh_lock();
	if (unit != NULL && unit->closed)
		fh_violation("log for a closed unit");
	for (int i = level; i < LOG_LEVELS; i++) {
		host.log_counts[i]++;
		memcpy(host.last_log[i], line, sizeof(line));
	}
	fh_unlock();
}

static void service_complete(struct tgtkit_request *request, int status)
{
	struct fh_io *io = (struct fh_io *)request; /* its first member */

	fh_lock();
	if (io->state != FH_IO_IN_FLIGHT) {
		fh_violation("complete of a request that is not in flight (operation %u)", request->operation);
		fh_unlock();
		return;
	}
	if (status > 0)
		fh_violation("complete with status %d", status);
	io->state = FH_IO_COMPLETED;
	io->status = status;
	io->next = NULL;
	if (host.completed_last == NULL)
		host.completed_first = io;
	else
		host.completed_last->next = io;
	host.completed_last = io;
	fh_unlock();
	wake();
}

static void service_queue_ready(struct tgtkit_queue *queue)
{
	fh_lock();
	if (queue->closed)
		fh_violation("queue_ready of a closed queue");
	queue->readies++;
	if (host.ready_count == sizeof(host.ready) / sizeof(host.ready[0]))
		fh_die("too many queues ready");
	host.ready[host.ready_count++] = queue;
	fh_unlock();
	wake();
}

static void service_event(struct tgtkit_unit *unit, int event)
{
	fh_lock();
	if (unit->closed)
		fh_violation("event %d of a closed unit", event);
	if (event <= 0 || event >= FH_EVENT_LIMIT)
		fh_violation("unknown event %d", event);
	else
		unit->events[event]++;
	fh_unlock();
	wake();
}

static void service_open_takes(struct tgtkit_unit *unit, uint64_t duration_us)
{
	fh_lock();
	if (unit->opened)
		fh_violation("open_takes of a unit that is open");
	unit->open_takes_us = duration_us;
	fh_unlock();
}

static void *service_aligned_alloc(size_t alignment, size_t size)
{
	void *memory;

	if (alignment < sizeof(void *))
		alignment = sizeof(void *);
	return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

static void service_post(struct tgtkit_worker *worker, struct tgtkit_work *work)
{
	if (worker != &host.worker)
		fh_violation("post to an unknown worker");
	work->host_private[0] = NULL;
	fh_lock();
	if (host.posts_last == NULL)
		host.posts_first = work;
	else
		host.posts_last->host_private[0] = work;
	host.posts_last = work;
	fh_unlock();
	wake();
}

static void *offloaded(void *context)
{
	struct tgtkit_work *work = context;

	work->run(work);
	__atomic_sub_fetch(&host.offloads, 1, __ATOMIC_SEQ_CST);
	wake();
	return NULL;
}

static void service_offload(struct tgtkit_unit *unit, struct tgtkit_work *work)
{
	pthread_t thread;

	if (unit == NULL || unit->closed)
		fh_violation("offload for no unit, or a closed one");
	__atomic_add_fetch(&host.offloads, 1, __ATOMIC_SEQ_CST);
	if (pthread_create(&thread, NULL, offloaded, work) != 0)
		fh_die("no thread for an offload");
	pthread_detach(thread);
}

bool fh_offloads_are_over(void *context)
{
	(void)context;
	return __atomic_load_n(&host.offloads, __ATOMIC_SEQ_CST) == 0;
}

static const void *service_extension(const char *name)
{
	(void)name;
	return NULL;
}

/* ---- Services on the loop ---------------------------------------------------------------------------------------- */

static int epoll_change(int operation, struct tgtkit_watch *watch, uint32_t events)
{
	struct epoll_event event = {.data.ptr = watch};

	event.events = (events & TGTKIT_FD_READ ? EPOLLIN : 0) | (events & TGTKIT_FD_WRITE ? EPOLLOUT : 0);
	return epoll_ctl(host.epoll_fd, operation, watch->fd, &event) == 0 ? 0 : -errno;
}

static int service_watch_add(struct tgtkit_worker *worker, int fd, uint32_t events,
			     void (*ready)(void *context, int fd, uint32_t events), void *context,
			     struct tgtkit_watch **watch)
{
	int status;

	must_be_on_loop("watch_add");
	if (worker != &host.worker)
		fh_violation("watch_add on an unknown worker");
	*watch = calloc(1, sizeof(**watch));
	if (*watch == NULL)
		return -ENOMEM;
	**watch = (struct tgtkit_watch){.fd = fd, .ready = ready, .context = context};
	status = epoll_change(EPOLL_CTL_ADD, *watch, events);
	if (status != 0)
		free(*watch);
	return status;
}

static int service_watch_modify(struct tgtkit_watch *watch, uint32_t events)
{
	must_be_on_loop("watch_modify");
	return epoll_change(EPOLL_CTL_MOD, watch, events);
}

static void service_watch_remove(struct tgtkit_watch *watch)
{
	must_be_on_loop("watch_remove");
	if (epoll_change(EPOLL_CTL_DEL, watch, 0) != 0)
		fh_violation("watch_remove of fd %d: %s", watch->fd, strerror(errno));
	/* An event for it may have been fetched already. */
	watch->removed = true;
	watch->next = host.removed;
	host.removed = watch;
}

static int service_timer_create(struct tgtkit_worker *worker, void (*expired)(void *context), void *context,
				struct tgtkit_timer **timer)
{
	must_be_on_loop("timer_create");
	if (worker != &host.worker)
		fh_violation("timer_create on an unknown worker");
	*timer = calloc(1, sizeof(**timer));
	if (*timer == NULL)
		return -ENOMEM;
	**timer = (struct tgtkit_timer){.expired = expired, .context = context, .next = host.timers};
	host.timers = *timer;
	return 0;
}

static void service_timer_arm(struct tgtkit_timer *timer, uint64_t delay_us)
{
	must_be_on_loop("timer_arm");
	timer->armed = true;
	timer->due_ns = now_ns() + delay_us * 1000;
}

static void service_timer_disarm(struct tgtkit_timer *timer)
{
	must_be_on_loop("timer_disarm");
	timer->armed = false;
}

static void service_timer_destroy(struct tgtkit_timer *timer)
{
	struct tgtkit_timer **link = &host.timers;

	must_be_on_loop("timer_destroy");
	while (*link != timer)
		link = &(*link)->next;
	*link = timer->next;
	free(timer);
}

const struct tgtkit_host fh_services = {
    .size = sizeof(fh_services),
    .abi_major = TGTKIT_ABI_MAJOR,
    .abi_minor = TGTKIT_ABI_MINOR,
    .log = service_log,
    .complete = service_complete,
    .queue_ready = service_queue_ready,
    .event = service_event,
    .aligned_alloc = service_aligned_alloc,
    .aligned_free = free,
    .watch_add = service_watch_add,
    .watch_modify = service_watch_modify,
    .watch_remove = service_watch_remove,
    .timer_create = service_timer_create,
    .timer_arm = service_timer_arm,
    .timer_disarm = service_timer_disarm,
    .timer_destroy = service_timer_destroy,
    .post = service_post,
    .offload = service_offload,
    .extension = service_extension,
    .open_takes = service_open_takes,
};

/* ---- The loop ---------------------------------------------------------------------------------------------------- */

static void run_posts(void)
{
	struct tgtkit_work *work, *next;

	fh_lock();
	work = host.posts_first;
	host.posts_first = host.posts_last = NULL;
	fh_unlock();
	for (; work != NULL; work = next) {
		next = work->host_private[0];
		work->run(work);
	}
}

static void run_timers(void)
{
	const uint64_t now = now_ns();
	struct tgtkit_timer *earliest;

	do {
		earliest = NULL;
		for (struct tgtkit_timer *timer = host.timers; timer != NULL; timer = timer->next)
			if (timer->armed && timer->due_ns <= now &&
			    (earliest == NULL || timer->due_ns < earliest->due_ns))
				earliest = timer;
		if (earliest != NULL) {
			earliest->armed = false;
			earliest->expired(earliest->context);
		}
	} while (earliest != NULL);
}

static void run_ready_queues(void)
{
	struct tgtkit_queue *ready[sizeof(host.ready) / sizeof(host.ready[0])];
	unsigned count;

	fh_lock();
	count = host.ready_count;
	host.ready_count = 0;
	memcpy(ready, host.ready, count * sizeof(ready[0]));
	fh_unlock();
	for (unsigned i = 0; i < count; i++)
		fh_io_process_ready(ready[i]);
}

static void run_completions(void)
{
	struct fh_io *io, *next;

	fh_lock();
	io = host.completed_first;
	host.completed_first = host.completed_last = NULL;
	fh_unlock();
	for (; io != NULL; io = next) {
		next = io->next;
		fh_io_process_completion(io);
	}
}

/* How long epoll may sleep. */
static int sleep_ms(int timeout_ms)
{
	const uint64_t now = now_ns();
	bool has_work;

	fh_lock();
	has_work = host.posts_first != NULL || host.completed_first != NULL || host.ready_count > 0;
	fh_unlock();
	if (has_work)
		return 0;
	for (struct tgtkit_timer *timer = host.timers; timer != NULL; timer = timer->next) {
		const uint64_t left_ms = timer->due_ns <= now ? 0 : (timer->due_ns - now + 999999) / 1000000;

		if (timer->armed && left_ms < (uint64_t)timeout_ms)
			timeout_ms = (int)left_ms;
	}
	return timeout_ms;
}

static void run_descriptor(const struct epoll_event *event)
{
	struct tgtkit_watch *watch = event->data.ptr;
	uint64_t count;
	uint32_t events = 0;

	if (watch == NULL) {
		if (read(host.event_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			fh_die("eventfd: %s", strerror(errno));
		return;
	}
	if (event->events & EPOLLIN)
		events |= TGTKIT_FD_READ;
	if (event->events & EPOLLOUT)
		events |= TGTKIT_FD_WRITE;
	if (event->events & (EPOLLERR | EPOLLHUP))
		events |= TGTKIT_FD_ERROR;
	if (!watch->removed)
		watch->ready(watch->context, watch->fd, events);
}

void fh_turn(int timeout_ms)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count;

	fh_io_commit_and_poll();
	count = epoll_wait(host.epoll_fd, events, EVENTS_PER_TURN, sleep_ms(timeout_ms));
	for (int i = 0; i < count; i++)
		run_descriptor(&events[i]);
	while (host.removed != NULL) {
		struct tgtkit_watch *watch = host.removed;

		host.removed = watch->next;
		free(watch);
	}
	run_posts();
	run_timers();
	run_ready_queues();
	run_completions();
}

void fh_run_until(bool (*condition)(void *context), void *context)
{
	const uint64_t limit = now_ns() + STUCK_AFTER_NS;

	fh_start_loop();
	while (!condition(context)) {
		fh_turn(1000);
		if (now_ns() > limit)
			fh_die("nothing for a minute: a completion or event is missing");
	}
}

/* ---- Logs ----------------------------------------------------------------------------------------------
 */

const char *fh_last_log(int level)
{
	return host.last_log[level];
}

unsigned fh_log_count(int level)
{
	unsigned count;

	fh_lock();
	count = host.log_counts[level];
	fh_unlock();
	return count;
}
