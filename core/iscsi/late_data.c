/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/late_data.h"

#include <stdlib.h>
#include <string.h>

#include "iscsi/task.h"

/* An initiator can make no more of them than this at a time; the oldest gives way. */
#define MOST_LATE_DATA 64u

struct iscsi_late_data {
	struct rt_list node;
	uint32_t initiator_task_tag;
	bool unsolicited;
	uint32_t bursts; /* solicited ones that have not come in whole */
	/* Ended by another nexus: the initiator was told by an asynchronous message and will say that it has stopped.
	 */
	bool terminated;
	uint8_t lun[8];
};

static void forget(struct iscsi_session *session, struct iscsi_late_data *late)
{
	rt_list_remove(&late->node);
	session->late_data_count--;
	free(late);
}

static struct iscsi_late_data *find(struct iscsi_session *session, uint32_t initiator_task_tag)
{
	RT_LIST_FOR_EACH (node, &session->late_data) {
		struct iscsi_late_data *late = RT_CONTAINER_OF(node, struct iscsi_late_data, node);

		if (late->initiator_task_tag == initiator_task_tag)
			return late;
	}
	return NULL;
}

void iscsi_late_data_expect(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;
	struct iscsi_late_data *late;

	if (session->closing || (!task->unsolicited_open && !task->r2ts_outstanding))
		return;
	late = malloc(sizeof *late);
	if (!late)
		return; /* what comes will be rejected: unfriendly, and harmless */
	late->initiator_task_tag = task->initiator_task_tag;
	late->unsolicited = task->unsolicited_open;
	late->bursts = task->r2ts_outstanding;
	late->terminated = task->command.status == SCSI_TASK_ABORTED;
	memcpy(late->lun, task->command.lun, sizeof late->lun);
	rt_list_append(&session->late_data, &late->node);
	if (++session->late_data_count > MOST_LATE_DATA)
		forget(session, RT_CONTAINER_OF(session->late_data.next, struct iscsi_late_data, node));
}

bool iscsi_late_data_takes(struct iscsi_session *session, const uint8_t *bhs)
{
	struct iscsi_late_data *late = find(session, rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG));
	bool final = (bhs[ISCSI_AT_FLAGS] & ISCSI_FINAL) != 0;

	if (!late)
		return false;
	if (rt_get_be32(bhs + ISCSI_AT_TARGET_TRANSFER_TAG) == ISCSI_RESERVED_TAG) {
		if (final)
			late->unsolicited = false;
	} else if (final && late->bursts) {
		late->bursts--;
	}
	if (!late->unsolicited && !late->bursts)
		forget(session, late);
	return true;
}

void iscsi_late_data_forget(struct iscsi_session *session, uint32_t initiator_task_tag)
{
	struct iscsi_late_data *late = session->late_data_count ? find(session, initiator_task_tag) : NULL;

	if (late)
		forget(session, late);
}

void iscsi_late_data_stopped(struct iscsi_session *session, const uint8_t lun[static 8])
{
	struct rt_list *node = session->late_data.next;

	while (node != &session->late_data) {
		struct iscsi_late_data *late = RT_CONTAINER_OF(node, struct iscsi_late_data, node);

		node = node->next;
		if (late->terminated && memcmp(late->lun, lun, sizeof late->lun) == 0)
			forget(session, late);
	}
}

void iscsi_late_data_clear(struct iscsi_session *session)
{
	while (!rt_list_is_empty(&session->late_data))
		forget(session, RT_CONTAINER_OF(session->late_data.next, struct iscsi_late_data, node));
}
