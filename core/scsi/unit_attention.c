/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/unit_attention.h"

#include "scsi/lane.h"
#include "scsi/nexus_lun.h"
#include "scsi/sense.h"

static const uint16_t codes[SCSI_UA_COUNT] = {
    [SCSI_UA_POWER_ON] = 0x2900,
    [SCSI_UA_RESET] = 0x2903,
    [SCSI_UA_NEXUS_LOSS] = 0x2907,
    [SCSI_UA_REPORTED_LUNS_CHANGED] = 0x3f0e,
    [SCSI_UA_CAPACITY_CHANGED] = 0x2a09,
    [SCSI_UA_MODE_PARAMETERS_CHANGED] = 0x2a01,
    [SCSI_UA_RESERVATIONS_PREEMPTED] = 0x2a03,
    [SCSI_UA_RESERVATIONS_RELEASED] = 0x2a04,
    [SCSI_UA_REGISTRATIONS_PREEMPTED] = 0x2a05,
    [SCSI_UA_ASYMMETRIC_ACCESS_CHANGED] = 0x2a06,
};

void scsi_unit_attention_raise(struct scsi_nexus_lun *nexus_lun, enum scsi_unit_attention attention)
{
	if (attention <= SCSI_UA_RESET) {
		if (nexus_lun->attentions & 1u << SCSI_UA_POWER_ON)
			return;
		nexus_lun->attentions = 0;
	}
	nexus_lun->attentions |= 1u << attention;
}

void scsi_unit_attention_raise_lane(struct scsi_lane *lane, enum scsi_unit_attention attention,
				    const struct scsi_nexus_lun *except)
{
	RT_LIST_FOR_EACH (node, &lane->nexus_luns) {
		struct scsi_nexus_lun *nexus_lun = RT_CONTAINER_OF(node, struct scsi_nexus_lun, in_lane);

		if (nexus_lun != except)
			scsi_unit_attention_raise(nexus_lun, attention);
	}
}

void scsi_unit_attention_clear(struct scsi_nexus_lun *nexus_lun, enum scsi_unit_attention attention)
{
	nexus_lun->attentions &= ~(1u << attention);
}

unsigned scsi_unit_attention_peek(const struct scsi_nexus_lun *nexus_lun, struct scsi_sense *sense)
{
	if (nexus_lun->attentions == 0)
		return 0;
	*sense =
	    (struct scsi_sense){.key = SCSI_KEY_UNIT_ATTENTION, .asc = codes[__builtin_ctz(nexus_lun->attentions)]};
	return (unsigned)__builtin_popcount(nexus_lun->attentions);
}

bool scsi_unit_attention_take(struct scsi_nexus_lun *nexus_lun, struct scsi_sense *sense)
{
	if (scsi_unit_attention_peek(nexus_lun, sense) == 0)
		return false;
	nexus_lun->attentions &= nexus_lun->attentions - 1;
	return true;
}
