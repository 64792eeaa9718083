/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of Ceph's that this plugin would rather have otherwise, for speed alone.  Control verbs only.
 */
#ifndef TGTKIT_PLUGINS_RBD_TUNING_H
#define TGTKIT_PLUGINS_RBD_TUNING_H

#include <rados/librados.h>

#define CRBD_TUNED_SETTINGS	 8
#define CRBD_TUNED_SETTING_BYTES 64

/* What they are as long as nobody has said anything. */
struct crbd_untuned {
	char values[CRBD_TUNED_SETTINGS][CRBD_TUNED_SETTING_BYTES];
};

/* Before any configuration is read. */
void crbd_tuning_begin(rados_t rados, struct crbd_untuned *untuned);
/* Once the configuration file is read, whose word stands. */
void crbd_tuning_apply(rados_t rados, const struct crbd_untuned *untuned);
/* Last: requests are handed over by the host's worker, which must not wait, whatever was set. */
void crbd_tuning_end(rados_t rados);

#endif
