/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "rt/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "rt/log.h"
#include "rt/loop_private.h"

#define NAME_BYTES 24 /* any index; a thread's name may have 16, which RT_MAXIMUM_WORKERS keeps within */

/* One set per process: it is made before anything that could ask for it, and ends after. */
static struct {
	unsigned count;
	struct rt_worker *workers;
	pthread_t *threads;
} all;

static _Thread_local struct rt_worker *current_worker;

unsigned rt_workers_count(void)
{
	return all.count;
}

struct rt_worker *rt_worker_get(unsigned index)
{
	assert(index < all.count);
	return &all.workers[index];
}

struct rt_worker *rt_worker_current(void)
{
	return current_worker;
}

/* ---- Making and ending ---------------------------------------------------------------------------------------- */

static void name_worker(char name[NAME_BYTES], unsigned index)
{
	snprintf(name, NAME_BYTES, "tgtkit-w%u", index);
}

static void destroy_all(void)
{
	for (unsigned i = 0; i < all.count; i++) {
		rt_memory_destroy(all.workers[i].memory);
		rt_loop_destroy(all.workers[i].loop);
	}
	free(all.workers);
	free(all.threads);
	all.workers = NULL;
	all.threads = NULL;
	all.count = 0;
}

static int create_worker(struct rt_worker *worker, unsigned index, unsigned busy_poll_us, size_t memory_bytes)
{
	char name[NAME_BYTES];
	int status;

	name_worker(name, index);
	worker->index = index;
	status = rt_loop_create(&worker->loop, name, busy_poll_us);
	if (status < 0)
		return status;
	return rt_memory_create(&worker->memory, worker->loop, index, memory_bytes);
}

static int create_all(unsigned count, unsigned busy_poll_us, size_t memory_bytes)
{
	assert(all.count == 0);
	all.workers = calloc(count, sizeof(*all.workers));
	all.threads = calloc(count, sizeof(*all.threads));
	if (all.workers == NULL || all.threads == NULL) {
		destroy_all();
		return -ENOMEM;
	}
	all.count = count;
	for (unsigned i = 0; i < count; i++) {
		int status = create_worker(&all.workers[i], i, busy_poll_us, memory_bytes);

		if (status < 0) {
			destroy_all();
			return status;
		}
	}
	return 0;
}

/* ---- Threads -------------------------------------------------------------------------------------------------- */

static void *run_worker(void *argument)
{
	char name[NAME_BYTES];

	current_worker = argument;
	name_worker(name, current_worker->index);
	pthread_setname_np(pthread_self(), name);
	rt_loop_run(current_worker->loop);
	return NULL;
}

static void stop_threads(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		rt_loop_stop(all.workers[i].loop);
	for (unsigned i = 0; i < count; i++)
		pthread_join(all.threads[i], NULL);
}

/* A thread inherits the mask of its maker: so no signal can arrive before it has blocked them itself. */
static int start_threads(void)
{
	sigset_t every_signal, saved;
	int status = 0;

	sigfillset(&every_signal);
	pthread_sigmask(SIG_SETMASK, &every_signal, &saved);
	for (unsigned i = 0; i < all.count && status == 0; i++) {
		status = -pthread_create(&all.threads[i], NULL, run_worker, &all.workers[i]);
		if (status < 0)
			stop_threads(i);
	}
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return status;
}

static unsigned usable_cpus(void)
{
	cpu_set_t cpus;

	/* Fails where there are more CPUs than the set can tell. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return RT_MAXIMUM_WORKERS;
	return (unsigned)CPU_COUNT(&cpus);
}

static unsigned automatic_count(size_t memory_limit_bytes)
{
	size_t count = usable_cpus(), affordable = memory_limit_bytes / RT_MEMORY_MINIMUM_BYTES;

	if (count > affordable)
		count = affordable;
	if (count > RT_MAXIMUM_WORKERS)
		count = RT_MAXIMUM_WORKERS;
	return count > 0 ? (unsigned)count : 1;
}

int rt_workers_start(const struct rt_workers_options *options)
{
	unsigned count = options->count > 0 ? options->count : automatic_count(options->memory_limit_bytes);
	size_t memory_bytes = options->memory_limit_bytes / count;
	int status;

	if (count > RT_MAXIMUM_WORKERS) {
		rt_log(RT_LOG_ERROR, "workers: %u are too many; use %u or fewer", count, RT_MAXIMUM_WORKERS);
		return -EINVAL;
	}
	if (memory_bytes < RT_MEMORY_MINIMUM_BYTES) {
		rt_log(RT_LOG_ERROR,
		       "workers: %u need a memory limit of %u MiB at least; raise memory_limit or use fewer workers",
		       count, count * (RT_MEMORY_MINIMUM_BYTES >> 20));
		return -EINVAL;
	}
	status = create_all(count, options->busy_poll_us, memory_bytes);
	if (status < 0)
		return status;
	status = start_threads();
	if (status < 0)
		destroy_all();
	return status;
}

void rt_workers_stop(void)
{
	stop_threads(all.count);
	destroy_all();
}

/* ---- Tour ------------------------------------------------------------------------------------------------------ */

static void come_home(struct rt_post *post)
{
	struct rt_workers_tour *tour = RT_CONTAINER_OF(post, struct rt_workers_tour, post);

	tour->finished(tour);
}

static void go_on(struct rt_post *post)
{
	struct rt_workers_tour *tour = RT_CONTAINER_OF(post, struct rt_workers_tour, post);

	if (tour->next < all.count) {
		rt_loop_post(all.workers[tour->next++].loop, &tour->post);
		return;
	}
	tour->post.run = come_home;
	rt_loop_post(tour->home, &tour->post);
}

void rt_workers_tour_start(struct rt_workers_tour *tour)
{
	tour->post.run = go_on;
	tour->next = 0;
	go_on(&tour->post);
}

/* ---- A worker without a thread -------------------------------------------------------------------------------- */

int rt_workers_adopt_current(struct rt_worker **worker, size_t memory_bytes)
{
	int status = create_all(1, 0, memory_bytes);

	if (status < 0)
		return status;
	current_worker = &all.workers[0];
	rt_loop_set_current(current_worker->loop);
	*worker = current_worker;
	return 0;
}

void rt_workers_release_current(void)
{
	current_worker = NULL;
	rt_loop_set_current(NULL);
	destroy_all();
}
