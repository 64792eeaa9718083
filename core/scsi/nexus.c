/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/nexus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/device_server.h"
#include "scsi/extended_copy.h"
#include "scsi/handlers.h"
#include "scsi/reservations.h"
#include "scsi/task_management_private.h"

#define DEFAULT_CLOSE_TIMEOUT_US UINT64_C(10000000)

static void init_nexus_lun(struct scsi_nexus_lun *nexus_lun, struct scsi_nexus *nexus)
{
	nexus_lun->nexus = nexus;
	rt_list_init(&nexus_lun->tasks);
	rt_list_init(&nexus_lun->functions);
	rt_list_init(&nexus_lun->copy_results);
	rt_list_init(&nexus_lun->in_lane);
	rt_list_init(&nexus_lun->in_unit);
	rt_list_init(&nexus_lun->in_nexus);
}

static void free_nexus(struct scsi_nexus *nexus)
{
	for (unsigned i = 0; i < SCSI_LUN_PAGES; i++)
		free(nexus->pages[i]);
	scsi_lun_map_drop(nexus->lun_map);
	free(nexus->initiator_port);
	free(nexus->initiator_name);
	free(nexus->target_name);
	if (nexus->figures != NULL)
		nexus->figures_dropped(nexus->figures_context);
	free(nexus);
}

static void check_closed(struct rt_deferred *deferred);

int scsi_nexus_create(const struct scsi_nexus_spec *spec, struct scsi_nexus **out)
{
	struct scsi_nexus *nexus = calloc(1, sizeof(*nexus));

	if (nexus == NULL)
		return -ENOMEM;
	nexus->lun_map = scsi_lun_map_hold(spec->lun_map);
	nexus->initiator_port = strdup(spec->initiator_port);
	nexus->initiator_name = strdup(spec->initiator_name);
	nexus->target_name = strdup(spec->target_name);
	if (nexus->initiator_port == NULL || nexus->initiator_name == NULL || nexus->target_name == NULL) {
		free_nexus(nexus);
		return -ENOMEM;
	}
	nexus->worker = rt_worker_current();
	nexus->target_port_group_tag = spec->target_port_group_tag;
	nexus->relative_target_port_id = spec->relative_target_port_id;
	nexus->newer_functions = spec->newer_functions;
	nexus->commands_terminated = spec->commands_terminated;
	nexus->context = spec->context;
	nexus->figures = spec->figures;
	nexus->figures_dropped = spec->figures_dropped;
	nexus->figures_context = spec->figures_context;
	nexus->close_check.run = check_closed;
	rt_list_init(&nexus->detached);
	rt_list_init(&nexus->functions);
	init_nexus_lun(&nexus->without_unit, nexus);
	*out = nexus;
	return 0;
}

struct scsi_nexus_lun *scsi_nexus_lun_peek(struct scsi_nexus *nexus, uint16_t lun)
{
	struct scsi_lun_page *page = nexus->pages[lun / SCSI_LUNS_PER_PAGE];

	return page != NULL ? page->by_lun[lun % SCSI_LUNS_PER_PAGE] : NULL;
}

static void join_lane(struct scsi_nexus_lun *nexus_lun)
{
	struct scsi_logical_unit *unit = nexus_lun->unit;

	nexus_lun->lane = scsi_lane_current(unit);
	pthread_mutex_lock(&unit->mutex);
	nexus_lun->lane->in_use = true;
	rt_list_append(&unit->attached, &nexus_lun->in_unit);
	scsi_reservations_refresh(nexus_lun);
	scsi_port_groups_learn(&unit->port_groups, nexus_lun->nexus);
	scsi_port_groups_refresh(unit, nexus_lun);
	pthread_mutex_unlock(&unit->mutex);
	rt_list_append(&nexus_lun->lane->nexus_luns, &nexus_lun->in_lane);
	scsi_unit_attention_raise(nexus_lun, SCSI_UA_POWER_ON);
}

static void set_read_only(struct scsi_nexus_lun *nexus_lun, bool read_only)
{
	nexus_lun->refusals &= ~(uint32_t)SCSI_REFUSE_READ_ONLY;
	if (read_only)
		nexus_lun->refusals |= SCSI_REFUSE_READ_ONLY;
}

