/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has the image.  The lock is taken for good: librbd hands one that was asked for in this way to nobody, as long as
 * its owner is alive.  Whoever takes it all the same has the cluster shut the owner's client out first, so that none of
 * its late writes lands.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit.h"

#define ADDRESS_BYTES 128

/* ---- State ---------------------------------------------------------------------------------------------------------
 */

void crbd_cut_off(struct crbd_unit *unit, const char *reason)
{
	enum crbd_state serving = CRBD_SERVING;

	if (!atomic_compare_exchange_strong(&unit->state, &serving, CRBD_CUT_OFF))
		return;
	unit->host->log(unit->unit, TGTKIT_LOG_WARNING,
			"%s: nothing is read or written here any more until it is taken over again", reason);
	unit->host->event(unit->unit, TGTKIT_EVENT_STANDBY);
}

static void serve(struct crbd_unit *unit)
{
	atomic_store(&unit->state, CRBD_SERVING);
	unit->host->event(unit->unit, TGTKIT_EVENT_ACTIVE);
}

static void wait_for_owner(struct crbd_unit *unit, const char *owner)
{
	atomic_store(&unit->state, CRBD_WAITING);
	unit->host->log(unit->unit, TGTKIT_LOG_WARNING, "the client %s has the image", owner);
	unit->host->event(unit->unit, TGTKIT_EVENT_STANDBY);
}

/* ---- The lock ------------------------------------------------------------------------------------------------------
 */

/* The address of the lock's owner; "" if there is none. */
static int find_owner(struct crbd_unit *unit, char owner[static ADDRESS_BYTES])
{
	rbd_lock_mode_t mode;
	char *owners[1] = {NULL};
	size_t count = 1;
	int status = rbd_lock_get_owners(unit->image, &mode, owners, &count);

	owner[0] = '\0';
	if (status == -ENOENT)
		return 0;
	if (status != 0)
		return status;
	if (count > 0 && owners[0] != NULL) {
		strncpy(owner, owners[0], ADDRESS_BYTES - 1);
		owner[ADDRESS_BYTES - 1] = '\0';
		rbd_lock_get_owners_cleanup(owners, count);
	}
	return 0;
}

/* Who has the image open watches it, and is forgotten half a minute after its last sign of life. */
static int is_alive(struct crbd_unit *unit, const char *owner, bool *alive)
{
	rbd_image_watcher_t watchers[64];
	size_t count = sizeof(watchers) / sizeof(watchers[0]);
	int status = rbd_watchers_list(unit->image, watchers, &count);

	*alive = status == -ERANGE;
	if (status == -ERANGE)
		return 0;
	if (status != 0)
		return status;
	for (size_t i = 0; i < count; i++)
		*alive |= strcmp(watchers[i].addr, owner) == 0;
	rbd_watchers_list_cleanup(watchers, count);
	return 0;
}

/* 0: it is this client's.  -EROFS: somebody has it, and is alive. */
static int acquire(struct crbd_unit *unit)
{
	int status = rbd_lock_acquire(unit->image, RBD_LOCK_MODE_EXCLUSIVE);

	return status == -EBUSY || status == -EAGAIN ? -EROFS : status;
}

static int fail_by_lock(struct crbd_unit *unit, int status, struct tgtkit_error *error)
{
	return crbd_fail(error, -status, "the lock of image '%s' cannot be taken: %s", unit->settings.image,
			 strerror(-status));
}

/* ---- Without force -------------------------------------------------------------------------------------------------
 */

/* Takes the lock if it is free, or its owner dead, which librbd shuts out then.  `owner` is who has it else. */
static int try(struct crbd_unit *unit, char owner[static ADDRESS_BYTES])
{
	bool alive = false;
	int status = find_owner(unit, owner);

	if (status == 0 && owner[0] != '\0')
		status = is_alive(unit, owner, &alive);
	if (status != 0)
		return status;
	return alive ? -EROFS : acquire(unit);
}

void crbd_owner_look(struct crbd_unit *unit)
{
	char owner[ADDRESS_BYTES];
	int is_owner = 0, status;

	if (unit->read_only || atomic_load(&unit->state) == CRBD_CUT_OFF)
		return;
	if (atomic_load(&unit->state) == CRBD_WAITING) {
		if (try(unit, owner) == 0)
			serve(unit);
		return;
	}
	status = rbd_is_exclusive_lock_owner(unit->image, &is_owner);
	if (status == -ESHUTDOWN)
		crbd_cut_off(unit, "the cluster has this client on its blocklist");
	else if (status == 0 && !is_owner)
		crbd_cut_off(unit, "the image's lock is lost");
}

