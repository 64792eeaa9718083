/* SPDX-License-Identifier: Apache-2.0
 *
 * What a logical unit has done: counted by each worker in its own lane, with plain loads and stores, and summed by
 * whoever wants to know.
 */
#ifndef TGTKIT_SCSI_FIGURES_H
#define TGTKIT_SCSI_FIGURES_H

#include <stdatomic.h>
#include <stdint.h>

enum scsi_figures_kind {
	SCSI_FIGURES_READ,
	SCSI_FIGURES_WRITE,
	SCSI_FIGURES_FLUSH,
	SCSI_FIGURES_OTHER,
	SCSI_FIGURES_KINDS
};

#define SCSI_FIGURES_SENSE_KEYS 16u
/* Bucket i holds what took less than 2^(i + SHIFT) ns and no less than half of that; the last one all the rest. */
#define SCSI_FIGURES_BUCKETS	  21u
#define SCSI_FIGURES_BUCKET_SHIFT 14u

/* Each member is written by one worker only. */
struct scsi_lane_figures {
	_Atomic uint64_t started, ended[SCSI_FIGURES_KINDS];
	_Atomic uint64_t read_bytes, written_bytes;
	_Atomic uint64_t errors[SCSI_FIGURES_SENSE_KEYS]; /* CHECK CONDITION by sense key */
	_Atomic uint64_t latency[SCSI_FIGURES_BUCKETS];	  /* from execution to the end */
	_Atomic uint64_t latency_ns;
};

struct scsi_figures {
	uint64_t started, ended[SCSI_FIGURES_KINDS], read_bytes, written_bytes;
	uint64_t errors[SCSI_FIGURES_SENSE_KEYS], latency[SCSI_FIGURES_BUCKETS], latency_ns;
};

struct scsi_command;
struct scsi_logical_unit;

static inline void scsi_figures_add(_Atomic uint64_t *figure, uint64_t more)
{
	atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + more, memory_order_relaxed);
}

/* On the worker: a command of a unit begins to run, and ends. */
void scsi_figures_started(struct scsi_command *command);
void scsi_figures_ended(const struct scsi_command *command);
/* On the worker: a command of a unit is answered with this sense key. */
void scsi_figures_failed(const struct scsi_command *command, uint8_t sense_key);

/* Any thread: adds what has been counted. */
void scsi_figures_collect(const struct scsi_lane_figures *figures, struct scsi_figures *sum);
void scsi_figures_sum(const struct scsi_figures *figures, struct scsi_figures *sum);
/* Any thread: adds what one worker has counted. */
void scsi_logical_unit_add_figures(const struct scsi_logical_unit *unit, unsigned worker, struct scsi_figures *sum);
/* Commands that run now; 0 where the sum is of moments that do not fit together. */
uint64_t scsi_figures_queue_depth(const struct scsi_figures *figures);

#endif
