/* SPDX-License-Identifier: Apache-2.0
 *
 * "online" of a LUN whose store another host has: takes the store from that host first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/answer.h"
#include "mgmt/take_over.h"

/* Units have no place for their requests: one that is taken over has one request, found by the unit. */
struct take_over {
	struct rt_list node;
	struct mgmt *mgmt;
	struct mgmt_request *request;
	struct target_unit *unit;
	void (*then)(struct mgmt *mgmt, struct mgmt_request *request, const char *target, uint16_t lun);
	uint16_t lun;
	char *target;
};

static struct rt_list take_overs = {&take_overs, &take_overs};

static void forget(struct take_over *take_over)
{
	struct mgmt *mgmt = take_over->mgmt;

	rt_list_remove(&take_over->node);
	free(take_over->target);
	free(take_over);
	mgmt->verbs--;
	mgmt_check_stopped(mgmt);
}

static void taken_over(struct target_unit *unit)
{
	RT_LIST_FOR_EACH (node, &take_overs) {
		struct take_over *take_over = RT_CONTAINER_OF(node, struct take_over, node);

		if (take_over->unit != unit)
			continue;
		if (unit->status)
			mgmt_answer_error(take_over->request, unit->status == -ENOMEM ? 500 : 409, "take_over_failed",
					  "%s", *unit->error ? unit->error : strerror(-unit->status));
		else
			take_over->then(take_over->mgmt, take_over->request, take_over->target, take_over->lun);
		forget(take_over);
		return;
	}
}

bool mgmt_may_take_over(const struct target_unit *unit)
{
	return unit->logical_unit && atomic_load(&unit->standby);
}

void mgmt_take_over(struct mgmt *mgmt, struct mgmt_request *request, struct target_unit *unit, const char *target,
		    uint16_t lun,
		    void (*then)(struct mgmt *mgmt, struct mgmt_request *request, const char *target, uint16_t lun))
{
	struct take_over *take_over = calloc(1, sizeof(*take_over));
	char *name = strdup(target);

	if (!take_over || !name) {
		free(take_over);
		free(name);
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	*take_over = (struct take_over){
	    .mgmt = mgmt, .request = request, .unit = unit, .then = then, .lun = lun, .target = name};
	rt_list_append(&take_overs, &take_over->node);
	mgmt->verbs++;
	if (!target_unit_take_over(unit, taken_over))
		return;
	mgmt_answer_error(request, 409, "busy", "%s: is being taken over, or closed, already", unit->name);
	forget(take_over);
}
