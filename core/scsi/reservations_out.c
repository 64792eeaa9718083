/* SPDX-License-Identifier: Apache-2.0
 *
 * PERSISTENT RESERVE OUT, SPC-5 6.16 and 5.14: each service action makes a changed copy of the reservations.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rt/bytes.h"
#include "scsi/device_server.h"
#include "scsi/handlers.h"
#include "scsi/reservations.h"

enum service_action {
	REGISTER = 0x00,
	RESERVE = 0x01,
	RELEASE = 0x02,
	CLEAR = 0x03,
	PREEMPT = 0x04,
	PREEMPT_AND_ABORT = 0x05,
	REGISTER_AND_IGNORE_EXISTING_KEY = 0x06,
	REGISTER_AND_MOVE = 0x07,
};

enum {
	BASIC_LIST_BYTES = 24,
	MOST_LIST_BYTES = 16384,
	SPEC_I_PT = 0x08,
	ALL_TG_PT = 0x04,
	APTPL = 0x01,
	UNREG = 0x02,
};

/* One command's view: the parameter list, decoded, and the change that it makes. */
struct change_request {
	struct scsi_command *command;
	const struct scsi_nexus *nexus;
	const uint8_t *list;
	size_t list_length;
	uint64_t key, service_action_key;
	uint8_t type;
	struct scsi_registration *own; /* within change.next */
	struct scsi_reservation_change change;
};

bool spc_persistent_reservations_offered(const struct scsi_logical_unit *unit)
{
	return unit->persistent_reservations;
}

static enum service_action service_action(const struct scsi_command *command)
{
	return command->cdb[1] & 0x1f;
}

bool spc_persistent_reserve_out_decode(struct scsi_command *command)
{
	enum service_action action = service_action(command);
	bool uses_scope = action == RESERVE || action == RELEASE || action == PREEMPT || action == PREEMPT_AND_ABORT;

	if (command->transfer_length < BASIC_LIST_BYTES || command->transfer_length > MOST_LIST_BYTES)
		return scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	if (uses_scope && command->cdb[2] >> 4 != 0)
		return scsi_sense_invalid_cdb_field(command, 2, 7);
	if (uses_scope && !scsi_reservation_type_is_valid(command->cdb[2] & 0x0f))
		return scsi_sense_invalid_cdb_field(command, 2, 3);
	return true;
}

static bool conflict(struct change_request *request)
{
	request->command->status = SCSI_RESERVATION_CONFLICT;
	return false;
}

static bool invalid_parameter(struct change_request *request, unsigned byte, unsigned bit)
{
	return scsi_sense_invalid_parameter(request->command, byte, bit);
}

/* The list has room for `more` of them, as make_copy counted. */
static bool add(struct change_request *request, const char *initiator_port, uint16_t port_id, bool all_target_ports,
		uint64_t key)
{
	struct scsi_reservations *next = request->change.next;
	struct scsi_registration *registration;

	if (next->count == SCSI_MAXIMUM_REGISTRATIONS)
		return scsi_sense_fail(request->command, SCSI_KEY_ILLEGAL_REQUEST,
				       SCSI_ASC_INSUFFICIENT_REGISTRATION_RESOURCES);
	registration = &next->registrations[next->count++];
	*registration = (struct scsi_registration){
		.key = key, .relative_target_port_id = port_id, .all_target_ports = all_target_ports};
	memcpy(registration->initiator_port, initiator_port, strnlen(initiator_port, SCSI_PORT_NAME_BYTES) + 1);
	return true;
}

/* With ALL_TG_PT one registration stands for all target ports: others of that initiator port go into it. */
static bool register_port(struct change_request *request, const char *initiator_port)
{
	struct scsi_reservations *next = request->change.next;
	bool all_target_ports = (request->list[20] & ALL_TG_PT) != 0;

	if (scsi_reservations_find(next, initiator_port, request->nexus->relative_target_port_id) != NULL)
		return true; /* SPC-5 5.14.7: it keeps its key */
	for (size_t i = 0; all_target_ports && i < next->count; i++)
		if (strcasecmp(next->registrations[i].initiator_port, initiator_port) == 0)
			scsi_reservations_remove(next, &next->registrations[i--]);
	return add(request, initiator_port, request->nexus->relative_target_port_id, all_target_ports,
		   request->service_action_key);
}

/* TransportIDs of SPEC_I_PT.  Under the mutex for the ports of a device that are known. */
static bool register_known_ports(struct change_request *request, const char *initiator_name)
{
	struct scsi_logical_unit *unit = request->command->unit;
	bool ok = true;

	RT_LIST_FOR_EACH(node, &unit->attached)
	{
		const struct scsi_nexus *nexus = RT_CONTAINER_OF(node, struct scsi_nexus_lun, in_unit)->nexus;

		if (ok && strcasecmp(nexus->initiator_name, initiator_name) == 0)
			ok = register_port(request, nexus->initiator_port);
	}
	return ok;
}

