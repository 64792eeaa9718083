/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/port_groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rt/log.h"
#include "scsi/device_server.h"

void scsi_port_groups_free(struct scsi_port_groups *groups)
{
	for (size_t i = 0; i < groups->port_count; i++)
		free(groups->ports[i].target_name);
	free(groups->ports);
	free(groups->groups);
	memset(groups, 0, sizeof(*groups));
}

struct scsi_known_group *scsi_port_groups_find(struct scsi_port_groups *groups, uint16_t tag)
{
	for (size_t i = 0; i < groups->group_count; i++)
		if (groups->groups[i].tag == tag)
			return &groups->groups[i];
	return NULL;
}

static bool knows_port(const struct scsi_port_groups *groups, uint16_t relative_id)
{
	for (size_t i = 0; i < groups->port_count; i++)
		if (groups->ports[i].relative_id == relative_id)
			return true;
	return false;
}

static bool add_group(struct scsi_port_groups *groups, struct scsi_known_group group)
{
	struct scsi_known_group *grown = realloc(groups->groups, (groups->group_count + 1) * sizeof(*grown));
	size_t at = groups->group_count;

	if (grown == NULL)
		return false;
	groups->groups = grown;
	for (; at > 0 && grown[at - 1].tag > group.tag; at--)
		grown[at] = grown[at - 1];
	grown[at] = group;
	groups->group_count++;
	return true;
}

static bool add_port(struct scsi_port_groups *groups, uint16_t relative_id, uint16_t tag, const char *target_name)
{
	struct scsi_known_port *grown = realloc(groups->ports, (groups->port_count + 1) * sizeof(*grown));
	char *name = strdup(target_name);
	size_t at = groups->port_count;

	if (grown != NULL)
		groups->ports = grown;
	if (grown == NULL || name == NULL) {
		free(name);
		return false;
	}
	for (; at > 0 && grown[at - 1].relative_id > relative_id; at--)
		grown[at] = grown[at - 1];
	grown[at] = (struct scsi_known_port){.relative_id = relative_id, .tag = tag, .target_name = name};
	groups->port_count++;
	return true;
}

void scsi_port_groups_learn(struct scsi_port_groups *groups, const struct scsi_nexus *nexus)
{
	uint16_t tag = nexus->target_port_group_tag;

	if (knows_port(groups, nexus->relative_target_port_id))
		return;
	if (scsi_port_groups_find(groups, tag) == NULL && !add_group(groups, (struct scsi_known_group){.tag = tag}))
		return;
	add_port(groups, nexus->relative_target_port_id, tag, nexus->target_name);
}

static bool is_active(uint8_t state)
{
	return state == SCSI_PORT_GROUP_OPTIMIZED || state == SCSI_PORT_GROUP_NON_OPTIMIZED;
}

enum scsi_port_group_state scsi_port_groups_state(const struct scsi_logical_unit *unit,
						  const struct scsi_known_group *group)
{
	return unit->is_standby && is_active(group->state) ? SCSI_PORT_GROUP_STANDBY
							   : (enum scsi_port_group_state)group->state;
}

void scsi_port_groups_refresh(struct scsi_logical_unit *unit, struct scsi_nexus_lun *nexus_lun)
{
	static const uint32_t refusals[] = {
	    [SCSI_PORT_GROUP_STANDBY] = SCSI_REFUSE_STANDBY,
	    [SCSI_PORT_GROUP_UNAVAILABLE] = SCSI_REFUSE_UNAVAILABLE,
	    [SCSI_PORT_GROUP_TRANSITIONING] = SCSI_REFUSE_TRANSITION,
	};
	const struct scsi_known_group *group =
	    scsi_port_groups_find(&unit->port_groups, nexus_lun->nexus->target_port_group_tag);

	nexus_lun->refusals &= ~(uint32_t)SCSI_REFUSE_BY_STATE;
	if (group != NULL)
		nexus_lun->refusals |= refusals[scsi_port_groups_state(unit, group)];
	else if (unit->is_standby)
		nexus_lun->refusals |= SCSI_REFUSE_STANDBY;
}

