/* SPDX-License-Identifier: Apache-2.0 */
#include "rt/loop_private.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "rt/worker.h"

static _Thread_local struct rt_loop *current_loop;

struct rt_loop *rt_loop_current(void)
{
	return current_loop;
}

void rt_loop_set_current(struct rt_loop *loop)
{
	current_loop = loop;
}

uint64_t rt_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NANOSECONDS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t rt_loop_now_ns(const struct rt_loop *loop)
{
	return loop->in_turn ? loop->now_ns : rt_clock_ns();
}

/* ---- Creation ------------------------------------------------------------------------------------------------- */

static void woken(struct rt_fd *self, uint32_t events)
{
	uint64_t count;
	ssize_t got = read(self->fd, &count, sizeof(count));

	(void)events;
	(void)got; /* resetting the counter is all that is wanted */
}

/* Linux 5.11; some seccomp filters, and Valgrind, do not know it. */
static bool has_pwait2(struct rt_loop *loop)
{
	const struct timespec at_once = {0};

	return epoll_pwait2(loop->epoll_fd, loop->events, 1, &at_once, NULL) >= 0;
}

static int open_descriptors(struct rt_loop *loop)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	loop->waits_by_the_millisecond = !has_pwait2(loop);
	loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake.fd < 0)
		return -errno;
	loop->wake.ready = woken;
	return rt_fd_add(loop, &loop->wake, RT_FD_READ);
}

int rt_loop_create(struct rt_loop **loop, const char *name, unsigned busy_poll_us)
{
	struct rt_loop *created = aligned_alloc(CACHE_LINE_BYTES, sizeof(*created));
	int status;

	if (created == NULL)
		return -ENOMEM;
	*created = (struct rt_loop){
	    .epoll_fd = -1, .wake = {.fd = -1}, .busy_poll_ns = (uint64_t)busy_poll_us * NANOSECONDS_PER_US};
	snprintf(created->name, sizeof(created->name), "%s", name);
	rt_list_init(&created->pollers);
	for (unsigned phase = 0; phase < RT_PHASES; phase++)
		rt_list_init(&created->phases[phase]);
	status = open_descriptors(created);
	if (status < 0) {
		rt_loop_destroy(created);
		return status;
	}
	*loop = created;
	return 0;
}

void rt_loop_destroy(struct rt_loop *loop)
{
	if (loop == NULL)
		return;
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop->timers);
	free(loop);
}

/* ---- Descriptors ---------------------------------------------------------------------------------------------- */

static int control(struct rt_loop *loop, int operation, struct rt_fd *watched, uint32_t events)
{
	struct epoll_event event = {.data.ptr = watched};

	if (events & RT_FD_READ)
		event.events |= EPOLLIN;
	if (events & RT_FD_WRITE)
		event.events |= EPOLLOUT;
	return epoll_ctl(loop->epoll_fd, operation, watched->fd, &event) < 0 ? -errno : 0;
}

int rt_fd_add(struct rt_loop *loop, struct rt_fd *watched, uint32_t events)
{
	int status = control(loop, EPOLL_CTL_ADD, watched, events);

	if (status < 0)
		return status;
	watched->loop = loop;
	watched->events = events;
	return 0;
}

int rt_fd_modify(struct rt_fd *watched, uint32_t events)
{
	int status;

	if (events == watched->events)
		return 0;
	status = control(watched->loop, EPOLL_CTL_MOD, watched, events);
	if (status == 0)
		watched->events = events;
	return status;
}

void rt_fd_remove(struct rt_fd *watched)
{
	struct rt_loop *loop = watched->loop;

	if (loop == NULL)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watched->fd, NULL);
	watched->loop = NULL;
	for (int i = loop->event_next; i < loop->event_count; i++)
		if (loop->events[i].data.ptr == watched)
			loop->events[i].data.ptr = NULL;
}

static void dispatch(struct rt_fd *watched, uint32_t epoll_events)
{
	uint32_t events = 0;

	if (epoll_events & EPOLLIN)
		events |= RT_FD_READ;
	if (epoll_events & EPOLLOUT)
		events |= RT_FD_WRITE;
	/* An earlier callback of this turn may have lost interest. */
	events &= watched->events;
	if (epoll_events & (EPOLLERR | EPOLLHUP))
		events |= RT_FD_ERROR;
	if (events != 0)
		watched->ready(watched, events);
}

static void dispatch_all(struct rt_loop *loop)
{
	while (loop->event_next < loop->event_count) {
		const struct epoll_event *event = &loop->events[loop->event_next++];

		if (event->data.ptr != NULL)
			dispatch(event->data.ptr, event->events);
	}
}

/* ---- Phases and pollers --------------------------------------------------------------------------------------- */

void rt_loop_defer(struct rt_loop *loop, enum rt_phase phase, struct rt_deferred *deferred)
{
	if (deferred->scheduled)
		return;
	deferred->scheduled = true;
	rt_list_append(&loop->phases[phase], &deferred->node);
}

void rt_deferred_cancel(struct rt_deferred *deferred)
{
	if (!deferred->scheduled)
		return;
	deferred->scheduled = false;
	rt_list_remove(&deferred->node);
}

/* What is scheduled now, and not what that schedules, so that the earlier phases are looked at in between. */
static void run_batch(struct rt_list *phase)
{
	struct rt_list batch, *node;

	rt_list_init(&batch);
	rt_list_splice(&batch, phase);
	while ((node = rt_list_take_first(&batch)) != NULL) {
		struct rt_deferred *deferred = RT_CONTAINER_OF(node, struct rt_deferred, node);

		deferred->scheduled = false;
		deferred->run(deferred);
	}
}

