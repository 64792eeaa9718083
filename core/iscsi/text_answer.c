/* SPDX-License-Identifier: Apache-2.0
 *
 * Text requests in the full feature phase.
 */
#include <errno.h>

#include "iscsi/keys.h"
#include "iscsi/text.h"

static int take_max_recv_data_segment_length(const struct iscsi_text_context *context, const char *value)
{
	const struct iscsi_key *key = &iscsi_keys[ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH];
	uint64_t number;

	if (!iscsi_value_number(value, &number) || number < key->minimum || number > key->maximum)
		return -EPROTO;
	context->parameters->initiator_max_recv_data_segment_length = (uint32_t)number;
	return 0;
}

static int answer_known(const struct iscsi_text_context *context, enum iscsi_key_id id,
			const struct iscsi_text_pair *pair, struct iscsi_text *response)
{
	const struct iscsi_key *key = &iscsi_keys[id];

	if (!iscsi_key_allows_length(key, pair))
		return -EPROTO;
	if (!key->from_initiator)
		return iscsi_value_is_answer_only(pair->value) ? 0 : -EPROTO;
	if (!(key->when & ISCSI_KEY_IN_FULL_FEATURE)) {
		/* What login settled stays as it is. */
		iscsi_text_add(response, key->name, "Reject");
		return 0;
	}
	if (id == ISCSI_KEY_SEND_TARGETS)
		iscsi_send_targets(context, pair->value, response);
	else if (id == ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH)
		return take_max_recv_data_segment_length(context, pair->value);
	return 0;
}

static int answer_pair(const struct iscsi_text_context *context, const struct iscsi_text_pair *pair, uint64_t *seen,
		       struct iscsi_text *response)
{
	enum iscsi_key_id id = iscsi_key_find(pair->key);

	if (id == ISCSI_KEYS) {
		if (!iscsi_value_is_answer_only(pair->value))
			iscsi_text_add(response, pair->key, "NotUnderstood");
		return 0;
	}
	if (*seen & UINT64_C(1) << id)
		return -EPROTO;
	*seen |= UINT64_C(1) << id;
	return answer_known(context, id, pair, response);
}

int iscsi_text_answer(const struct iscsi_text_context *context, const char *request, size_t length,
		      struct iscsi_text *response)
{
	struct iscsi_text_reader reader = {.next = request, .end = request + length};
	struct iscsi_text_pair pair;
	uint64_t seen = 0;

	if (iscsi_text_check(request, length) != 0)
		return -EPROTO;
	while (iscsi_text_read(&reader, &pair) > 0) {
		int result = answer_pair(context, &pair, &seen, response);

		if (result != 0)
			return result;
	}
	return response->failed ? -ENOMEM : 0;
}
