/* SPDX-License-Identifier: Apache-2.0
 *
 * What model.c (start) and model_stop.c share.
 */
#ifndef TGTKIT_TARGET_MODEL_PRIVATE_H
#define TGTKIT_TARGET_MODEL_PRIVATE_H

#include "iscsi/server.h"
#include "target/alua.h"
#include "target/model.h"
#include "target/unit.h"

struct target_model {
	struct rt_loop *control;
	struct target_configuration *configuration;
	struct target_ledger ledger;
	struct target_unit **units; /* in the order of configuration->units */
	size_t unit_count;
	struct rt_list retiring; /* units that are in no configuration any more, target_unit.in_retiring */
	struct rt_list portals;	 /* of struct model_portal */
	struct target_alua_override *overrides;
	size_t override_count;
	struct rt_timer timer; /* of the start or the stop */
	size_t outstanding;    /* units that have yet to call back */
	bool is_stuck;	       /* a unit's open has not come back in time */
	/* start */
	struct target_ledger_save save;
	struct rt_post applied;
	bool server_started, start_failed, start_canceled;
	bool picked_port; /* a portal was given port 0 */
	void (*started)(void *context, int status);
	void *started_context;
	/* stop */
	struct rt_post server_stopped;
	bool closing, has_lost;
	bool stop_waits;	      /* for the change under way */
	struct target_change *change; /* under way */
	/* Units whose store can be opened at last. */
	bool is_serving, is_stopping, has_arrivals;
	struct target_change arrival;	   /* that publishes them */
	struct target_change *next_change; /* that waits for it */
	void (*stopped)(void *context, enum target_stop_result result);
	void *stopped_context;
};

struct model_portal {
	struct rt_list node;
	uint16_t tag;
	struct sockaddr_storage wanted, bound; /* they differ where port 0 was asked for */
	struct iscsi_listener *listener;
};

/* Listens on the portal and says in its spec where; into the list.  0 or negative errno with `error`. */
int target_model_portal_open(const struct portal_group_spec *group, struct portal_spec *portal, struct rt_list *list,
			     char error[static TARGET_ERROR_BYTES]);
void target_model_portal_close(struct model_portal *portal);

/* Shared by the start and a change: `units` are those of `configuration`. */
int target_model_name_ports(struct target_ledger *ledger, const struct target_configuration *configuration,
			    char error[static TARGET_ERROR_BYTES]);
/* Gives the unit its serial and makes its SCSI side; `others` (or NULL) are looked at for the same serial. */
int target_model_serve_unit(struct target_model *model, struct target_unit *unit, struct target_unit *const *others,
			    size_t other_count, char error[static TARGET_ERROR_BYTES]);
/* The unit's store could not be opened, or is late: it is tried again, and served when it is there. */
void target_model_await(struct target_model *model, struct target_unit *unit);
/* Of the change that publishes them: makes the SCSI side of those that are there. */
void target_model_serve_arrivals(struct target_model *model, struct target_unit *const *units, size_t count);
/* Neither the start nor a change is under way: what waits for that? */
void target_model_go_on(struct target_model *model);
void target_change_start(struct target_change *change);
void target_model_stop_serving(struct target_model *model);
/* The unit is in no published directory any more. */
void target_model_retire(struct target_model *model, struct target_unit *unit);
/* For a stop that waits for it. */
void target_model_stop_unit_retired(struct target_model *model);

#endif
