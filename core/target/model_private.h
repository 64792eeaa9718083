/* SPDX-License-Identifier: Apache-2.0
 *
 * What model.c (start) and model_stop.c share.
 */
#ifndef TGTKIT_TARGET_MODEL_PRIVATE_H
#define TGTKIT_TARGET_MODEL_PRIVATE_H

#include "iscsi/server.h"
#include "target/model.h"
#include "target/unit.h"

struct target_model {
	struct rt_loop *control;
	struct target_configuration *configuration;
	struct target_ledger ledger;
	struct target_unit *units; /* in the order of configuration->units */
	size_t unit_count;
	struct iscsi_listener **listeners;
	size_t listener_count;
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
	bool has_lost;
	void (*stopped)(void *context, enum target_stop_result result);
	void *stopped_context;
};

#endif
