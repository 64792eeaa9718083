/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdbool.h>
#include <string.h>

#include "tuning.h"

#define NON_BLOCKING "rbd_non_blocking_aio"

static const struct {
	const char *key, *value;
} settings[CRBD_TUNED_SETTINGS] = {
    /* A request goes to the messenger on the caller's thread, and not by way of one more, which would have to be woken
     * up for it.  All that could hold the caller up there are librados' limits on what is in flight, as whoever lacks
     * the image's lock or meets a refresh is parked; the host has limits of its own. */
    {NON_BLOCKING, "false"},
    {"objecter_inflight_ops", "0"},
    {"objecter_inflight_op_bytes", "0"},
    /* Callbacks are posted from one of librados' threads to another, so that they never run side by side: with one
     * thread nobody has to be woken up for that. */
    {"librados_thread_count", "1"},
    /* Merges small neighbouring writes that wait for one another, at a price that every request pays. */
    {"rbd_io_scheduler", "none"},
    /* Ceph formats what it would log at a higher level too, and keeps it to be dumped at a crash. */
    {"debug_rbd", "0/0"},
    {"debug_rados", "0/0"},
    {"debug_objecter", "0/0"},
};

/* Empty for what this Ceph does not know. */
static void get(rados_t rados, const char *key, char value[static CRBD_TUNED_SETTING_BYTES])
{
	if (rados_conf_get(rados, key, value, CRBD_TUNED_SETTING_BYTES) != 0)
		value[0] = '\0';
}

void crbd_tuning_begin(rados_t rados, struct crbd_untuned *untuned)
{
	for (unsigned i = 0; i < CRBD_TUNED_SETTINGS; i++)
		get(rados, settings[i].key, untuned->values[i]);
}

void crbd_tuning_apply(rados_t rados, const struct crbd_untuned *untuned)
{
	char value[CRBD_TUNED_SETTING_BYTES];

	for (unsigned i = 0; i < CRBD_TUNED_SETTINGS; i++) {
		get(rados, settings[i].key, value);
		if (value[0] != '\0' && strcmp(value, untuned->values[i]) == 0)
			rados_conf_set(rados, settings[i].key, settings[i].value);
	}
}

static bool is_unlimited(rados_t rados, const char *key)
{
	char value[CRBD_TUNED_SETTING_BYTES];

	get(rados, key, value);
	return strcmp(value, "0") == 0;
}

void crbd_tuning_end(rados_t rados)
{
	if (!is_unlimited(rados, "objecter_inflight_ops") || !is_unlimited(rados, "objecter_inflight_op_bytes"))
		rados_conf_set(rados, NON_BLOCKING, "true");
}
