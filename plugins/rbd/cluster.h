/* SPDX-License-Identifier: Apache-2.0
 *
 * One client of a cluster, and the pool that it works in.  Control verbs only.
 */
#ifndef TGTKIT_PLUGINS_RBD_CLUSTER_H
#define TGTKIT_PLUGINS_RBD_CLUSTER_H

#include <rados/librados.h>

#include "settings.h"

struct crbd_cluster {
	rados_t rados;	    /* NULL: none */
	rados_ioctx_t pool; /* NULL: none */
};

/* Makes a new client, connects, and finds pool and namespace, each step bounded by connect_timeout_s.  0 or a negative
 * errno with `error`, and nothing to close. */
int crbd_cluster_open(struct crbd_cluster *cluster, const struct crbd_settings *settings, struct tgtkit_error *error);
/* Patient: requests wait for OSDs that are away, unless ceph_rados_osd_op_timeout says otherwise.  Impatient, as at
 * first: for no longer than connect_timeout_s. */
int crbd_cluster_set_patience(struct crbd_cluster *cluster, const struct crbd_settings *settings, bool patient,
			      struct tgtkit_error *error);
void crbd_cluster_close(struct crbd_cluster *cluster);

#endif
