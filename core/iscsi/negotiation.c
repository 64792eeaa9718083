/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "iscsi/negotiation.h"

#define DISCOVERY_MAX_RECV_DATA_SEGMENT_LENGTH 8192u
#define ISCSI_PROTOCOL_LEVEL		       2u /* RFC 7144 */

#define BIT(id) (UINT64_C(1) << (id))
static_assert(ISCSI_KEYS <= 64, "a set of keys is one word");

void iscsi_parameters_set_defaults(struct iscsi_parameters *parameters)
{
	*parameters = (struct iscsi_parameters){
	    .initiator_max_recv_data_segment_length = 8192,
	    .target_max_recv_data_segment_length = 8192,
	    .max_burst_length = 262144,
	    .first_burst_length = 65536,
	    .max_outstanding_r2t = 1,
	    .max_connections = 1,
	    .default_time2wait = 2,
	    .default_time2retain = 20,
	    .initial_r2t = true,
	    .immediate_data = true,
	    .data_pdu_in_order = true,
	    .data_sequence_in_order = true,
	    .protocol_level = 1,
	    .task_reporting = "RFC3720",
	};
}

void iscsi_negotiation_begin(struct iscsi_negotiation *negotiation, const struct iscsi_target_parameters *target)
{
	struct iscsi_parameters *ours = &negotiation->ours;

	*negotiation = (struct iscsi_negotiation){.discovery = target == NULL};
	iscsi_parameters_set_defaults(&negotiation->now);
	iscsi_parameters_set_defaults(ours);
	ours->protocol_level = ISCSI_PROTOCOL_LEVEL;
	/* One connection and no recovery within a session: nothing to wait for, and nothing is kept. */
	ours->default_time2wait = 0;
	ours->default_time2retain = 0;
	if (!target) {
		ours->target_max_recv_data_segment_length = DISCOVERY_MAX_RECV_DATA_SEGMENT_LENGTH;
		negotiation->header_digests = negotiation->data_digests = ISCSI_DIGEST_NONE | ISCSI_DIGEST_CRC32C;
		return;
	}
	ours->target_max_recv_data_segment_length = target->max_recv_data_segment_length;
	ours->max_burst_length = target->max_burst_length;
	ours->first_burst_length = target->first_burst_length;
	ours->max_outstanding_r2t = target->max_outstanding_r2t;
	ours->initial_r2t = target->initial_r2t;
	ours->immediate_data = target->immediate_data;
	negotiation->header_digests = target->header_digests;
	negotiation->data_digests = target->data_digests;
	negotiation->prefer_header_digest = target->prefer_header_digest;
	negotiation->prefer_data_digest = target->prefer_data_digest;
}

static bool *boolean_of(struct iscsi_parameters *parameters, enum iscsi_key_id id)
{
	return (bool *)((char *)parameters + iscsi_keys[id].parameter);
}

static uint32_t *number_of(struct iscsi_parameters *parameters, enum iscsi_key_id id)
{
	return (uint32_t *)((char *)parameters + iscsi_keys[id].parameter);
}

static void answer(struct iscsi_text *response, enum iscsi_key_id id, const char *value)
{
	iscsi_text_add(response, iscsi_keys[id].name, value);
}

static void answer_number(struct iscsi_text *response, enum iscsi_key_id id, uint32_t value)
{
	char text[16];

	snprintf(text, sizeof text, "%" PRIu32, value);
	answer(response, id, text);
}

static bool number_in_range(enum iscsi_key_id id, const char *value, uint32_t *number)
{
	uint64_t wide;

	if (!iscsi_value_number(value, &wide) || wide < iscsi_keys[id].minimum || wide > iscsi_keys[id].maximum)
		return false;
	*number = (uint32_t)wide;
	return true;
}

/* What is agreed when one side says a and the other b; both are in range. */
static uint32_t agree_number(enum iscsi_key_id id, uint32_t a, uint32_t b)
{
	return (iscsi_keys[id].function == ISCSI_KEY_MINIMUM) == (a < b) ? a : b;
}

static bool agree_boolean(enum iscsi_key_id id, bool a, bool b)
{
	return iscsi_keys[id].function == ISCSI_KEY_AND ? a && b : a || b;
}

static void take_boolean(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value,
			 struct iscsi_text *response)
{
	bool theirs, *now = boolean_of(&negotiation->now, id);

