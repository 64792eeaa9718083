/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/login_private.h"
#include "rt/log.h"

#define CSG(flags) ((flags) >> 2 & 3u)
#define NSG(flags) ((flags)&3u)

struct iscsi_login *iscsi_login_create(const struct iscsi_login_context *context)
{
	struct iscsi_login *login = calloc(1, sizeof *login);

	if (!login)
		return NULL;
	login->context = *context;
	login->result.initiator_name = login->initiator_name;
	login->result.initiator_alias = login->initiator_alias;
	return login;
}

void iscsi_login_free(struct iscsi_login *login)
{
	if (!login)
		return;
	iscsi_text_free(&login->text);
	iscsi_text_free(&login->response);
	free(login->security.challenge);
	free(login);
}

bool iscsi_login_fail(struct iscsi_login *login, enum iscsi_login_status status, const char *format, ...)
{
	static struct rt_log_limit limit = RT_LOG_LIMIT(5);
	const char *initiator = login->initiator_name[0] ? login->initiator_name : "an unnamed initiator";
	const char *target = login->target_name[0] ? login->target_name : "no target";
	char reason[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	rt_log_limited_about(
	    &limit,
	    RT_ABOUT(.target = login->target_name, .initiator = login->initiator_name, .address = login->context.peer),
	    RT_LOG_WARNING, "login of %s at %s to %s refused with status %04Xh: %s", initiator, login->context.peer,
	    login->result.discovery ? "discovery" : target, status, reason);
	login->status = status;
	iscsi_text_free(&login->response);
	login->response_sent = 0;
	return false;
}

/* The response to `flags`, of which T and NSG count only when transit is granted. */
static void begin_response(const struct iscsi_login *login, uint8_t flags, struct iscsi_login_response *response)
{
	uint8_t *bhs = response->bhs;

	*response = (struct iscsi_login_response){0};
	bhs[0] = ISCSI_LOGIN_RESPONSE;
	bhs[ISCSI_AT_FLAGS] = flags;
	memcpy(bhs + ISCSI_AT_ISID, login->result.isid, sizeof login->result.isid);
	rt_put_be16(bhs + ISCSI_AT_TSIH, login->result.tsih);
	rt_put_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG, login->initiator_task_tag);
}

/* As much of the answers as fits; true: all of them are out then. */
static bool fill_text(struct iscsi_login *login, struct iscsi_login_response *response)
{
	size_t left = login->response.length - login->response_sent;
	size_t length = left < ISCSI_LOGIN_DATA_SEGMENT_BYTES ? left : ISCSI_LOGIN_DATA_SEGMENT_BYTES;

	if (length > 0)
		response->text = (const uint8_t *)login->response.bytes + login->response_sent;
	response->text_bytes = (uint32_t)length;
	rt_put_be24(response->bhs + ISCSI_AT_DATA_SEGMENT_LENGTH, response->text_bytes);
	login->response_sent += length;
	if (length < left)
		response->bhs[ISCSI_AT_FLAGS] |= ISCSI_CONTINUE;
	return length == left;
}

static enum iscsi_login_step failed(struct iscsi_login *login, struct iscsi_login_response *response)
{
	begin_response(login, (uint8_t)(login->stage << 2), response);
	rt_put_be16(response->bhs + ISCSI_AT_STATUS_CLASS, (uint16_t)login->status);
	fill_text(login, response);
	return ISCSI_LOGIN_FAILED;
}

/* Before anything of the request is believed, what the first one has fixed and what no request may say. */
static bool check_header(struct iscsi_login *login, const uint8_t *bhs)
{
	const struct iscsi_login_result *result = &login->result;

	if (iscsi_pdu_opcode(bhs) != ISCSI_LOGIN_REQUEST)
		return iscsi_login_fail(login, ISCSI_LOGIN_INVALID_DURING_LOGIN, "opcode %02Xh during login",
					iscsi_pdu_opcode(bhs));
	if (bhs[ISCSI_AT_VERSION_ACTIVE] > 0)
		return iscsi_login_fail(login, ISCSI_LOGIN_UNSUPPORTED_VERSION,
					"protocol version %u or later is asked for", bhs[ISCSI_AT_VERSION_ACTIVE]);
	if (++login->requests > ISCSI_LOGIN_MAXIMUM_REQUESTS)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "not finished after %u requests",
					ISCSI_LOGIN_MAXIMUM_REQUESTS);
	if (memcmp(bhs + ISCSI_AT_ISID, result->isid, sizeof result->isid) != 0 ||
	    rt_get_be16(bhs + ISCSI_AT_TSIH) != result->tsih || rt_get_be16(bhs + ISCSI_AT_CID) != result->cid ||
	    rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG) != login->initiator_task_tag)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR,
					"ISID, TSIH, CID or task tag changed in the middle");
	return true;
}

static bool check_stages(struct iscsi_login *login, uint8_t flags)
{
	bool transit = (flags & ISCSI_TRANSIT) != 0;

	if (CSG(flags) != (unsigned)login->stage)
		return iscsi_login_fail(login, ISCSI_LOGIN_INVALID_DURING_LOGIN, "stage %u where stage %u is current",
					CSG(flags), (unsigned)login->stage);
	if (transit && (flags & ISCSI_CONTINUE))
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "the T and C bits exclude each other");
	if (transit && (NSG(flags) == 2 || NSG(flags) <= CSG(flags)))
		return iscsi_login_fail(login, ISCSI_LOGIN_INVALID_DURING_LOGIN, "stage %u cannot follow stage %u",
					NSG(flags), CSG(flags));
	return true;
}

