/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rbd/librbd.h>

#include "cluster.h"
#include "tuning.h"

#define OSD_TIMEOUT "rados_osd_op_timeout"

/* ---- Settings of the client ----------------------------------------------------------------------------------------
 */

static int set(rados_t rados, const char *key, const char *value, const char *shown_key, struct tgtkit_error *error)
{
	int status = rados_conf_set(rados, key, value);

	if (status == -ENOENT)
		return crbd_fail(error, EINVAL, "%s: Ceph has no such setting", shown_key);
	if (status != 0)
		return crbd_fail(error, -status, "%s: '%s' is refused: %s", shown_key, value, strerror(-status));
	return 0;
}

static int set_number(rados_t rados, const char *key, unsigned value, struct tgtkit_error *error)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return set(rados, key, text, key, error);
}

static int read_conf(rados_t rados, const struct crbd_settings *settings, struct tgtkit_error *error)
{
	int status = rados_conf_read_file(rados, settings->conf);

	if (status == 0 || (settings->conf == NULL && crbd_settings_has(settings, "mon_host")))
		return 0;
	if (settings->conf != NULL)
		return crbd_fail(error, -status, "conf: '%s' cannot be read: %s", settings->conf, strerror(-status));
	return crbd_fail(error, -status,
			 "there is no configuration file of the cluster '%s' where Ceph looks for it: %s; name it with "
			 "conf, or the monitors with ceph_mon_host",
			 settings->cluster, strerror(-status));
}

static int set_cache(rados_t rados, enum crbd_cache cache, struct tgtkit_error *error)
{
	static const char *const policies[] = {
	    [CRBD_CACHE_WRITETHROUGH] = "writethrough",
	    [CRBD_CACHE_WRITEBACK] = "writeback",
	    [CRBD_CACHE_WRITEAROUND] = "writearound",
	};
	int status = set(rados, "rbd_cache", cache == CRBD_CACHE_NONE ? "false" : "true", "cache", error);

	if (status == 0 && cache != CRBD_CACHE_NONE)
		status = set(rados, "rbd_cache_policy", policies[cache], "cache", error);
	return status;
}

/* What this plugin rests on, whatever the configuration file says: a broken lock without its owner shut out would let
 * late writes land, and what capabilities promise depends on the cache. */
static int set_fixed(rados_t rados, const struct crbd_settings *settings, struct tgtkit_error *error)
{
	static const char *const taken[] = {"rbd_blocklist_on_break_lock", "rbd_cache", "rbd_cache_policy"};
	int status = set(rados, "rbd_blocklist_on_break_lock", "true", "rbd_blocklist_on_break_lock", error);

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (crbd_settings_has(settings, taken[i]))
			return crbd_fail(error, EINVAL, "ceph_%s: this setting is the plugin's%s", taken[i],
					 i > 0 ? "; use the option cache" : "");
	return status != 0 ? status : set_cache(rados, settings->cache, error);
}

static int configure(rados_t rados, const struct crbd_settings *settings, struct tgtkit_error *error)
{
	const unsigned timeout_s = settings->connect_timeout_s;
	struct crbd_untuned untuned;
	int status;

	crbd_tuning_begin(rados, &untuned);
	status = read_conf(rados, settings, error);
	crbd_tuning_apply(rados, &untuned);
	/* The daemon's standard error is its log, to which failures come by return values. */
	if (status == 0)
		status = set(rados, "log_to_stderr", "false", "log_to_stderr", error);
	if (status == 0)
		status = set(rados, "err_to_stderr", "false", "err_to_stderr", error);
	if (status == 0)
		status = set_number(rados, "client_mount_timeout", timeout_s, error);
	if (status == 0 && settings->keyring != NULL)
		status = set(rados, "keyring", settings->keyring, "keyring", error);
	if (status == 0)
		status = set_fixed(rados, settings, error);
	for (size_t i = 0; i < settings->ceph_count && status == 0; i++) {
		char shown[128];

		snprintf(shown, sizeof(shown), "ceph_%s", settings->ceph[i].key);
		status = set(rados, settings->ceph[i].key, settings->ceph[i].value, shown, error);
	}
	crbd_tuning_end(rados);
	if (status == 0)
		status = set_number(rados, OSD_TIMEOUT, timeout_s, error);
	return status;
}

