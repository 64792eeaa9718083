/* SPDX-License-Identifier: Apache-2.0
 *
 * Task Management Function Request and Response, RFC 7143 sections 11.5 and 11.6, and what RFC 7144 adds to them.
 */
#include <stdlib.h>
#include <string.h>

#include "iscsi/full_feature.h"
#include "iscsi/registry.h"
#include "iscsi/session.h"
#include "iscsi/task.h"
#include "rt/log.h"
#include "scsi/task_management.h"

enum request_function {
	ABORT_TASK = 1,
	ABORT_TASK_SET = 2,
	CLEAR_ACA = 3,
	CLEAR_TASK_SET = 4,
	LOGICAL_UNIT_RESET = 5,
	TARGET_WARM_RESET = 6,
	TARGET_COLD_RESET = 7,
	TASK_REASSIGN = 8,
	/* RFC 7144 */
	QUERY_TASK = 9,
	QUERY_TASK_SET = 10,
	I_T_NEXUS_RESET = 11,
	QUERY_ASYNCHRONOUS_EVENT = 12,
};

enum response_code {
	FUNCTION_COMPLETE = 0,
	TASK_DOES_NOT_EXIST = 1,
	LUN_DOES_NOT_EXIST = 2,
	TASK_ALLEGIANCE_REASSIGNMENT_NOT_SUPPORTED = 4,
	FUNCTION_NOT_SUPPORTED = 5,
	FUNCTION_SUCCEEDED = 7, /* RFC 7144 */
	FUNCTION_REJECTED = 255,
};

/* Of one session at a time.  Initiators hardly ever send two; more only hold memory. */
#define MOST_FUNCTIONS 32u

/* A function under way.  Outlives its connection: the session counts it. */
struct pending_function {
	struct scsi_task_management function; /* first */
	struct iscsi_session *session;
	struct iscsi_task *referenced; /* a reference is held */
	uint32_t initiator_task_tag;
	uint8_t requested;
};

static uint8_t function_of(const uint8_t *bhs)
{
	return bhs[ISCSI_AT_FLAGS] & 0x7f;
}

static void respond_with(struct iscsi_connection *connection, uint32_t initiator_task_tag, enum response_code code,
			 const uint8_t additional_information[static 3])
{
	struct iscsi_output *output = iscsi_output_take(connection);

	if (!output) {
		iscsi_connection_close(connection, "out of memory");
		return;
	}
	output->header[0] = ISCSI_TASK_MANAGEMENT_RESPONSE;
	output->header[ISCSI_AT_FLAGS] = ISCSI_FINAL;
	output->header[ISCSI_AT_RESPONSE] = (uint8_t)code;
	memcpy(output->header + ISCSI_AT_ADDITIONAL_RESPONSE_INFORMATION, additional_information, 3);
	rt_put_be32(output->header + ISCSI_AT_INITIATOR_TASK_TAG, initiator_task_tag);
	iscsi_output_put_sequence_numbers(connection, output);
	iscsi_output_queue(connection, output);
}

static void respond(struct iscsi_connection *connection, uint32_t initiator_task_tag, enum response_code code)
{
	static const uint8_t none[3];

	respond_with(connection, initiator_task_tag, code, none);
}

static enum response_code code_of(enum scsi_task_response response)
{
	switch (response) {
	case SCSI_FUNCTION_COMPLETE:
		return FUNCTION_COMPLETE;
	case SCSI_FUNCTION_SUCCEEDED:
		return FUNCTION_SUCCEEDED;
	case SCSI_FUNCTION_LUN_DOES_NOT_EXIST:
		return LUN_DOES_NOT_EXIST;
	default:
		return FUNCTION_REJECTED;
	}
}

static void function_done(struct scsi_task_management *function)
{
	struct pending_function *pending = (struct pending_function *)function;
	struct iscsi_session *session = pending->session;
	struct iscsi_connection *connection = session->connection;

	if (pending->referenced)
		iscsi_task_drop(pending->referenced);
	if (connection) {
		respond_with(connection, pending->initiator_task_tag, code_of(function->response),
			     function->additional_information);
		/* RFC 7143 11.5.1: a cold reset ends every session of the target. */
		if (pending->requested == TARGET_COLD_RESET && function->response == SCSI_FUNCTION_COMPLETE)
			iscsi_registry_end_target(session->target_name);
	}
	session->functions_under_way--;
	free(pending);
	if (session->connection)
		iscsi_connection_check_drained(session->connection);
	else
		iscsi_session_check_end(session);
}

/* The task is not here: it may be one that has ended, or one that has not arrived. */
static void abort_absent_task(struct iscsi_connection *connection, const uint8_t *bhs)
{
	const struct iscsi_session *session = connection->session;
	uint32_t tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG),
		 ref_cmd_sn = rt_get_be32(bhs + ISCSI_AT_REF_CMD_SN);

	/* RFC 7143 11.6.1: within the window and before the function's own number it counts as received and aborted. */
	if (rt_serial_before(ref_cmd_sn, session->exp_cmd_sn) ||
	    rt_serial_before(session->window.max_cmd_sn, ref_cmd_sn) ||
	    !rt_serial_before(ref_cmd_sn, rt_get_be32(bhs + ISCSI_AT_CMD_SN))) {
		respond(connection, tag, TASK_DOES_NOT_EXIST);
		return;
	}
	respond(connection, tag, FUNCTION_COMPLETE);
	if (connection->state == ISCSI_CONNECTION_FULL_FEATURE)
		iscsi_held_insert_placeholder(connection, ref_cmd_sn);
}

static void start(struct iscsi_connection *connection, const uint8_t *bhs, enum scsi_task_function function,
		  struct iscsi_task *referenced)
{
	struct iscsi_session *session = connection->session;
	struct pending_function *pending = NULL;