static void run_phases(struct rt_loop *loop)
{
	unsigned phase = 0;

	while (phase < RT_PHASES) {
		if (rt_list_is_empty(&loop->phases[phase])) {
			phase++;
			continue;
		}
		run_batch(&loop->phases[phase]);
		phase = 0;
	}
}

static bool has_deferred(const struct rt_loop *loop)
{
	for (unsigned phase = 0; phase < RT_PHASES; phase++)
		if (!rt_list_is_empty(&loop->phases[phase]))
			return true;
	return false;
}

void rt_poller_add(struct rt_loop *loop, struct rt_poller *poller)
{
	rt_poller_remove(poller);
	rt_list_append(&loop->pollers, &poller->node);
}

void rt_poller_remove(struct rt_poller *poller)
{
	if (poller->node.next == NULL)
		rt_list_init(&poller->node);
	rt_list_remove(&poller->node);
}

/* Each goes back to the loop's list before it is called, so any of them may add or remove any. */
static void run_pollers(struct rt_loop *loop)
{
	struct rt_list waiting, *node;

	if (rt_list_is_empty(&loop->pollers))
		return;
	rt_list_init(&waiting);
	rt_list_splice(&waiting, &loop->pollers);
	while ((node = rt_list_take_first(&waiting)) != NULL) {
		struct rt_poller *poller = RT_CONTAINER_OF(node, struct rt_poller, node);

		rt_list_append(&loop->pollers, node);
		poller->poll(poller);
	}
}

/* ---- Turns ---------------------------------------------------------------------------------------------------- */

/* How long the wait may last: 0, some time, or NEVER_NS. */
static uint64_t wait_limit_ns(struct rt_loop *loop, int timeout_ms)
{
	uint64_t limit_ns = timeout_ms < 0 ? NEVER_NS : (uint64_t)timeout_ms * NANOSECONDS_PER_MS;
	uint64_t due_ns = rt_loop_next_timer_ns(loop), now_ns;

	if (limit_ns == 0 || !rt_list_is_empty(&loop->pollers) || rt_loop_has_posts(loop) || has_deferred(loop))
		return 0;
	if (loop->busy_poll_ns > 0 && loop->now_ns - loop->last_event_ns < loop->busy_poll_ns)
		return 0;
	if (due_ns == NEVER_NS)
		return limit_ns;
	now_ns = rt_clock_ns();
	if (due_ns <= now_ns)
		return 0;
	return due_ns - now_ns < limit_ns ? due_ns - now_ns : limit_ns;
}

static int wait_by_the_millisecond(struct rt_loop *loop, uint64_t limit_ns)
{
	uint64_t limit_ms = limit_ns / NANOSECONDS_PER_MS + (limit_ns % NANOSECONDS_PER_MS != 0);

	if (limit_ns == NEVER_NS)
		return epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, -1);
	return epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, limit_ms < INT_MAX ? (int)limit_ms : INT_MAX);
}

static int wait_by_the_nanosecond(struct rt_loop *loop, uint64_t limit_ns)
{
	const struct timespec limit = {.tv_sec = (time_t)(limit_ns / NANOSECONDS_PER_S),
				       .tv_nsec = (long)(limit_ns % NANOSECONDS_PER_S)};

	return epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_PER_TURN, limit_ns == NEVER_NS ? NULL : &limit, NULL);
}

static int sleep_until_event(struct rt_loop *loop, uint64_t limit_ns)
{
	int count;

	atomic_store(&loop->sleeping, true);
	if (rt_loop_has_posts(loop) || atomic_load(&loop->stop))
		limit_ns = 0;
	count = loop->waits_by_the_millisecond ? wait_by_the_millisecond(loop, limit_ns)
					       : wait_by_the_nanosecond(loop, limit_ns);
	atomic_store_explicit(&loop->sleeping, false, memory_order_relaxed);
	return count;
}

static void wait_for_events(struct rt_loop *loop, int timeout_ms)
{
	uint64_t limit_ns = wait_limit_ns(loop, timeout_ms);
	int count = limit_ns == 0 ? epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, 0)
				  : sleep_until_event(loop, limit_ns);

	assert(count >= 0 || errno == EINTR);
	loop->event_next = 0;
	loop->event_count = count < 0 ? 0 : count;
}

void rt_loop_turn(struct rt_loop *loop, int timeout_ms)
{
	struct rt_loop *previous = current_loop;
	bool any;

	assert(!loop->in_turn);
	current_loop = loop;
	wait_for_events(loop, timeout_ms);
	loop->now_ns = rt_clock_ns();
	loop->in_turn = true;
	any = loop->event_count > 0;
	dispatch_all(loop);
	any |= rt_loop_run_posts(loop);
	any |= rt_loop_run_timers(loop);
	run_pollers(loop);
	run_phases(loop);
	if (any)
		loop->last_event_ns = loop->now_ns;
	loop->in_turn = false;
	current_loop = previous;
}

void rt_loop_run(struct rt_loop *loop)
{
	while (!atomic_load_explicit(&loop->stop, memory_order_acquire))
		rt_loop_turn(loop, -1);
	/* Messages that were posted before the stop, but after this loop's last look. */
	rt_loop_turn(loop, 0);
	atomic_store(&loop->stop, false);
}

void rt_loop_stop(struct rt_loop *loop)
{
	atomic_store(&loop->stop, true);
	rt_loop_wake(loop);
}
