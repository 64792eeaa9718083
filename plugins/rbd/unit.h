/* SPDX-License-Identifier: Apache-2.0
 *
 * An opened unit.
 *
 * Requests are submitted on the home worker and completed by librbd's threads; control verbs run one at a time.  What
 * they share is `state` and `in_flight`: a request counts itself in before it looks at the state, and touches the image
 * only if that is SERVING; a verb that replaces the image does so when the state is another and nothing is in flight.
 */
#ifndef TGTKIT_PLUGINS_RBD_UNIT_H
#define TGTKIT_PLUGINS_RBD_UNIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/uio.h>

#include <rbd/librbd.h>

#include "cluster.h"
#include "image.h"
#include "settings.h"

#define CRBD_MOST_SEGMENTS 64

enum crbd_state {
	CRBD_WAITING, /* another host has the image's lock */
	CRBD_SERVING, /* this one has it, or it is only read */
	CRBD_CUT_OFF, /* the cluster takes nothing from this client any more: another host took over, or an operator's
		       * command shut it out.  Only an operator's command makes a new client. */
};

struct crbd_unit {
	const struct tgtkit_host *host;
	struct tgtkit_unit *unit;
	struct crbd_settings settings;
	bool read_only;
	struct crbd_cluster cluster;
	rbd_image_t image; /* NULL: none */
	uint64_t watch;	   /* of changes to the image */
	bool is_watching;
	struct tgtkit_capabilities capabilities; /* as last seen; for verbs */
	char identity[CRBD_IDENTITY_BYTES];
	_Atomic(enum crbd_state) state;
	atomic_uint in_flight;
	pthread_mutex_t lock;
	pthread_cond_t is_idle; /* in_flight has become 0 while the unit does not serve */
};

/* A request; in the scratch area of the host's. */
struct crbd_io {
	struct crbd_unit *unit;
	struct tgtkit_request *request;
	struct iovec vectors[CRBD_MOST_SEGMENTS]; /* librbd reads into them later on */
};

/* ---- io.c ---- */
int crbd_queue_open(void *handle, const struct tgtkit_queue_open_args *args, void **queue_context);
int crbd_submit(void *queue_context, struct tgtkit_request *request);
void crbd_queue_close(void *queue_context);

/* ---- client.c: a client with the image open ---- */
/* `create_bytes` 0: the image has to be there.  Requests are bounded until crbd_cluster_set_patience. */
int crbd_client_open(struct crbd_unit *unit, uint64_t create_bytes, struct tgtkit_error *error);
void crbd_client_close(struct crbd_unit *unit);

/* ---- owner.c: who has the image ---- */
/* Any thread: the cluster has answered that it takes nothing from this client. */
void crbd_cut_off(struct crbd_unit *unit, const char *reason);
/* Inside `open`: takes the lock if nobody who is alive has it, or, with the option take_over, from whoever has it.  0,
 * also when the unit has to wait, or a negative errno with `error`. */
int crbd_owner_begin(struct crbd_unit *unit, struct tgtkit_error *error);
/* Now and then: notices a lock that was lost, and takes one that was left. */
void crbd_owner_look(struct crbd_unit *unit);
/* Control verb. */
int crbd_take_over(void *handle, struct tgtkit_error *error);

#endif