	if (session->functions_under_way < MOST_FUNCTIONS)
		pending = calloc(1, sizeof *pending);
	if (!pending) {
		respond(connection, rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG), FUNCTION_REJECTED);
		return;
	}
	pending->session = session;
	pending->initiator_task_tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG);
	pending->requested = function_of(bhs);
	pending->function.nexus = session->nexus;
	pending->function.function = function;
	memcpy(pending->function.lun, bhs + ISCSI_AT_LUN, 8);
	pending->function.done = function_done;
	if (referenced) {
		pending->referenced = referenced;
		iscsi_task_hold(referenced);
		pending->function.referenced = &referenced->command;
	}
	session->functions_under_way++;
	scsi_task_management_start(&pending->function);
}

static void abort_task(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_session *session = connection->session;
	uint32_t tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG);
	struct iscsi_task *task = iscsi_task_find(session, rt_get_be32(bhs + ISCSI_AT_REFERENCED_TASK_TAG));

	if (!task || memcmp(task->command.lun, bhs + ISCSI_AT_LUN, 8) != 0) {
		abort_absent_task(connection, bhs);
		return;
	}
	if (task->delivered) {
		start(connection, bhs, SCSI_ABORT_TASK, task);
		return;
	}
	/* SCSI has never heard of it; its number still counts. */
	iscsi_held_forget_task(session, task);
	iscsi_task_end(task);
	respond(connection, tag, FUNCTION_COMPLETE);
}

/* RFC 7144 4.2: the task is in the task set, or it is not. */
static void query_task(struct iscsi_connection *connection, const uint8_t *bhs)
{
	struct iscsi_task *task = iscsi_task_find(connection->session, rt_get_be32(bhs + ISCSI_AT_REFERENCED_TASK_TAG));

	if (task && (!task->delivered || memcmp(task->command.lun, bhs + ISCSI_AT_LUN, 8) != 0))
		task = NULL;
	start(connection, bhs, SCSI_QUERY_TASK, task);
}

static bool is_supported(const struct iscsi_session *session, uint8_t requested)
{
	return requested < QUERY_TASK || session->parameters.protocol_level >= 2;
}

enum iscsi_function_scope iscsi_task_management_scope(const struct iscsi_session *session, const uint8_t *bhs)
{
	if (!is_supported(session, function_of(bhs)))
		return ISCSI_FUNCTION_OF_TASK;
	switch (function_of(bhs)) {
	case ABORT_TASK_SET:
	case CLEAR_TASK_SET:
	case LOGICAL_UNIT_RESET:
		return ISCSI_FUNCTION_OF_UNIT;
	case TARGET_WARM_RESET:
	case TARGET_COLD_RESET:
	case I_T_NEXUS_RESET:
		return ISCSI_FUNCTION_OF_TARGET;
	default:
		return ISCSI_FUNCTION_OF_TASK;
	}
}

static void start_by_table(struct iscsi_connection *connection, const uint8_t *bhs)
{
	static const enum scsi_task_function functions[] = {
	    [ABORT_TASK_SET] = SCSI_ABORT_TASK_SET,	    [CLEAR_TASK_SET] = SCSI_CLEAR_TASK_SET,
	    [LOGICAL_UNIT_RESET] = SCSI_LOGICAL_UNIT_RESET, [TARGET_WARM_RESET] = SCSI_TARGET_RESET,
	    [TARGET_COLD_RESET] = SCSI_TARGET_RESET,	    [QUERY_TASK_SET] = SCSI_QUERY_TASK_SET,
	    [I_T_NEXUS_RESET] = SCSI_I_T_NEXUS_RESET,	    [QUERY_ASYNCHRONOUS_EVENT] = SCSI_QUERY_ASYNCHRONOUS_EVENT,
	};

	start(connection, bhs, functions[function_of(bhs)], NULL);
}

static void log_function(const struct iscsi_connection *connection, uint8_t requested)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(20);

	rt_log_limited_about(&limit, ISCSI_ABOUT_SESSION(connection->session), RT_LOG_INFO,
			     "%s: task management function %u from %s", connection->peer, requested,
			     connection->session->initiator_name);
}

void iscsi_task_management_request(struct iscsi_connection *connection, const uint8_t *bhs)
{
	uint32_t tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG);
	uint8_t requested = function_of(bhs);

	if (connection->session->discovery) {
		iscsi_reject(connection, bhs, ISCSI_REJECT_PROTOCOL_ERROR);
		return;
	}
	if (!is_supported(connection->session, requested)) {
		respond(connection, tag, FUNCTION_NOT_SUPPORTED);
		return;
	}
	switch (requested) {
	case ABORT_TASK:
		abort_task(connection, bhs);
		break;
	case ABORT_TASK_SET:
	case CLEAR_TASK_SET:
	case LOGICAL_UNIT_RESET:
	case TARGET_WARM_RESET:
	case TARGET_COLD_RESET:
	case I_T_NEXUS_RESET:
		log_function(connection, requested);
		start_by_table(connection, bhs);
		break;
	case QUERY_TASK_SET:
	case QUERY_ASYNCHRONOUS_EVENT:
		start_by_table(connection, bhs);
		break;
	case QUERY_TASK:
		query_task(connection, bhs);
		break;
	case TASK_REASSIGN: /* error recovery level 2 */
		respond(connection, tag, TASK_ALLEGIANCE_REASSIGNMENT_NOT_SUPPORTED);
		break;
	default: /* CLEAR ACA among them: NACA is refused, so there is never an ACA to clear */
		respond(connection, tag, FUNCTION_NOT_SUPPORTED);
		break;
	}
}
