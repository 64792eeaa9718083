/* SPDX-License-Identifier: Apache-2.0
 *
 * Reservations as text, which whoever keeps them over a restart stores as it is:
 *
 *     reservations 1
 *     type 5
 *     registration 00000000deadbeef 1 holder iqn.1993-08.org.debian:host,i,0x00023d000001
 *     registration 00000000cafe0001 * - iqn.1993-08.org.debian:other,i,0x00023d000002
 *     end
 *
 * The generation is not among it: it begins anew with each power-on, SPC-4 6.15.2.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/reservations.h"

enum { LINE_BYTES = 320 };

char *scsi_reservations_to_text(const struct scsi_reservations *reservations)
{
	size_t room = LINE_BYTES * (reservations->count + 1), length;
	char *text = malloc(room);

	if (text == NULL)
		return NULL;
	length = (size_t)snprintf(text, room, "reservations 1\ntype %u\n", reservations->type);
	for (size_t i = 0; i < reservations->count; i++) {
		const struct scsi_registration *registration = &reservations->registrations[i];
		char port[8] = "*";

		if (!registration->all_target_ports)
			snprintf(port, sizeof(port), "%u", registration->relative_target_port_id);
		length += (size_t)snprintf(text + length, room - length, "registration %016" PRIx64 " %s %s %s\n",
					   registration->key, port, registration->holder ? "holder" : "-",
					   registration->initiator_port);
	}
	snprintf(text + length, room - length, "end\n");
	return text;
}

static bool parse_registration(const char *line, struct scsi_registration *registration)
{
	char port[8], holder[8], name[SCSI_PORT_NAME_BYTES + 1];
	uint64_t key;
	unsigned id;

	_Static_assert(SCSI_PORT_NAME_BYTES == 243, "the width in the format");
	if (sscanf(line, "registration %16" SCNx64 " %7s %7s %243s", &key, port, holder, name) != 4 || key == 0)
		return false;
	*registration = (struct scsi_registration){.key = key};
	registration->all_target_ports = strcmp(port, "*") == 0;
	registration->holder = strcmp(holder, "holder") == 0;
	if (!registration->all_target_ports) {
		if (sscanf(port, "%u", &id) != 1 || id == 0 || id > UINT16_MAX)
			return false;
		registration->relative_target_port_id = (uint16_t)id;
	}
	strcpy(registration->initiator_port, name);
	return true;
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

static bool is_consistent(const struct scsi_reservations *reservations)
{
	size_t holders = 0;

	for (size_t i = 0; i < reservations->count; i++)
		holders += reservations->registrations[i].holder;
	if (reservations->type == SCSI_RESERVATION_NONE)
		return holders == 0;
	if (scsi_reservation_type_is_all(reservations->type))
		return holders == 0 && reservations->count > 0;
	return scsi_reservation_type_is_valid(reservations->type) && holders == 1;
}

/* One line per registration, and "end" to tell a whole text from a part. */
static bool parse_lines(const char *text, struct scsi_reservations *reservations)
{
	unsigned type;
	int used = 0;

	if (sscanf(text, "reservations 1 type %u %n", &type, &used) != 1 || used == 0 ||
	    type > SCSI_EXCLUSIVE_ACCESS_ALL_REGISTRANTS)
		return false;
	reservations->type = (uint8_t)type;
	reservations->persists = true;
	for (text += used; strncmp(text, "end\n", 4) != 0; text = strchr(text, '\n') + 1) {
		if (strchr(text, '\n') == NULL || reservations->count == SCSI_MAXIMUM_REGISTRATIONS ||
		    !parse_registration(text, &reservations->registrations[reservations->count]))
			return false;
		reservations->count++;
	}
	return is_consistent(reservations);
}

struct scsi_reservations *scsi_reservations_from_text(const char *text)
{
	struct scsi_reservations *reservations =
	    calloc(1, sizeof(*reservations) + count_lines(text) * sizeof(reservations->registrations[0]));

	if (reservations != NULL && !parse_lines(text, reservations)) {
		free(reservations);
		return NULL;
	}
	return reservations;
}
