/* SPDX-License-Identifier: Apache-2.0
 *
 * The management side: the API over its socket, what it changes, and reloads.  Everything on the control thread.
 */
#ifndef TGTKIT_MGMT_MGMT_H
#define TGTKIT_MGMT_MGMT_H

#include "mgmt/socket.h"
#include "rt/loop.h"
#include "target/model.h"

struct mgmt;

struct mgmt_options {
	struct rt_loop *control;
	struct target_model *model;
	/* Reads the administrator's configuration anew into an empty one.  Blocks: runs on the pool. */
	void (*read_configuration)(void *context, struct target_configuration *configuration,
				   struct spec_problems *problems);
	void *context;
};

/* Start-up (blocks): the socket, if the configuration wants one.  Nothing is accepted before mgmt_serve.  0 or negative
 * errno with `error`. */
int mgmt_create(const struct mgmt_options *options, struct mgmt **mgmt, char error[static MGMT_ERROR_BYTES]);
/* The model has started.  0 or negative errno. */
int mgmt_serve(struct mgmt *mgmt);
/* SIGHUP. */
void mgmt_reload(struct mgmt *mgmt);
/* No more requests; `stopped` when no change is under way, so that the model may be stopped. */
void mgmt_stop(struct mgmt *mgmt, void (*stopped)(void *context), void *context);
/* Stopped, or never served. */
void mgmt_free(struct mgmt *mgmt);

#endif