void scsi_port_groups_refresh_lane(struct scsi_lane *lane)
{
	pthread_mutex_lock(&lane->unit->mutex);
	RT_LIST_FOR_EACH (node, &lane->nexus_luns) {
		scsi_port_groups_refresh(lane->unit, RT_CONTAINER_OF(node, struct scsi_nexus_lun, in_lane));
	}
	pthread_mutex_unlock(&lane->unit->mutex);
}

static void tell_lane(struct scsi_visit *visit, struct scsi_lane *lane)
{
	(void)visit;
	scsi_port_groups_refresh_lane(lane);
	scsi_unit_attention_raise_lane(lane, SCSI_UA_ASYMMETRIC_ACCESS_CHANGED, NULL);
}

static bool build(struct scsi_port_groups *groups, const struct scsi_port_group *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct scsi_known_group group = {
		    .tag = from[i].tag, .state = (uint8_t)from[i].state, .status = SCSI_STATUS_IMPLICIT};

		if (!add_group(groups, group))
			return false;
		for (size_t j = 0; j < from[i].port_count; j++)
			if (!add_port(groups, from[i].ports[j].relative_id, from[i].tag, from[i].ports[j].target_name))
				return false;
	}
	return true;
}

static bool states_differ(struct scsi_port_groups *before, const struct scsi_port_groups *after)
{
	for (size_t i = 0; i < after->group_count; i++) {
		const struct scsi_known_group *old = scsi_port_groups_find(before, after->groups[i].tag);

		if ((old != NULL ? old->state : SCSI_PORT_GROUP_OPTIMIZED) != after->groups[i].state)
			return true;
	}
	return false;
}

static void keep_states(struct scsi_port_groups *groups, struct scsi_port_groups *before,
			const struct scsi_port_group *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct scsi_known_group *old = from[i].keep ? scsi_port_groups_find(before, from[i].tag) : NULL;

		if (old != NULL)
			*scsi_port_groups_find(groups, from[i].tag) = *old;
	}
}

int scsi_logical_unit_set_port_groups(struct scsi_logical_unit *unit, const struct scsi_port_group *from, size_t count)
{
	struct scsi_port_groups groups = {0}, old;
	struct scsi_visit *visit = scsi_visit_create(unit, NULL);
	bool changed;

	if (visit == NULL || !build(&groups, from, count)) {
		if (visit != NULL)
			scsi_visit_free(visit);
		scsi_port_groups_free(&groups);
		return -ENOMEM;
	}
	pthread_mutex_lock(&unit->mutex);
	keep_states(&groups, &unit->port_groups, from, count);
	changed = states_differ(&unit->port_groups, &groups);
	old = unit->port_groups;
	unit->port_groups = groups;
	pthread_mutex_unlock(&unit->mutex);
	scsi_port_groups_free(&old);
	if (changed) {
		visit->arrive = tell_lane;
		scsi_visit_start(visit);
	} else {
		scsi_visit_free(visit);
	}
	return 0;
}

void scsi_logical_unit_set_standby(struct scsi_logical_unit *unit, bool standby)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	struct scsi_visit *visit;
	bool changed;

	pthread_mutex_lock(&unit->mutex);
	changed = unit->is_standby != standby;
	unit->is_standby = standby;
	pthread_mutex_unlock(&unit->mutex);
	visit = changed ? scsi_visit_create(unit, NULL) : NULL;
	if (visit) {
		visit->arrive = tell_lane;
		scsi_visit_start(visit);
	} else if (changed) {
		rt_log_limited_about(&limit, RT_ABOUT(.unit = unit->name), RT_LOG_ERROR,
				     "%s: no memory to tell initiators of the new access state; have them rescan",
				     unit->name);
	}
}