static struct scsi_nexus_lun *attach(struct scsi_nexus *nexus, const struct scsi_lun_mapping *mapping)
{
	struct scsi_lun_page **page = &nexus->pages[mapping->lun / SCSI_LUNS_PER_PAGE];
	struct scsi_nexus_lun *nexus_lun = calloc(1, sizeof(*nexus_lun));

	if (nexus_lun == NULL)
		return NULL;
	if (*page == NULL)
		*page = calloc(1, sizeof(**page));
	if (*page == NULL) {
		free(nexus_lun);
		return NULL;
	}
	init_nexus_lun(nexus_lun, nexus);
	nexus_lun->lun = mapping->lun;
	nexus_lun->unit = mapping->unit;
	nexus_lun->map = scsi_lun_map_hold(nexus->lun_map);
	set_read_only(nexus_lun, mapping->read_only);
	join_lane(nexus_lun);
	(*page)->by_lun[mapping->lun % SCSI_LUNS_PER_PAGE] = nexus_lun;
	return nexus_lun;
}

struct scsi_nexus_lun *scsi_nexus_lun_find(struct scsi_nexus *nexus, const uint8_t field[static 8],
					   enum scsi_lun_kind *kind, uint16_t *lun)
{
	const struct scsi_lun_mapping *mapping;
	struct scsi_nexus_lun *nexus_lun;

	*kind = scsi_lun_decode(field, lun);
	if (*kind != SCSI_LUN_NUMBER)
		return NULL;
	nexus_lun = scsi_nexus_lun_peek(nexus, *lun);
	if (__builtin_expect(nexus_lun != NULL, 1))
		return nexus_lun;
	mapping = scsi_lun_map_find(nexus->lun_map, *lun);
	return mapping != NULL && mapping->unit != NULL ? attach(nexus, mapping) : NULL;
}

void scsi_nexus_lun_for_each(struct scsi_nexus *nexus, void (*visit)(struct scsi_nexus_lun *nexus_lun, void *context),
			     void *context)
{
	for (unsigned i = 0; i < SCSI_LUN_PAGES; i++) {
		if (nexus->pages[i] == NULL)
			continue;
		for (unsigned j = 0; j < SCSI_LUNS_PER_PAGE; j++)
			if (nexus->pages[i]->by_lun[j] != NULL)
				visit(nexus->pages[i]->by_lun[j], context);
	}
}

static void free_nexus_lun(struct scsi_nexus_lun *nexus_lun)
{
	scsi_copy_results_free(nexus_lun);
	rt_list_remove(&nexus_lun->in_nexus);
	scsi_lun_map_drop(nexus_lun->map);
	free(nexus_lun);
}

static void leave_unit(struct scsi_nexus_lun *nexus_lun)
{
	struct scsi_logical_unit *unit = nexus_lun->unit;

	pthread_mutex_lock(&unit->mutex);
	rt_list_remove(&nexus_lun->in_unit);
	pthread_mutex_unlock(&unit->mutex);
	scsi_prevent_removal(nexus_lun, false);
	scsi_reservations_nexus_lost(nexus_lun);
}

/* Its LUN or its nexus is gone: freed with its last command. */
static void detach(struct scsi_nexus_lun *nexus_lun, bool silently)
{
	struct scsi_nexus *nexus = nexus_lun->nexus;

	nexus->pages[nexus_lun->lun / SCSI_LUNS_PER_PAGE]->by_lun[nexus_lun->lun % SCSI_LUNS_PER_PAGE] = NULL;
	rt_list_remove(&nexus_lun->in_lane);
	rt_list_append(&nexus->detached, &nexus_lun->in_nexus);
	leave_unit(nexus_lun);
	scsi_task_set_abort(nexus_lun, silently);
	nexus_lun->detached = true;
	if (rt_list_is_empty(&nexus_lun->tasks))
		free_nexus_lun(nexus_lun);
}

