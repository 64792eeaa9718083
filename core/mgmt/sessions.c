/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/registry.h"

#include <stdio.h>
#include <stdlib.h>

#include "mgmt/answer.h"
#include "mgmt/figures_view.h"
#include "mgmt/routes.h"

#define NS_PER_S UINT64_C(1000000000)

static json_t *view(const struct iscsi_session_view *session)
{
	const struct iscsi_parameters *parameters = &session->parameters;
	const uint8_t *isid = session->isid;
	bool is_discovery = !session->target_name[0];
	char isid_text[16];

	snprintf(isid_text, sizeof(isid_text), "%02x%02x%02x%02x%02x%02x", isid[0], isid[1], isid[2], isid[3], isid[4],
		 isid[5]);
	json_t *object = json_pack(
	    "{sisssssssssisssisIs{sbsbsbsbsIsIsIsI}}", "id", (int)session->tsih, "type",
	    is_discovery ? "discovery" : "normal", "initiator", session->initiator_name, "target", session->target_name,
	    "address", session->peer, "portal_group", (int)session->portal_group_tag, "isid", isid_text, "worker",
	    (int)session->worker, "age_s", (json_int_t)((rt_clock_ns() - session->started_ns) / NS_PER_S), "parameters",
	    "header_digest", (int)parameters->header_digest, "data_digest", (int)parameters->data_digest,
	    "immediate_data", (int)parameters->immediate_data, "initial_r2t", (int)parameters->initial_r2t,
	    "max_burst_length", (json_int_t)parameters->max_burst_length, "first_burst_length",
	    (json_int_t)parameters->first_burst_length, "max_recv_data_segment_length",
	    (json_int_t)parameters->target_max_recv_data_segment_length, "max_outstanding_r2t",
	    (json_int_t)parameters->max_outstanding_r2t);

	if (!object)
		return NULL;
	json_object_set_new(object, "portal", json_string(session->portal));
	mgmt_set_figures(object, &session->figures);
	mgmt_set_traffic(object, session->r2ts, session->received_bytes, session->sent_bytes);
	return object;
}

void mgmt_get_sessions(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct iscsi_session_view *sessions;
	json_t *list = json_array();
	size_t count;

	(void)mgmt;
	(void)path;
	if (iscsi_registry_list(&sessions, &count)) {
		json_decref(list);
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, view(&sessions[i]));
	free(sessions);
	mgmt_answer_json(request, 200, json_pack("{so}", "sessions", list));
}

static void answer_no_session(struct mgmt_request *request, const char *id)
{
	mgmt_answer_error(request, 404, "not_found", "there is no session %s", id);
}

void mgmt_get_session(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	struct iscsi_session_view *sessions;
	json_t *found = NULL;
	size_t count;
	uint32_t id;

	(void)mgmt;
	if (!mgmt_path_number(path->parts[2], UINT16_MAX, &id)) {
		answer_no_session(request, path->parts[2]);
		return;
	}
	if (iscsi_registry_list(&sessions, &count)) {
		mgmt_answer_error(request, 500, "internal", "out of memory");
		return;
	}
	for (size_t i = 0; i < count && !found; i++)
		if (sessions[i].tsih == id)
			found = view(&sessions[i]);
	free(sessions);
	if (found)
		mgmt_answer_json(request, 200, found);
	else
		answer_no_session(request, path->parts[2]);
}

void mgmt_delete_session(struct mgmt *mgmt, struct mgmt_request *request, const struct mgmt_path *path)
{
	uint32_t id;

	(void)mgmt;
	if (mgmt_path_number(path->parts[2], UINT16_MAX, &id) && iscsi_registry_drop((uint16_t)id))
		mgmt_answer_json(request, 200, json_pack("{sisb}", "id", (int)id, "dropped", 1));
	else
		answer_no_session(request, path->parts[2]);
}
