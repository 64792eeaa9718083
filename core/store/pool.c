/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "store/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "rt/log.h"

#define IDLE_SECONDS	  10
#define THREAD_STACK_SIZE (1u << 20)
/* A unit's own cap (max_parallel) is what bounds it; these only keep a runaway from taking the machine along. */
#define MAXIMUM_THREADS 1024u

/* Threads that serve one queue of jobs. */
struct job_class {
	const char *name;
	pthread_mutex_t lock;
	pthread_cond_t work;  /* a job was queued, or the threads are to end */
	pthread_cond_t ended; /* a thread has ended */
	struct store_job *first, *last;
	unsigned queued;
	unsigned threads;  /* that exist */
	unsigned idle;	   /* waiting for work */
	unsigned starting; /* have not looked at the queue yet */
	bool stopping;
	pthread_t departed; /* that has ended last; it has joined the one before it */
	bool has_departed;
};

static struct job_class control_class = {
    .name = "control",
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .ended = PTHREAD_COND_INITIALIZER,
};
static struct job_class io_class = {
    .name = "I/O",
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .ended = PTHREAD_COND_INITIALIZER,
};
static pthread_once_t attributes_made = PTHREAD_ONCE_INIT;
static pthread_attr_t thread_attributes;

static void make_attributes(void)
{
	pthread_attr_init(&thread_attributes);
	pthread_attr_setstacksize(&thread_attributes, THREAD_STACK_SIZE);
}

static struct timespec in_seconds(time_t seconds)
{
	struct timespec then;

	clock_gettime(CLOCK_MONOTONIC, &then);
	then.tv_sec += seconds;
	return then;
}

/* With the lock held.  NULL: the thread has been idle for long enough, or the pool stops. */
static struct store_job *wait_for_job(struct job_class *class)
{
	const struct timespec limit = in_seconds(IDLE_SECONDS);
	struct store_job *job;
	int status = 0;

	class->idle++;
	while (class->first == NULL && !class->stopping && status != ETIMEDOUT)
		status = pthread_cond_clockwait(&class->work, &class->lock, CLOCK_MONOTONIC, &limit);
	class->idle--;
	job = class->first;
	if (job == NULL)
		return NULL;
	class->first = job->next;
	class->queued--;
	return job;
}

/* With the lock held, which it gives up.  What libraries keep per thread is freed after a thread's last statement, and
 * the process must not end in the middle of that: so each is joined, by the next one or by the end of the pool. */
static void join_departed(struct job_class *class, const pthread_t *successor)
{
	bool had_departed = class->has_departed;
	pthread_t departed = class->departed;

	class->has_departed = successor != NULL;
	if (successor != NULL)
		class->departed = *successor;
	pthread_mutex_unlock(&class->lock);
	if (had_departed)
		pthread_join(departed, NULL);
}

static void *serve(void *argument)
{
	const pthread_t self = pthread_self();
	struct job_class *class = argument;
	struct store_job *job;

	pthread_mutex_lock(&class->lock);
	class->starting--;
	while ((job = wait_for_job(class)) != NULL) {
		pthread_mutex_unlock(&class->lock);
		job->run(job);
		pthread_mutex_lock(&class->lock);
	}
	class->threads--;
	pthread_cond_broadcast(&class->ended);
	join_departed(class, &self);
	return NULL;
}

/* With the lock held.  Returns how many threads the queued jobs lack. */
static unsigned threads_wanted(const struct job_class *class)
{
	unsigned serving = class->idle + class->starting;
	unsigned room = MAXIMUM_THREADS - class->threads;
	unsigned wanted = class->queued > serving ? class->queued - serving : 0;

	return wanted < room ? wanted : room;
}

static int start_thread(struct job_class *class)
{
	pthread_t thread;

	return pthread_create(&thread, &thread_attributes, serve, class);
}

/* There is not one thread and none can be made: late is better than never. */
static void run_in_place(struct job_class *class)
{
	struct store_job *job;

	pthread_mutex_lock(&class->lock);
	job = class->first;
	if (job != NULL && class->threads == 0) {
		class->first = job->next;
		class->queued--;
	} else {
		job = NULL;
	}
	pthread_mutex_unlock(&class->lock);
	if (job != NULL)
		job->run(job);
}

static void start_threads(struct job_class *class, unsigned count)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(1);

	for (; count > 0; count--) {
		int error = start_thread(class);

		if (error == 0)
			continue;
		rt_log_limited(&limit, RT_LOG_ERROR, "pool: cannot start a thread for %s jobs: %s", class->name,
			       strerror(error));
		pthread_mutex_lock(&class->lock);
		class->threads -= count;
		class->starting -= count;
		pthread_cond_broadcast(&class->ended);
		pthread_mutex_unlock(&class->lock);
		run_in_place(class);
		return;
	}
}

static void submit_chain(struct job_class *class, struct store_job *first, struct store_job *last, unsigned count)
{
	unsigned wanted;

	pthread_once(&attributes_made, make_attributes);
	pthread_mutex_lock(&class->lock);
	last->next = NULL;
	if (class->first == NULL)
		class->first = first;
	else
		class->last->next = first;
	class->last = last;
	class->queued += count;
	wanted = threads_wanted(class);
	class->threads += wanted;
	class->starting += wanted;
	for (unsigned i = 0; i < count && i < class->idle; i++)
		pthread_cond_signal(&class->work);
	pthread_mutex_unlock(&class->lock);
	start_threads(class, wanted);
}

void store_pool_submit_control(struct store_job *job)
{
	submit_chain(&control_class, job, job, 1);
}

void store_pool_submit_io(struct store_job *job)
{
	submit_chain(&io_class, job, job, 1);
}

void store_pool_submit_io_chain(struct store_job *first)
{
	struct store_job *last = first;
	unsigned count = 1;

	for (; last->next != NULL; last = last->next)
		count++;
	submit_chain(&io_class, first, last, count);
}

static int stop_class(struct job_class *class, const struct timespec *limit)
{
	int status = 0;

	pthread_mutex_lock(&class->lock);
	class->stopping = true;
	pthread_cond_broadcast(&class->work);
	while (class->threads > 0 && status != ETIMEDOUT)
		status = pthread_cond_clockwait(&class->ended, &class->lock, CLOCK_MONOTONIC, limit);
	status = class->threads > 0 ? -ETIMEDOUT : 0;
	class->stopping = false;
	join_departed(class, NULL);
	return status;
}

int store_pool_stop(unsigned timeout_ms)
{
	struct timespec limit = in_seconds((time_t)(timeout_ms / 1000));
	int control, io;

	limit.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (limit.tv_nsec >= 1000000000) {
		limit.tv_nsec -= 1000000000;
		limit.tv_sec++;
	}
	control = stop_class(&control_class, &limit);
	io = stop_class(&io_class, &limit);
	return control != 0 ? control : io;
}