static bool begin(struct iscsi_login *login, const uint8_t *bhs)
{
	struct iscsi_login_result *result = &login->result;
	unsigned stage = CSG(bhs[ISCSI_AT_FLAGS]);

	login->initiator_task_tag = rt_get_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG);
	if (iscsi_pdu_opcode(bhs) != ISCSI_LOGIN_REQUEST)
		return true; /* check_header refuses it */
	login->begun = true;
	memcpy(result->isid, bhs + ISCSI_AT_ISID, sizeof result->isid);
	result->tsih = rt_get_be16(bhs + ISCSI_AT_TSIH);
	result->cid = rt_get_be16(bhs + ISCSI_AT_CID);
	if (stage != ISCSI_STAGE_SECURITY && stage != ISCSI_STAGE_OPERATIONAL)
		return iscsi_login_fail(login, ISCSI_LOGIN_INVALID_DURING_LOGIN, "a login cannot begin in stage %u",
					stage);
	login->stage = stage;
	return true;
}

/* Joins the request with what came before it; false: too long, or no memory. */
static bool join(struct iscsi_login *login, const uint8_t *data, uint32_t data_bytes)
{
	if (data_bytes > ISCSI_LOGIN_TEXT_BYTES - login->text.length)
		return iscsi_login_fail(login, ISCSI_LOGIN_OUT_OF_RESOURCES,
					"more than %u bytes of text in one request", ISCSI_LOGIN_TEXT_BYTES);
	iscsi_text_append(&login->text, data, data_bytes);
	if (login->text.failed)
		return iscsi_login_fail(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "no memory");
	return true;
}

/* The target's own offers go out when the initiator would leave the stage, and the next request has to answer them. */
static bool propose(struct iscsi_login *login)
{
	if (iscsi_negotiation_is_pending(&login->negotiation))
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "an offer of the target was not answered");
	if (login->transit)
		iscsi_negotiation_propose(&login->negotiation, &login->response);
	return true;
}

/* The whole request is in login->text. */
static bool take_request(struct iscsi_login *login, bool transit)
{
	bool taken;

	iscsi_text_free(&login->response);
	login->response_sent = 0;
	login->transit = transit;
	taken = iscsi_login_take_text(login, login->text.bytes ? login->text.bytes : "", login->text.length);
	iscsi_text_free(&login->text);
	if (taken && login->stage == ISCSI_STAGE_OPERATIONAL)
		taken = propose(login);
	if (taken && login->response.failed)
		taken = iscsi_login_fail(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "no memory");
	return taken;
}

static bool may_transit(const struct iscsi_login *login)
{
	if (login->stage == ISCSI_STAGE_SECURITY)
		return login->security.state == ISCSI_SECURITY_SETTLED;
	return !iscsi_negotiation_is_pending(&login->negotiation);
}

static bool finish(struct iscsi_login *login)
{
	const char *key = iscsi_negotiation_finish(&login->negotiation);

	if (key)
		return iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR,
					"%s: nothing was agreed that the target's configuration allows", key);
	login->result.parameters = login->negotiation.now;
	return true;
}

static enum iscsi_login_step respond(struct iscsi_login *login, uint8_t flags, struct iscsi_login_response *response)
{
	bool transit = login->transit && (flags & ISCSI_TRANSIT) != 0 && may_transit(login);

	login->last_part = login->response_sent;
	begin_response(login, (uint8_t)(login->stage << 2), response);
	if (!fill_text(login, response) || !transit)
		return ISCSI_LOGIN_CONTINUES;
	if (NSG(flags) == ISCSI_STAGE_FULL_FEATURE)
		return finish(login) ? ISCSI_LOGIN_WANTS_SESSION : failed(login, response);
	response->bhs[ISCSI_AT_FLAGS] |= (uint8_t)(ISCSI_TRANSIT | NSG(flags));
	login->stage = NSG(flags);
	return ISCSI_LOGIN_CONTINUES;
}

enum iscsi_login_step iscsi_login_request(struct iscsi_login *login, const uint8_t bhs[static ISCSI_BHS_BYTES],
					  const uint8_t *data, uint32_t data_bytes,
					  struct iscsi_login_response *response)
{
	uint8_t flags = bhs[ISCSI_AT_FLAGS];

	if ((!login->begun && !begin(login, bhs)) || !check_header(login, bhs) || !check_stages(login, flags))
		return failed(login, response);
	if (login->response_sent < login->response.length) {
		/* The initiator only asks for the rest of the answers. */
		if (data_bytes > 0 || (flags & ISCSI_CONTINUE)) {
			iscsi_login_fail(login, ISCSI_LOGIN_INITIATOR_ERROR, "text while a response is not complete");
			return failed(login, response);
		}
		return respond(login, flags, response);
	}
	if (!join(login, data, data_bytes))
		return failed(login, response);
	if (flags & ISCSI_CONTINUE) {
		begin_response(login, (uint8_t)(login->stage << 2), response);
		return ISCSI_LOGIN_CONTINUES;
	}
	if (!take_request(login, (flags & ISCSI_TRANSIT) != 0))
		return failed(login, response);
	return respond(login, flags, response);
}

void iscsi_login_accept(struct iscsi_login *login, uint16_t tsih, struct iscsi_login_response *response)
{
	uint8_t flags = (uint8_t)(ISCSI_TRANSIT | login->stage << 2 | ISCSI_STAGE_FULL_FEATURE);

	login->result.tsih = tsih;
	login->stage = ISCSI_STAGE_FULL_FEATURE;
	login->response_sent = login->last_part;
	begin_response(login, flags, response);
	fill_text(login, response);
}

void iscsi_login_refuse(struct iscsi_login *login, enum iscsi_login_status status,
			struct iscsi_login_response *response)
{
	iscsi_login_fail(login, status, "no session");
	failed(login, response);
}

const struct iscsi_login_result *iscsi_login_result(const struct iscsi_login *login)
{
	return &login->result;
}
