/* SPDX-License-Identifier: Apache-2.0
 *
 * An iSCSI task: one SCSI command from its PDU to the last byte of its response.
 */
#ifndef TGTKIT_ISCSI_TASK_H
#define TGTKIT_ISCSI_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "iscsi/session.h"
#include "scsi/command.h"

enum iscsi_task_state {
	ISCSI_TASK_HELD,       /* came before its turn: takes unsolicited data, is not known to SCSI yet */
	ISCSI_TASK_COLLECTING, /* data-out is on its way */
	ISCSI_TASK_EXECUTING,
	ISCSI_TASK_ANSWERED, /* the response is queued, or there will be none */
};

struct iscsi_task {
	struct scsi_command command; /* first: see iscsi_task_of */
	struct iscsi_session *session;
	enum iscsi_task_state state;
	uint32_t references; /* the session's own, one per PDU queued, one while data is received into it */
	struct rt_list in_session;
	struct iscsi_task *next_in_bucket;
	uint32_t initiator_task_tag;
	uint32_t cmd_sn;
	bool immediate, read, write, in_window, in_session_lists, delivered;
	uint32_t expected_data_transfer_length;

	/* Data-out. */
	bool unsolicited_open;			       /* more unsolicited Data-Out PDUs will follow */
	bool soliciting;			       /* memory for all that is wanted is there, R2Ts go out */
	uint8_t early_failure_asc, early_failure_ascq; /* HELD: what it will fail with */
	bool data_digest_failed;
	uint32_t unsolicited_limit; /* bytes that may come unasked */
	uint8_t *held_data;	    /* HELD: unsolicited_limit bytes, until it is known how much the CDB wants */
	uint32_t wanted;	    /* bytes to collect: what both CDB and initiator want to move */
	uint32_t received;	    /* bytes so far, in order, wanted or not */
	uint32_t requested;	    /* end of what R2Ts have asked for */
	uint32_t sequence_end;	    /* end of the burst that is coming */
	uint32_t data_sn;	    /* expected next within the burst */
	uint32_t r2t_sn;	    /* of the next R2T; the response's ExpDataSN counts it too */
	uint32_t r2ts_outstanding;
	uint32_t first_target_transfer_tag; /* of R2T 0; the tags count up */
	uint32_t bursts_done;		    /* solicited bursts that have come in whole */
	uint64_t asked_ns; /* when memory was taken, data asked for, or came last; by the clock of the turn */
	struct rt_memory_waiter memory_waiter;
	uint32_t data_in_sn;
};

static inline struct iscsi_task *iscsi_task_of(struct scsi_command *command)
{
	return (struct iscsi_task *)command;
}

struct iscsi_task *iscsi_task_create(struct iscsi_session *session, const uint8_t *bhs);
struct iscsi_task *iscsi_task_find(struct iscsi_session *session, uint32_t initiator_task_tag);
void iscsi_task_hold(struct iscsi_task *task);
void iscsi_task_drop(struct iscsi_task *task); /* one reference */

/* It leaves the window: the next MaxCmdSN counts it no more. */
void iscsi_task_leave_window(struct iscsi_task *task);
/* It ends without a response, or the response is queued: leaves the session. */
void iscsi_task_end(struct iscsi_task *task);

/* The turn of a command has come, in CmdSN order. */
void iscsi_task_deliver(struct iscsi_task *task);
/* All data-out is here, or the command was answered: queue the response. */
void iscsi_task_respond(struct iscsi_task *task);

/* data_out.c */
/* After prepare: how much is wanted is known; takes memory, at least for what comes unasked. */
void iscsi_data_out_begin(struct iscsi_task *task);
/* Whenever a burst is complete, or there is memory: asks for what is missing, or executes. */
void iscsi_data_out_proceed(struct iscsi_task *task);
/* A data segment of the task's has come in whole. */
void iscsi_data_out_received(struct iscsi_task *task, uint32_t bytes, bool final);
/* Fails what has waited for its data since then, if others wait for the memory that it holds. */
void iscsi_data_out_fail_stalled(struct iscsi_session *session, uint64_t since_ns);
/* CHECK CONDITION, ABORTED COMMAND with this additional sense code; what still comes is dropped. */
void iscsi_data_out_fail(struct iscsi_task *task, uint8_t asc, uint8_t ascq);
/* Header of a Data-Out PDU: chooses the receiver's sink, or rejects. */
void iscsi_data_out_header(struct iscsi_connection *connection, const uint8_t *bhs);

#endif
