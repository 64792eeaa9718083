/* SPDX-License-Identifier: Apache-2.0
 *
 * REPORT TARGET PORT GROUPS and SET TARGET PORT GROUPS, SPC-5 6.37 and 6.45.
 */
#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/port_groups.h"

enum { EXTENDED_FORMAT = 0x20, MOST_LIST_BYTES = 4096, DESCRIPTOR_BYTES = 4 };

static size_t put_ports(struct scsi_command *command, uint16_t tag, size_t at, uint8_t *count)
{
	const struct scsi_port_groups *groups = &command->unit->port_groups;

	*count = 0;
	for (size_t i = 0; i < groups->port_count; i++) {
		uint8_t port[4] = {0};

		if (groups->ports[i].tag != tag || *count == UINT8_MAX)
			continue;
		rt_put_be16(port + 2, groups->ports[i].relative_id);
		scsi_command_reply_at(command, at + 4 * (size_t)*count, port, sizeof(port));
		++*count;
	}
	return 4 * (size_t)*count;
}

static size_t put_group(struct scsi_command *command, const struct scsi_known_group *group, size_t at)
{
	enum { ALL_STATES = 0x8f };
	uint8_t descriptor[8] = {(uint8_t)scsi_port_groups_state(command->unit, group), ALL_STATES};
	size_t ports = put_ports(command, group->tag, at + sizeof(descriptor), &descriptor[7]);

	rt_put_be16(descriptor + 2, group->tag);
	descriptor[5] = descriptor[0] == group->state ? group->status : SCSI_STATUS_IMPLICIT;
	scsi_command_reply_at(command, at, descriptor, sizeof(descriptor));
	return sizeof(descriptor) + ports;
}

void spc_report_port_groups(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;
	bool extended = (command->cdb[1] & EXTENDED_FORMAT) != 0;
	uint8_t header[8] = {0, 0, 0, 0, 0x10, 0};
	size_t length = extended ? 8 : 4;

	pthread_mutex_lock(&unit->mutex);
	for (size_t i = 0; i < unit->port_groups.group_count; i++)
		length += put_group(command, &unit->port_groups.groups[i], length);
	pthread_mutex_unlock(&unit->mutex);
	rt_put_be32(header, (uint32_t)length - 4);
	scsi_command_reply_at(command, 0, header, extended ? 8 : 4);
	scsi_command_good(command);
}

bool spc_set_port_groups_decode(struct scsi_command *command)
{
	uint32_t length = command->transfer_length;

	if (length > MOST_LIST_BYTES || (length != 0 && (length < DESCRIPTOR_BYTES || length % DESCRIPTOR_BYTES != 0)))
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	return true;
}

static bool check_descriptor(struct scsi_command *command, const uint8_t *descriptor, unsigned at)
{
	if ((descriptor[0] & 0x0f) > SCSI_PORT_GROUP_UNAVAILABLE)
		return scsi_sense_invalid_parameter(command, at, 3);
	if (scsi_port_groups_find(&command->unit->port_groups, rt_get_be16(descriptor + 2)) == NULL)
		return scsi_sense_invalid_parameter(command, at + 2, 7);
	/* The store is to be taken from its host on an operator's word, not on an initiator's. */
	if (command->unit->is_standby && (descriptor[0] & 0x0f) <= SCSI_PORT_GROUP_NON_OPTIMIZED)
		return scsi_sense_fail(command, SCSI_KEY_HARDWARE_ERROR, SCSI_ASC_SET_TARGET_PORT_GROUPS_FAILED);
	return true;
}

/* Under the mutex.  All is checked before any of it is done. */
static bool set_states(struct scsi_command *command, const uint8_t *list, bool *changed)
{
	for (unsigned at = DESCRIPTOR_BYTES; at < command->data_out_length; at += DESCRIPTOR_BYTES)
		if (!check_descriptor(command, list + at, at))
			return false;
	for (unsigned at = DESCRIPTOR_BYTES; at < command->data_out_length; at += DESCRIPTOR_BYTES) {
		struct scsi_known_group *group =
		    scsi_port_groups_find(&command->unit->port_groups, rt_get_be16(list + at + 2));
		uint8_t state = list[at] & 0x0f;

		*changed |= group->state != state;
		group->state = state;
		group->status = SCSI_STATUS_BY_COMMAND;
	}
	return true;
}

static void tell_lane(struct scsi_visit *visit, struct scsi_lane *lane)
{
	const struct scsi_command *command = visit->context;

	scsi_port_groups_refresh_lane(lane);
	scsi_unit_attention_raise_lane(lane, SCSI_UA_ASYMMETRIC_ACCESS_CHANGED, command->nexus_lun);
}

static void all_told(struct scsi_visit *visit)
{
	struct scsi_command *command = visit->context;

	scsi_visit_free(visit);
	scsi_command_good(command);
}

void spc_set_port_groups(struct scsi_command *command)
{
	struct scsi_visit *visit = scsi_visit_create(command->unit, NULL);
	uint8_t list[MOST_LIST_BYTES];
	bool ok = false, changed = false;

	if (visit == NULL) {
		command->status = SCSI_BUSY;
	} else if (command->data_out_length != command->transfer_length) {
		scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	} else {
		rt_segments_read(command->data_out.segments, command->data_out.segment_count, 0, list,
				 command->data_out_length);
		pthread_mutex_lock(&command->unit->mutex);
		ok = set_states(command, list, &changed);
		pthread_mutex_unlock(&command->unit->mutex);
	}
	if (ok && changed) {
		visit->context = command;
		visit->arrive = tell_lane;
		visit->finished = all_told;
		scsi_visit_start(visit);
		return;
	}
	if (visit != NULL)
		scsi_visit_free(visit);
	scsi_command_finish(command);
}
