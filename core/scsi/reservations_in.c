/* SPDX-License-Identifier: Apache-2.0
 *
 * PERSISTENT RESERVE IN, SPC-5 6.15.
 */
#include <string.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/reservations.h"

enum { READ_KEYS = 0x00, READ_RESERVATION = 0x01, REPORT_CAPABILITIES = 0x02, READ_FULL_STATUS = 0x03 };
enum { HEADER_BYTES = 8 };

static void put_header(struct scsi_command *command, uint32_t generation, size_t length)
{
	uint8_t header[HEADER_BYTES];

	rt_put_be32(header, generation);
	rt_put_be32(header + 4, (uint32_t)(length - HEADER_BYTES));
	scsi_command_reply_at(command, 0, header, sizeof(header));
}

static void read_keys(struct scsi_command *command, const struct scsi_reservations *reservations)
{
	size_t length = HEADER_BYTES;

	for (size_t i = 0; i < reservations->count; i++, length += 8) {
		uint8_t key[8];

		rt_put_be64(key, reservations->registrations[i].key);
		scsi_command_reply_at(command, length, key, sizeof(key));
	}
	put_header(command, reservations->generation, length);
}

static uint64_t holders_key(const struct scsi_reservations *reservations)
{
	for (size_t i = 0; i < reservations->count; i++)
		if (reservations->registrations[i].holder)
			return reservations->registrations[i].key;
	return 0; /* all registrants hold it */
}

static void read_reservation(struct scsi_command *command, const struct scsi_reservations *reservations)
{
	uint8_t descriptor[16] = {0};
	size_t length = HEADER_BYTES;

	if (reservations->type != SCSI_RESERVATION_NONE) {
		rt_put_be64(descriptor, holders_key(reservations));
		descriptor[13] = reservations->type;
		scsi_command_reply_at(command, length, descriptor, sizeof(descriptor));
		length += sizeof(descriptor);
	}
	put_header(command, reservations->generation, length);
}

static void report_capabilities(struct scsi_command *command, const struct scsi_reservations *reservations)
{
	enum { CRH = 0x10, SIP_C = 0x08, ATP_C = 0x04, PTPL_C = 0x01, TMV = 0x80, PTPL_A = 0x01 };
	enum { WR_EX_AR = 0x80, EX_AC_RO = 0x40, WR_EX_RO = 0x20, EX_AC = 0x08, WR_EX = 0x02, EX_AC_AR = 0x01 };
	uint8_t data[8] = {0};

	rt_put_be16(data, sizeof(data));
	data[2] = CRH | SIP_C | ATP_C | (command->unit->save_reservations != NULL ? PTPL_C : 0);
	data[3] = TMV | (reservations->persists ? PTPL_A : 0);
	data[4] = WR_EX_AR | EX_AC_RO | WR_EX_RO | EX_AC | WR_EX;
	data[5] = EX_AC_AR;
	scsi_command_reply_at(command, 0, data, sizeof(data));
}

static size_t put_full_status(const struct scsi_reservations *reservations, const struct scsi_registration *registration,
			      uint8_t *descriptor)
{
	enum { IS_HOLDER = 0x01, IS_ALL_TG_PT = 0x02 };
	bool holds = scsi_reservations_holds(reservations, registration);
	size_t id;

	memset(descriptor, 0, 24);
	rt_put_be64(descriptor, registration->key);
	descriptor[12] = (holds ? IS_HOLDER : 0) | (registration->all_target_ports ? IS_ALL_TG_PT : 0);
	descriptor[13] = holds ? reservations->type : 0;
	rt_put_be16(descriptor + 18, registration->all_target_ports ? 0 : registration->relative_target_port_id);
	id = scsi_transport_id_encode(registration->initiator_port, descriptor + 24);
	rt_put_be32(descriptor + 20, (uint32_t)id);
	return 24 + id;
}

static void read_full_status(struct scsi_command *command, const struct scsi_reservations *reservations)
{
	size_t length = HEADER_BYTES;

	for (size_t i = 0; i < reservations->count; i++) {
		uint8_t descriptor[24 + SCSI_TRANSPORT_ID_BYTES];
		size_t used = put_full_status(reservations, &reservations->registrations[i], descriptor);

		scsi_command_reply_at(command, length, descriptor, used);
		length += used;
	}
	put_header(command, reservations->generation, length);
}

void spc_persistent_reserve_in(struct scsi_command *command)
{
	struct scsi_logical_unit *unit = command->unit;

	pthread_mutex_lock(&unit->mutex);
	switch (command->operation->service_action) {
	case READ_KEYS:
		read_keys(command, unit->reservations);
		break;
	case READ_RESERVATION:
		read_reservation(command, unit->reservations);
		break;
	case REPORT_CAPABILITIES:
		report_capabilities(command, unit->reservations);
		break;
	default:
		read_full_status(command, unit->reservations);
		break;
	}
	pthread_mutex_unlock(&unit->mutex);
	scsi_command_good(command);
}
