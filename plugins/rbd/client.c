/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "unit.h"

/* On a thread of librbd's, which must not ask it for anything here. */
static void image_has_changed(void *argument)
{
	struct crbd_unit *unit = argument;

	unit->host->event(unit->unit, TGTKIT_EVENT_CAPACITY_CHANGED);
}

static void watch(struct crbd_unit *unit)
{
	int status = rbd_update_watch(unit->image, &unit->watch, image_has_changed, unit);

	unit->is_watching = status == 0;
	if (status != 0)
		unit->host->log(unit->unit, TGTKIT_LOG_WARNING,
				"cannot watch the image, so that a new size is seen later: %s", strerror(-status));
}

int crbd_client_open(struct crbd_unit *unit, uint64_t create_bytes, struct tgtkit_error *error)
{
	int status = crbd_cluster_open(&unit->cluster, &unit->settings, error);

	if (status != 0)
		return status;
	if (create_bytes != 0)
		status = crbd_image_create(&unit->cluster, &unit->settings, create_bytes, error);
	if (status == 0)
		status = crbd_image_open(&unit->cluster, &unit->settings, unit->read_only, &unit->image, error);
	if (status == 0)
		watch(unit);
	else
		crbd_client_close(unit);
	return status;
}

/* What librbd says about a client that the cluster takes nothing from is of no interest here. */
void crbd_client_close(struct crbd_unit *unit)
{
	if (unit->is_watching)
		rbd_update_unwatch(unit->image, unit->watch);
	unit->is_watching = false;
	if (unit->image != NULL)
		rbd_close(unit->image);
	unit->image = NULL;
	crbd_cluster_close(&unit->cluster);
}