static bool register_transport_ids(struct change_request *request)
{
	size_t at = BASIC_LIST_BYTES + 4, end;

	if (request->list_length < at)
		return scsi_sense_fail(request->command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	if (rt_get_be32(request->list + BASIC_LIST_BYTES) != request->list_length - at)
		return scsi_sense_fail(request->command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	for (end = request->list_length; at < end;) {
		struct scsi_transport_id id;
		size_t length = scsi_transport_id_decode(request->list + at, end - at, &id);

		if (length == 0)
			return invalid_parameter(request, (unsigned)at, 7);
		if (!(id.is_device ? register_known_ports(request, id.name) : register_port(request, id.name)))
			return false;
		at += length;
	}
	return true;
}

static void unregister(struct change_request *request)
{
	struct scsi_reservations *next = request->change.next;
	uint8_t type = next->type;

	scsi_reservations_remove(next, request->own);
	if (type != next->type && scsi_reservation_type_is_shared(type))
		request->change.remaining_attention = SCSI_UA_RESERVATIONS_RELEASED;
}

static bool do_register(struct change_request *request)
{
	struct scsi_reservations *next = request->change.next;
	bool ignore_key = service_action(request->command) == REGISTER_AND_IGNORE_EXISTING_KEY;
	bool others = (request->list[20] & SPEC_I_PT) != 0;

	if (!ignore_key && request->key != (request->own != NULL ? request->own->key : 0))
		return conflict(request);
	if ((request->list[20] & APTPL) && request->command->unit->save_reservations == NULL)
		return invalid_parameter(request, 20, 0);
	if (others && (ignore_key || request->own != NULL))
		return invalid_parameter(request, 20, 3);
	if (!others && request->list_length != BASIC_LIST_BYTES)
		return scsi_sense_fail(request->command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	if (request->own == NULL && request->service_action_key == 0)
		return true;
	next->generation++;
	next->persists = (request->list[20] & APTPL) != 0;
	if (request->own == NULL)
		return register_port(request, request->nexus->initiator_port) &&
		       (!others || register_transport_ids(request));
	if (request->service_action_key == 0)
		unregister(request);
	else
		request->own->key = request->service_action_key;
	return true;
}

static void hold(struct change_request *request)
{
	request->change.next->type = request->type;
	request->own->holder = !scsi_reservation_type_is_all(request->type);
}

static bool do_reserve(struct change_request *request)
{
	struct scsi_reservations *next = request->change.next;

	if (next->type == SCSI_RESERVATION_NONE) {
		hold(request);
		return true;
	}
	if (next->type == request->type && scsi_reservations_holds(next, request->own))
		return true;
	return conflict(request);
}

static bool do_release(struct change_request *request)
{
	struct scsi_reservations *next = request->change.next;

	if (!scsi_reservations_holds(next, request->own))
		return true;
	if (next->type != request->type)
		return scsi_sense_fail(request->command, SCSI_KEY_ILLEGAL_REQUEST,
				       SCSI_ASC_INVALID_RELEASE_OF_PERSISTENT_RESERVATION);
	if (scsi_reservation_type_is_shared(next->type))
		request->change.remaining_attention = SCSI_UA_RESERVATIONS_RELEASED;
	scsi_reservations_release(next);
	return true;
}

static bool do_clear(struct change_request *request)
{
	struct scsi_reservations *next = request->change.next;

	next->generation++;
	next->count = 0;
	scsi_reservations_release(next);
	request->change.removed_attention = SCSI_UA_RESERVATIONS_PREEMPTED;
	return true;
}

/* Takes out the other nexuses' registrations with the key; all of them for key 0.  Whether there was one; the own one counts. */
static bool remove_by_key(struct change_request *request, uint64_t key)
{
	struct scsi_reservations *next = request->change.next;
	bool found = key == 0;

	for (size_t i = 0; i < next->count; i++) {
		struct scsi_registration *registration = &next->registrations[i];

		if (key != 0 && registration->key != key)
			continue;
		found = true;
		if (scsi_reservations_find_nexus(next, request->nexus) == registration)
			continue;
		scsi_reservations_remove(next, registration);
		i--;
	}
	request->own = scsi_reservations_find_nexus(next, request->nexus);
	return found;
}

/* Whether the key is that of who holds the reservation, SPC-5 5.14.11.4.  Key 0 means all holders of all-registrants types. */
static bool preempts_reservation(const struct change_request *request)
{
	const struct scsi_reservations *next = request->change.next;

	if (scsi_reservation_type_is_all(next->type))
		return request->service_action_key == 0;
	for (size_t i = 0; i < next->count; i++)
		if (next->registrations[i].holder)
			return next->registrations[i].key == request->service_action_key;
	return false;
}

static bool do_preempt(struct change_request *request)
{
	struct scsi_reservations *next = request->change.next;
	uint8_t type = next->type;
	bool takes_over = preempts_reservation(request);

	if (request->service_action_key == 0 && !takes_over)
		return invalid_parameter(request, 8, 7);
	if (!remove_by_key(request, request->service_action_key))
		return conflict(request);
	if (takes_over) {
		scsi_reservations_release(next);
		hold(request);
		if (type != request->type)
			request->change.remaining_attention = SCSI_UA_RESERVATIONS_RELEASED;
	}
	next->generation++;
	request->change.removed_attention = SCSI_UA_REGISTRATIONS_PREEMPTED;
	request->change.aborts = service_action(request->command) == PREEMPT_AND_ABORT;
	return true;
}

/* The list of REGISTER AND MOVE, SPC-5 6.16.4. */
static bool decode_move(struct change_request *request, struct scsi_transport_id *id)
{
	size_t length = request->list_length - BASIC_LIST_BYTES;

	if (rt_get_be32(request->list + 20) != length)
		return scsi_sense_fail(request->command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	if (scsi_transport_id_decode(request->list + BASIC_LIST_BYTES, length, id) != length || id->is_device)
		return invalid_parameter(request, BASIC_LIST_BYTES, 7);
	return true;
}

static bool check_move(struct change_request *request, const struct scsi_transport_id *id, uint16_t port_id)
{
	const struct scsi_reservations *next = request->change.next;

	if (!request->own->holder)
		return conflict(request); /* also an all-registrants type, and no reservation */
	if (request->service_action_key == 0)
		return invalid_parameter(request, 8, 7);
	if (port_id == 0)
		return invalid_parameter(request, 18, 7);
	if (scsi_reservations_find(next, id->name, port_id) == request->own)
		return invalid_parameter(request, BASIC_LIST_BYTES, 7); /* onto itself */
	if ((request->list[17] & APTPL) && request->command->unit->save_reservations == NULL)
		return invalid_parameter(request, 17, 0);
	return true;
}

static bool do_register_and_move(struct change_request *request)
{
	struct scsi_reservations *next = request->change.next;
	uint16_t port_id = rt_get_be16(request->list + 18);
	struct scsi_registration *to;
	struct scsi_transport_id id;
	uint8_t type = next->type;

	if (!decode_move(request, &id) || !check_move(request, &id, port_id))
		return false;
	to = scsi_reservations_find(next, id.name, port_id);
	if (to == NULL && !add(request, id.name, port_id, false, request->service_action_key))
		return false;
	scsi_reservations_release(next);
	if (request->list[17] & UNREG)
		scsi_reservations_remove(next, request->own);
	to = scsi_reservations_find(next, id.name, port_id);
	to->key = request->service_action_key;
	to->holder = true;
	next->type = type;
	next->generation++;
	next->persists = (request->list[17] & APTPL) != 0;
	return true;
}

static bool perform(struct change_request *request)
{
	enum service_action action = service_action(request->command);

	if (action == REGISTER || action == REGISTER_AND_IGNORE_EXISTING_KEY)
		return do_register(request);
	if (action != REGISTER_AND_MOVE && request->list_length != BASIC_LIST_BYTES)
		return scsi_sense_fail(request->command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
	if (request->own == NULL || request->own->key != request->key)
		return conflict(request);
	switch (action) {
	case RESERVE:
		return do_reserve(request);
	case RELEASE:
		return do_release(request);
	case CLEAR:
		return do_clear(request);
	case REGISTER_AND_MOVE:
		return do_register_and_move(request);
	default:
		return do_preempt(request);
	}
}

/* Room for the nexus itself and as many TransportIDs as the list may hold, or as devices have ports here. */
static size_t room_needed(const struct change_request *request)
{
	size_t room = 2 + request->list_length / BASIC_LIST_BYTES;

	if (service_action(request->command) == REGISTER && (request->list[20] & SPEC_I_PT))
		RT_LIST_FOR_EACH(node, &request->command->unit->attached)
		{
			room++;
		}
	return room;
}

static bool make_change(struct change_request *request)
{
	struct scsi_logical_unit *unit = request->command->unit;
	bool ok = false;

	pthread_mutex_lock(&unit->mutex);
	request->change.next = scsi_reservations_copy(unit->reservations, room_needed(request));
	if (unit->legacy_holder != NULL || request->change.next == NULL) {
		request->command->status = unit->legacy_holder != NULL ? SCSI_RESERVATION_CONFLICT : SCSI_BUSY;
	} else {
		request->own = scsi_reservations_find_nexus(request->change.next, request->nexus);
		ok = perform(request);
	}
	pthread_mutex_unlock(&unit->mutex);
	return ok;
}

void spc_persistent_reserve_out(struct scsi_command *command)
{
	struct change_request request = {
		.command = command,
		.nexus = command->nexus,
		.type = command->cdb[2] & 0x0f,
		.change = {.removed_attention = -1, .remaining_attention = -1},
	};
	uint8_t list[MOST_LIST_BYTES];

	if (command->data_out_length != command->transfer_length) {
		scsi_sense_fail(command, SCSI_KEY_ILLEGAL_REQUEST, SCSI_ASC_PARAMETER_LIST_LENGTH_ERROR);
		scsi_command_finish(command);
		return;
	}
	rt_segments_read(command->data_out.segments, command->data_out.segment_count, 0, list, command->data_out_length);
	request.list = list;
	request.list_length = command->data_out_length;
	request.key = rt_get_be64(list);
	request.service_action_key = rt_get_be64(list + 8);
	if (make_change(&request)) {
		scsi_reservations_publish(command, &request.change);
	} else {
		free(request.change.next);
		scsi_command_finish(command);
	}
}
