/* SPDX-License-Identifier: Apache-2.0
 *
 * RECEIVE COPY RESULTS(LID1), SPC-4 6.18: COPY STATUS and OPERATING PARAMETERS.
 */
#include <stdlib.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/extended_copy.h"
#include "scsi/handlers.h"

struct scsi_copy_result *scsi_copy_result_find(struct scsi_nexus_lun *nexus_lun, uint8_t id)
{
	RT_LIST_FOR_EACH (node, &nexus_lun->copy_results) {
		struct scsi_copy_result *result = RT_CONTAINER_OF(node, struct scsi_copy_result, node);

		if (result->id == id)
			return result;
	}
	return NULL;
}

static void forget(struct scsi_nexus_lun *nexus_lun, struct scsi_copy_result *result)
{
	rt_list_remove(&result->node);
	nexus_lun->copy_result_count--;
	free(result);
}

struct scsi_copy_result *scsi_copy_result_add(struct scsi_nexus_lun *nexus_lun, uint8_t id)
{
	struct scsi_copy_result *result = scsi_copy_result_find(nexus_lun, id);

	if (result != NULL)
		forget(nexus_lun, result);
	else if (nexus_lun->copy_result_count == SCSI_COPY_MOST_RESULTS)
		forget(nexus_lun, RT_CONTAINER_OF(nexus_lun->copy_results.next, struct scsi_copy_result, node));
	result = calloc(1, sizeof(*result));
	if (result == NULL)
		return NULL;
	result->id = id;
	rt_list_append(&nexus_lun->copy_results, &result->node);
	nexus_lun->copy_result_count++;
	return result;
}

void scsi_copy_results_free(struct scsi_nexus_lun *nexus_lun)
{
	RT_LIST_FOR_EACH (node, &nexus_lun->copy_results) {
		forget(nexus_lun, RT_CONTAINER_OF(node, struct scsi_copy_result, node));
	}
}

bool spc_copy_status_decode(struct scsi_command *command)
{
	if (scsi_copy_result_find(command->nexus_lun, command->cdb[2]) == NULL)
		return scsi_sense_invalid_cdb_field(command, 2, 7);
	return true;
}

/* Told once: what is held for a list is gone afterwards. */
void spc_copy_status(struct scsi_command *command)
{
	enum { COUNT_IN_KIB = 0x01 };
	struct scsi_copy_result *result = scsi_copy_result_find(command->nexus_lun, command->cdb[2]);
	uint8_t data[12] = {0};

	if (result == NULL) {
		scsi_sense_invalid_cdb_field(command, 2, 7); /* another command took it meanwhile */
		scsi_command_finish(command);
		return;
	}
	rt_put_be32(data, sizeof(data) - 4);
	data[4] = result->status;
	rt_put_be16(data + 5, result->segments_done);
	data[7] = COUNT_IN_KIB;
	rt_put_be32(data + 8, (uint32_t)(result->bytes_done >> 10));
	forget(command->nexus_lun, result);
	scsi_command_reply(command, data, sizeof(data));
}

void spc_copy_operating_parameters(struct scsi_command *command)
{
	enum { SNLID = 0x01, CONCURRENT = 255 };
	uint8_t data[46] = {0};

	rt_put_be32(data, sizeof(data) - 4);
	data[4] = SNLID;
	rt_put_be16(data + 8, SCSI_COPY_MOST_TARGETS);
	rt_put_be16(data + 10, SCSI_COPY_MOST_SEGMENTS);
	rt_put_be32(data + 12, SCSI_COPY_MOST_LIST_BYTES);
	rt_put_be32(data + 16, SCSI_COPY_MOST_SEGMENT_BYTES);
	rt_put_be16(data + 34, CONCURRENT);
	data[36] = CONCURRENT;
	data[37] = SCSI_COPY_GRANULARITY;
	data[43] = 2;
	data[44] = SCSI_COPY_BLOCK_TO_BLOCK;
	data[45] = SCSI_COPY_IDENTIFICATION;
	scsi_command_reply(command, data, sizeof(data));
}