	if (!iscsi_value_boolean(value, &theirs)) {
		answer(response, id, "Reject");
		return;
	}
	*now = agree_boolean(id, theirs, *boolean_of(&negotiation->ours, id));
	answer(response, id, *now ? "Yes" : "No");
}

static void take_number(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value,
			struct iscsi_text *response)
{
	uint32_t theirs, *now = number_of(&negotiation->now, id);

	if (!number_in_range(id, value, &theirs)) {
		answer(response, id, "Reject");
		return;
	}
	*now = agree_number(id, theirs, *number_of(&negotiation->ours, id));
	answer_number(response, id, *now);
}

/* What the target can use of a list, ended by NULL. */
static void acceptable_values(const struct iscsi_negotiation *negotiation, enum iscsi_key_id id,
			      const char *values[static 4])
{
	uint8_t digests = id == ISCSI_KEY_HEADER_DIGEST ? negotiation->header_digests : negotiation->data_digests;
	size_t count = 0;

	if (id == ISCSI_KEY_TASK_REPORTING) {
		/* 4.2.2.3.3: with one connection, responses cannot overtake each other. */
		values[count++] = "FastAbort";
		values[count++] = "ResponseFence";
		values[count++] = "RFC3720";
	} else {
		if (digests & ISCSI_DIGEST_NONE)
			values[count++] = "None";
		if (digests & ISCSI_DIGEST_CRC32C)
			values[count++] = "CRC32C";
	}
	values[count] = NULL;
}

static void set_chosen(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *chosen)
{
	if (id == ISCSI_KEY_TASK_REPORTING)
		snprintf(negotiation->now.task_reporting, sizeof negotiation->now.task_reporting, "%s", chosen);
	else
		*boolean_of(&negotiation->now, id) = strcmp(chosen, "CRC32C") == 0;
}

static void take_list(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value,
		      struct iscsi_text *response)
{
	const char *values[4], *chosen;

	acceptable_values(negotiation, id, values);
	chosen = iscsi_value_choose(value, values);
	if (chosen)
		set_chosen(negotiation, id, chosen);
	answer(response, id, chosen ? chosen : "Reject");
}

/* The answer to an offer of ours must be what the key's rule makes of it, or a refusal, which leaves the default. */
static int take_answer(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value)
{
	const char *values[4];
	uint32_t number;
	bool boolean;

	negotiation->proposed &= ~BIT(id);
	if (iscsi_value_is_answer_only(value))
		return 0;
	switch (iscsi_keys[id].function) {
	case ISCSI_KEY_LIST:
		acceptable_values(negotiation, id, values);
		if (strchr(value, ',') || !iscsi_value_choose(value, values))
			return -EPROTO;
		set_chosen(negotiation, id, value);
		return 0;
	case ISCSI_KEY_AND:
		if (!iscsi_value_boolean(value, &boolean) || (boolean && !*boolean_of(&negotiation->ours, id)))
			return -EPROTO;
		*boolean_of(&negotiation->now, id) = boolean;
		return 0;
	default:
		if (!number_in_range(id, value, &number) || number > *number_of(&negotiation->ours, id))
			return -EPROTO;
		*number_of(&negotiation->now, id) = number;
		return 0;
	}
}

static int take_declaration(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value)
{
	return number_in_range(id, value, number_of(&negotiation->now, id)) ? 0 : -EPROTO;
}

int iscsi_negotiation_take(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value,
			   struct iscsi_text *response)
{
	if (negotiation->proposed & BIT(id))
		return take_answer(negotiation, id, value);
	if (negotiation->settled & BIT(id))
		return -EPROTO;
	negotiation->settled |= BIT(id);
	if (negotiation->discovery && iscsi_keys[id].irrelevant_in_discovery) {
		answer(response, id, "Irrelevant");
		return 0;
	}
	switch (iscsi_keys[id].function) {
	case ISCSI_KEY_AND:
	case ISCSI_KEY_OR:
		take_boolean(negotiation, id, value, response);
		return 0;
	case ISCSI_KEY_MINIMUM:
	case ISCSI_KEY_MAXIMUM:
		if (id == ISCSI_KEY_FIRST_BURST_LENGTH)
			negotiation->first_burst_length = value;
		else
			take_number(negotiation, id, value, response);
		return 0;
	case ISCSI_KEY_LIST:
		take_list(negotiation, id, value, response);
		return 0;
	case ISCSI_KEY_CONSTANT_ANSWER:
		answer(response, id, iscsi_keys[id].answer);
		return 0;
	default:
		return take_declaration(negotiation, id, value);
	}
}

