/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/lane.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "scsi/device_server.h"
#include "scsi/unit.h"

void scsi_lane_run_parked(struct scsi_lane *lane)
{
	struct rt_list parked, *node;

	rt_list_init(&parked);
	rt_list_splice(&parked, &lane->parked);
	while ((node = rt_list_take_first(&parked)) != NULL)
		scsi_command_admit(RT_CONTAINER_OF(node, struct scsi_command, in_lane));
}

static void run_kick(struct rt_post *post)
{
	struct scsi_lane *lane = RT_CONTAINER_OF(post, struct scsi_lane, kick);
	struct scsi_logical_unit *unit = lane->unit;
	bool destroyed;

	pthread_mutex_lock(&unit->mutex);
	lane->has_parked = lane->kick_posted = false;
	unit->kicks_posted--;
	destroyed = unit->destroyed && unit->kicks_posted == 0;
	pthread_mutex_unlock(&unit->mutex);
	if (destroyed)
		scsi_logical_unit_free(unit);
	else
		scsi_lane_run_parked(lane);
}

void scsi_lane_init(struct scsi_lane *lane, struct scsi_logical_unit *unit, struct rt_worker *worker)
{
	lane->unit = unit;
	lane->worker = worker;
	lane->kick.run = run_kick;
	rt_list_init(&lane->executing);
	rt_list_init(&lane->parked);
	rt_list_init(&lane->background);
	rt_list_init(&lane->nexus_luns);
	rt_list_init(&lane->waiters);
}

struct scsi_lane *scsi_lane_current(struct scsi_logical_unit *unit)
{
	return &unit->lanes[rt_worker_current()->index];
}

void scsi_lanes_kick(struct scsi_logical_unit *unit)
{
	for (unsigned i = 0; i < unit->lane_count; i++) {
		struct scsi_lane *lane = &unit->lanes[i];

		if (!lane->has_parked || lane->kick_posted)
			continue;
		lane->kick_posted = true;
		unit->kicks_posted++;
		rt_loop_post(lane->worker->loop, &lane->kick);
	}
}

/* The last lane's answer brings the visit home. */
static void answer(struct scsi_visit *visit)
{
	if (atomic_fetch_sub_explicit(&visit->outstanding, 1, memory_order_acq_rel) == 1)
		rt_loop_post(visit->reply_to, &visit->reply);
}

static bool is_satisfied(const struct scsi_visit_stop *stop)
{
	return stop->visit->satisfied == NULL || stop->visit->satisfied(stop->visit, stop->lane);
}

void scsi_lane_recheck(struct scsi_lane *lane)
{
	RT_LIST_FOR_EACH (node, &lane->waiters) {
		struct scsi_visit_stop *stop = RT_CONTAINER_OF(node, struct scsi_visit_stop, waiting);

		if (!is_satisfied(stop))
			continue;
		rt_list_remove(node);
		answer(stop->visit);
	}
}

static void arrive_at_lane(struct rt_post *post)
{
	struct scsi_visit_stop *stop = RT_CONTAINER_OF(post, struct scsi_visit_stop, post);
	struct scsi_visit *visit = stop->visit;

	if (visit->arrive != NULL)
		visit->arrive(visit, stop->lane);
	if (is_satisfied(stop))
		answer(visit);
	else
		rt_list_append(&stop->lane->waiters, &stop->waiting);
}

static void return_home(struct rt_post *post)
{
	struct scsi_visit *visit = RT_CONTAINER_OF(post, struct scsi_visit, reply);

	if (visit->finished != NULL)
		visit->finished(visit);
	else
		scsi_visit_free(visit);
}

struct scsi_visit *scsi_visit_create(struct scsi_logical_unit *unit, struct rt_loop *reply_to)
{
	struct scsi_visit *visit = calloc(1, sizeof(*visit) + unit->lane_count * sizeof(visit->stops[0]));

	if (visit == NULL)
		return NULL;
	visit->unit = unit;
	if (reply_to == NULL)
		reply_to = rt_loop_current();
	visit->reply_to = reply_to != NULL ? reply_to : rt_worker_get(0)->loop;
	visit->reply.run = return_home;
	visit->capacity = unit->lane_count;
	return visit;
}

/* A lane that comes into use later saw, under the mutex, what the visitor had changed before. */
static unsigned choose_lanes(struct scsi_visit *visit)
{
	struct scsi_logical_unit *unit = visit->unit;
	unsigned count = 0;

	pthread_mutex_lock(&unit->mutex);
	for (unsigned i = 0; i < visit->capacity; i++) {
		struct scsi_visit_stop *stop = &visit->stops[count];

		if (!unit->lanes[i].in_use)
			continue;
		stop->post.run = arrive_at_lane;
		stop->visit = visit;
		stop->lane = &unit->lanes[i];
		rt_list_init(&stop->waiting);
		count++;
	}
	pthread_mutex_unlock(&unit->mutex);
	return count;
}

void scsi_visit_start(struct scsi_visit *visit)
{
	unsigned count = choose_lanes(visit);

	/* One more than the lanes, so that it cannot come home before all posts are out. */
	atomic_store_explicit(&visit->outstanding, count + 1, memory_order_relaxed);
	for (unsigned i = 0; i < count; i++) {
		struct scsi_visit_stop *stop = &visit->stops[i];

		if (stop->lane->worker == rt_worker_current())
			arrive_at_lane(&stop->post);
		else
			rt_loop_post(stop->lane->worker->loop, &stop->post);
	}
	answer(visit);
}

void scsi_visit_free(struct scsi_visit *visit)
{
	free(visit);
}
