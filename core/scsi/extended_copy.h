/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: EXTENDED COPY(LID1) and its results, SPC-4 6.4 and 6.18.
 */
#ifndef TGTKIT_SCSI_EXTENDED_COPY_H
#define TGTKIT_SCSI_EXTENDED_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/list.h"

struct scsi_command;
struct scsi_nexus_lun;

enum {
	SCSI_COPY_MOST_TARGETS = 16,
	SCSI_COPY_MOST_SEGMENTS = 64,
	SCSI_COPY_MOST_LIST_BYTES = SCSI_COPY_MOST_TARGETS * 32 + SCSI_COPY_MOST_SEGMENTS * 28,
	SCSI_COPY_MOST_SEGMENT_BYTES = 256 << 20, /* 65535 blocks of 4096, and one more */
	SCSI_COPY_MOST_RESULTS = 16,		  /* held per I_T_L nexus */
	SCSI_COPY_GRANULARITY = 9,		  /* of a segment: a power of two, in bytes */
	SCSI_COPY_BLOCK_TO_BLOCK = 0x02,
	SCSI_COPY_IDENTIFICATION = 0xe4,
};

/* A target (CSCD) descriptor, resolved among the LUNs of the nexus. */
struct scsi_copy_target {
	bool reachable;
	uint16_t lun;
	uint32_t block_bytes;
};

struct scsi_copy_segment {
	uint16_t source, destination; /* index of the target */
	bool counts_destination_blocks;
	uint16_t blocks;
	uint64_t source_lba, destination_lba;
};

struct scsi_copy_list {
	uint8_t id;
	bool holds_results;
	size_t target_count, segment_count;
	struct scsi_copy_target targets[SCSI_COPY_MOST_TARGETS];
	struct scsi_copy_segment segments[SCSI_COPY_MOST_SEGMENTS];
};

/* Reads and checks the parameter list.  false: sense is set. */
bool scsi_copy_list_decode(struct scsi_command *command, const uint8_t *bytes, size_t length,
			   struct scsi_copy_list *list);

enum scsi_copy_status { SCSI_COPY_IN_PROGRESS = 0, SCSI_COPY_COMPLETE = 1, SCSI_COPY_FAILED = 2 };

/* What RECEIVE COPY RESULTS tells of one list. */
struct scsi_copy_result {
	struct rt_list node; /* of the I_T_L nexus, oldest first */
	uint8_t id;
	uint8_t status; /* enum scsi_copy_status */
	uint16_t segments_done;
	uint64_t bytes_done;
};

struct scsi_copy_result *scsi_copy_result_find(struct scsi_nexus_lun *nexus_lun, uint8_t id);
/* A new one, in the place of an older one with the same id and of the oldest if there are many.  NULL: no memory. */
struct scsi_copy_result *scsi_copy_result_add(struct scsi_nexus_lun *nexus_lun, uint8_t id);
void scsi_copy_results_free(struct scsi_nexus_lun *nexus_lun);

#endif