/* ---- By force ------------------------------------------------------------------------------------------------------
 */

static int break_lock(struct crbd_unit *unit, const char *owner, struct tgtkit_error *error)
{
	int status = rbd_lock_break(unit->image, RBD_LOCK_MODE_EXCLUSIVE, owner);

	if (status == 0)
		unit->host->log(unit->unit, TGTKIT_LOG_WARNING,
				"took the image from the client %s, which is on the cluster's blocklist now", owner);
	if (status == 0 || status == -ENOENT)
		return 0;
	if (status == -EACCES || status == -EPERM)
		return crbd_fail(error, -status,
				 "client.%s may not shut out the client %s, which has the image: give it the caps "
				 "mon 'profile rbd'",
				 unit->settings.id, owner);
	return crbd_fail(error, -status, "the lock of client %s cannot be broken: %s", owner, strerror(-status));
}

static int take(struct crbd_unit *unit, struct tgtkit_error *error)
{
	char owner[ADDRESS_BYTES];
	int status = find_owner(unit, owner);

	if (status != 0)
		return fail_by_lock(unit, status, error);
	if (owner[0] != '\0')
		status = break_lock(unit, owner, error);
	if (status != 0)
		return status;
	status = acquire(unit);
	if (status == -EROFS)
		return crbd_fail(error, EBUSY, "another host has taken the image '%s' at the same moment",
				 unit->settings.image);
	return status != 0 ? fail_by_lock(unit, status, error) : 0;
}

static int begin_by_force(struct crbd_unit *unit, struct tgtkit_error *error)
{
	int status = unit->read_only ? 0 : take(unit, error);

	return status != 0 ? status : crbd_cluster_set_patience(&unit->cluster, &unit->settings, true, error);
}

int crbd_owner_begin(struct crbd_unit *unit, struct tgtkit_error *error)
{
	char owner[ADDRESS_BYTES] = "";
	int status;

	if (unit->read_only || unit->settings.take_over) {
		status = begin_by_force(unit, error);
		if (status == 0)
			atomic_store(&unit->state, CRBD_SERVING);
		return status;
	}
	status = try(unit, owner);
	if (status != 0 && status != -EROFS)
		return fail_by_lock(unit, status, error);
	if (status == -EROFS)
		wait_for_owner(unit, owner[0] != '\0' ? owner : "of another host");
	else
		atomic_store(&unit->state, CRBD_SERVING);
	return crbd_cluster_set_patience(&unit->cluster, &unit->settings, true, error);
}

/* Those of a client that was cut off end with an error soon; they must not meet another image. */
static int wait_until_idle(struct crbd_unit *unit, struct tgtkit_error *error)
{
	struct timespec limit;
	int status = 0;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += unit->settings.connect_timeout_s;
	pthread_mutex_lock(&unit->lock);
	while (atomic_load(&unit->in_flight) > 0 && status == 0)
		status = pthread_cond_timedwait(&unit->is_idle, &unit->lock, &limit);
	pthread_mutex_unlock(&unit->lock);
	return status == 0 ? 0 : crbd_fail(error, EBUSY, "requests of the old client have not ended yet; try again");
}

/* Its requests are over: a new client, as at open. */
static int renew(struct crbd_unit *unit, struct tgtkit_error *error)
{
	int status = wait_until_idle(unit, error);

	if (status != 0)
		return status;
	crbd_client_close(unit);
	return crbd_client_open(unit, 0, error);
}

int crbd_take_over(void *handle, struct tgtkit_error *error)
{
	struct crbd_unit *unit = handle;
	int status;

	if (atomic_load(&unit->state) == CRBD_SERVING)
		return 0;
	if (atomic_load(&unit->state) == CRBD_CUT_OFF)
		status = renew(unit, error);
	else
		status = crbd_cluster_set_patience(&unit->cluster, &unit->settings, false, error);
	if (status == 0)
		status = begin_by_force(unit, error);
	if (status == 0)
		serve(unit);
	return status;
}