void scsi_nexus_command_ended(struct scsi_nexus_lun *nexus_lun)
{
	struct scsi_nexus *nexus = nexus_lun->nexus;

	if (nexus_lun->detached && rt_list_is_empty(&nexus_lun->tasks))
		free_nexus_lun(nexus_lun);
	if (nexus->closing && nexus->commands == 0)
		rt_loop_defer(nexus->worker->loop, RT_PHASE_COMPLETE, &nexus->close_check);
}

static bool maps_differ(const struct scsi_lun_map *a, const struct scsi_lun_map *b)
{
	if (a->count != b->count)
		return true;
	for (size_t i = 0; i < a->count; i++)
		if (a->mappings[i].lun != b->mappings[i].lun || a->mappings[i].unit != b->mappings[i].unit ||
		    a->mappings[i].read_only != b->mappings[i].read_only)
			return true;
	return false;
}

static void follow_map(struct scsi_nexus_lun *nexus_lun, void *context)
{
	struct scsi_lun_map *map = context;
	const struct scsi_lun_mapping *mapping = scsi_lun_map_find(map, nexus_lun->lun);

	if (mapping == NULL || mapping->unit != nexus_lun->unit) {
		detach(nexus_lun, false);
		return;
	}
	scsi_lun_map_hold(map);
	scsi_lun_map_drop(nexus_lun->map);
	nexus_lun->map = map;
	set_read_only(nexus_lun, mapping->read_only);
	scsi_unit_attention_raise(nexus_lun, SCSI_UA_REPORTED_LUNS_CHANGED);
}

bool scsi_nexus_set_lun_map(struct scsi_nexus *nexus, struct scsi_lun_map *map)
{
	struct scsi_lun_map *old = nexus->lun_map;
	bool differs = maps_differ(old, map);

	nexus->lun_map = scsi_lun_map_hold(map);
	if (differs)
		scsi_nexus_lun_for_each(nexus, follow_map, map);
	scsi_lun_map_drop(old);
	return differs;
}

unsigned scsi_nexus_commands_under_way(const struct scsi_nexus *nexus)
{
	return nexus->commands;
}

static void report_closed(struct scsi_nexus *nexus, bool all_ended)
{
	void (*closed)(void *context, bool all_ended) = nexus->closed;

	nexus->closed = NULL;
	if (closed != NULL)
		closed(nexus->closed_context, all_ended);
}

static void check_closed(struct rt_deferred *deferred)
{
	struct scsi_nexus *nexus = RT_CONTAINER_OF(deferred, struct scsi_nexus, close_check);

	rt_timer_cancel(&nexus->close_timer);
	report_closed(nexus, true);
	free_nexus(nexus);
}

/* What has not ended by now may still write: its units answer nobody until it has. */
static void close_timed_out(struct rt_timer *timer)
{
	struct scsi_nexus *nexus = RT_CONTAINER_OF(timer, struct scsi_nexus, close_timer);

	RT_LIST_FOR_EACH (node, &nexus->detached)
		scsi_task_set_mark_hung(RT_CONTAINER_OF(node, struct scsi_nexus_lun, in_nexus));
	report_closed(nexus, false);
}

struct close_step {
	uint64_t timeout_us;
};

static void close_nexus_lun(struct scsi_nexus_lun *nexus_lun, void *context)
{
	struct close_step *step = context;

	if (step->timeout_us < nexus_lun->unit->task_management_timeout_us)
		step->timeout_us = nexus_lun->unit->task_management_timeout_us;
	detach(nexus_lun, true);
}

void scsi_nexus_close(struct scsi_nexus *nexus, void (*closed)(void *context, bool all_ended), void *context)
{
	struct close_step step = {0};

	nexus->closed = closed;
	nexus->closed_context = context;
	nexus->close_timer.expired = close_timed_out;
	scsi_nexus_lun_for_each(nexus, close_nexus_lun, &step);
	scsi_task_set_abort(&nexus->without_unit, true);
	nexus->closing = true;
	if (nexus->commands == 0)
		rt_loop_defer(nexus->worker->loop, RT_PHASE_COMPLETE, &nexus->close_check);
	else
		rt_timer_arm(nexus->worker->loop, &nexus->close_timer,
			     step.timeout_us != 0 ? step.timeout_us : DEFAULT_CLOSE_TIMEOUT_US);
}