int crbd_cluster_set_patience(struct crbd_cluster *cluster, const struct crbd_settings *settings, bool patient,
			      struct tgtkit_error *error)
{
	for (size_t i = 0; i < settings->ceph_count && patient; i++)
		if (strcmp(settings->ceph[i].key, OSD_TIMEOUT) == 0)
			return set(cluster->rados, OSD_TIMEOUT, settings->ceph[i].value, OSD_TIMEOUT, error);
	return set_number(cluster->rados, OSD_TIMEOUT, patient ? 0 : settings->connect_timeout_s, error);
}

/* ---- Connecting ----------------------------------------------------------------------------------------------------
 */

static int explain_connect(rados_t rados, const struct crbd_settings *settings, int status, struct tgtkit_error *error)
{
	char monitors[200] = "", keyring[160] = "";

	rados_conf_get(rados, "mon_host", monitors, sizeof(monitors));
	rados_conf_get(rados, "keyring", keyring, sizeof(keyring));
	keyring[strcspn(keyring, ",")] = '\0';
	switch (status) {
	case -ETIMEDOUT:
		return crbd_fail(error, ETIMEDOUT, "no monitor (%s) has answered within %u s", monitors,
				 settings->connect_timeout_s);
	case -EACCES:
	case -EPERM:
		return crbd_fail(error, -status, "the cluster refuses client.%s with the keyring '%s': %s",
				 settings->id, keyring, strerror(-status));
	case -ENOENT:
	case -EINVAL:
		return crbd_fail(error, -status,
				 "cannot connect as client.%s to the monitors '%s' with the keyring '%s': %s",
				 settings->id, monitors, keyring, strerror(-status));
	}
	return crbd_fail(error, -status, "cannot connect to the monitors '%s': %s", monitors, strerror(-status));
}

static int connect_client(struct crbd_cluster *cluster, const struct crbd_settings *settings,
			  struct tgtkit_error *error)
{
	char name[256];
	int status;

	if ((size_t)snprintf(name, sizeof(name), "client.%s", settings->id) >= sizeof(name))
		return crbd_fail(error, ENAMETOOLONG, "id is too long");
	status = rados_create2(&cluster->rados, settings->cluster, name, 0);
	if (status != 0) {
		cluster->rados = NULL;
		return crbd_fail(error, -status, "cannot make a client '%s' of cluster '%s': %s", name,
				 settings->cluster, strerror(-status));
	}
	status = configure(cluster->rados, settings, error);
	if (status != 0)
		return status;
	status = rados_connect(cluster->rados);
	return status != 0 ? explain_connect(cluster->rados, settings, status, error) : 0;
}

/* ---- Pool and namespace --------------------------------------------------------------------------------------------
 */

static int check_namespace(struct crbd_cluster *cluster, const struct crbd_settings *settings,
			   struct tgtkit_error *error)
{
	bool exists = false;
	int status;

	if (settings->name_space[0] == '\0')
		return 0;
	status = rbd_namespace_exists(cluster->pool, settings->name_space, &exists);
	if (status != 0)
		return crbd_fail(error, -status, "namespace '%s' of pool '%s' cannot be looked up: %s",
				 settings->name_space, settings->pool, strerror(-status));
	if (!exists)
		return crbd_fail(error, ENOENT, "pool '%s' has no namespace '%s'", settings->pool,
				 settings->name_space);
	rados_ioctx_set_namespace(cluster->pool, settings->name_space);
	return 0;
}

static int open_pool(struct crbd_cluster *cluster, const struct crbd_settings *settings, struct tgtkit_error *error)
{
	int status = rados_ioctx_create(cluster->rados, settings->pool, &cluster->pool);

	if (status != 0) {
		cluster->pool = NULL;
		if (status == -ENOENT)
			return crbd_fail(error, ENOENT, "the cluster has no pool '%s'", settings->pool);
		return crbd_fail(error, -status, "pool '%s' cannot be opened: %s", settings->pool, strerror(-status));
	}
	/* Else requests to a full pool would wait until it is not, and initiators give up on them before. */
	rados_set_pool_full_try(cluster->pool);
	return check_namespace(cluster, settings, error);
}

int crbd_cluster_open(struct crbd_cluster *cluster, const struct crbd_settings *settings, struct tgtkit_error *error)
{
	int status;

	*cluster = (struct crbd_cluster){0};
	status = connect_client(cluster, settings, error);
	if (status == 0)
		status = open_pool(cluster, settings, error);
	if (status != 0)
		crbd_cluster_close(cluster);
	return status;
}

void crbd_cluster_close(struct crbd_cluster *cluster)
{
	if (cluster->pool != NULL)
		rados_ioctx_destroy(cluster->pool);
	if (cluster->rados != NULL)
		rados_shutdown(cluster->rados);
	*cluster = (struct crbd_cluster){0};
}