static bool allows_unsolicited_data(const struct iscsi_negotiation *negotiation)
{
	return negotiation->now.immediate_data || !negotiation->now.initial_r2t;
}

/* 13.14: irrelevant without unsolicited data, and never more than MaxBurstLength, whatever the order of the keys. */
static void take_first_burst_length(struct iscsi_negotiation *negotiation, struct iscsi_text *response)
{
	enum iscsi_key_id id = ISCSI_KEY_FIRST_BURST_LENGTH;
	struct iscsi_parameters *ours = &negotiation->ours;

	if (!allows_unsolicited_data(negotiation)) {
		answer(response, id, "Irrelevant");
	} else {
		if (ours->first_burst_length > negotiation->now.max_burst_length)
			ours->first_burst_length = negotiation->now.max_burst_length;
		take_number(negotiation, id, negotiation->first_burst_length, response);
	}
	negotiation->first_burst_length = NULL;
}

void iscsi_negotiation_end_text(struct iscsi_negotiation *negotiation, struct iscsi_text *response)
{
	uint32_t declared = negotiation->ours.target_max_recv_data_segment_length;

	if (negotiation->first_burst_length)
		take_first_burst_length(negotiation, response);
	if (negotiation->declared)
		return;
	answer_number(response, ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH, declared);
	negotiation->now.target_max_recv_data_segment_length = declared;
	negotiation->declared = true;
}

static uint32_t effective_first_burst_length(const struct iscsi_parameters *now)
{
	return now->first_burst_length < now->max_burst_length ? now->first_burst_length : now->max_burst_length;
}

static void propose(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, const char *value,
		    struct iscsi_text *response)
{
	if (negotiation->settled & BIT(id))
		return;
	answer(response, id, value);
	negotiation->settled |= BIT(id);
	negotiation->proposed |= BIT(id);
}

static void propose_digest(struct iscsi_negotiation *negotiation, enum iscsi_key_id id, uint8_t digests, bool preferred,
			   struct iscsi_text *response)
{
	if (!(digests & ISCSI_DIGEST_NONE))
		propose(negotiation, id, "CRC32C", response);
	else if (preferred && (digests & ISCSI_DIGEST_CRC32C))
		propose(negotiation, id, "CRC32C,None", response);
}

void iscsi_negotiation_propose(struct iscsi_negotiation *negotiation, struct iscsi_text *response)
{
	const struct iscsi_parameters *now = &negotiation->now, *ours = &negotiation->ours;
	bool unsolicited_data = (now->immediate_data && ours->immediate_data) || !now->initial_r2t;
	char text[16];

	propose_digest(negotiation, ISCSI_KEY_HEADER_DIGEST, negotiation->header_digests,
		       negotiation->prefer_header_digest, response);
	propose_digest(negotiation, ISCSI_KEY_DATA_DIGEST, negotiation->data_digests, negotiation->prefer_data_digest,
		       response);
	if (negotiation->discovery)
		return;
	if (!ours->immediate_data)
		propose(negotiation, ISCSI_KEY_IMMEDIATE_DATA, "No", response);
	if (unsolicited_data && ours->first_burst_length < effective_first_burst_length(now)) {
		snprintf(text, sizeof text, "%" PRIu32, ours->first_burst_length);
		propose(negotiation, ISCSI_KEY_FIRST_BURST_LENGTH, text, response);
	}
}

const char *iscsi_negotiation_finish(struct iscsi_negotiation *negotiation)
{
	struct iscsi_parameters *now = &negotiation->now;

	now->first_burst_length = effective_first_burst_length(now);
	if (!(negotiation->header_digests & ISCSI_DIGEST_NONE) && !now->header_digest)
		return iscsi_keys[ISCSI_KEY_HEADER_DIGEST].name;
	if (!(negotiation->data_digests & ISCSI_DIGEST_NONE) && !now->data_digest)
		return iscsi_keys[ISCSI_KEY_DATA_DIGEST].name;
	if (negotiation->discovery)
		return NULL;
	if (now->immediate_data && !negotiation->ours.immediate_data)
		return iscsi_keys[ISCSI_KEY_IMMEDIATE_DATA].name;
	if (allows_unsolicited_data(negotiation) && now->first_burst_length > negotiation->ours.first_burst_length)
		return iscsi_keys[ISCSI_KEY_FIRST_BURST_LENGTH].name;
	return NULL;
}
