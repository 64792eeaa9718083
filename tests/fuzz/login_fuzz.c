/* SPDX-License-Identifier: Apache-2.0
 *
 * The login state machine.
 *
 * Input: one byte that configures the target, then requests: a byte of choices, byte 1 of the header, two bytes of
 * length and the text; with DAMAGE an offset and a byte to be XORed into the header come before the text.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "iscsi/chap.h"
#include "iscsi/login.h"
#include "iscsi/text_parse.h"
#include "rt/log.h"

/* The target. */
enum {
	CHAP = 1,
	RESTRICTED = 2,
	DIGESTS_REQUIRED = 4,
	DIGESTS_PREFERRED = 8,
	NO_IMMEDIATE_DATA = 16,
	SMALL_BURSTS = 32
};
/* A request. */
enum { DAMAGE = 1, PROVE = 2, REFUSE = 4 };

static const uint8_t secret[] = "an example of a secret", other_secret[] = "quite another secret";
static struct scsi_lun_map luns = {.references = 1};
static const struct iscsi_target_port port = {.tag = 1, .relative_target_port_id = 1};
static struct iscsi_access_rule rule = {.initiator = "iqn.*", .lun_map = &luns};
static const struct iscsi_user user = {
    .account = {.name = "alice", .secret = secret, .secret_bytes = sizeof secret - 1}};
static struct iscsi_target target = {.name = "iqn.2026-11.org.example:disk1",
				     .alias = "disk",
				     .ports = &port,
				     .port_count = 1,
				     .lun_map = &luns,
				     .rules = &rule,
				     .rule_count = 1};
static struct iscsi_directory directory = {.references = 1, .targets = &target, .target_count = 1};

struct exchange {
	struct iscsi_login *login;
	struct iscsi_login_response response;
	bool proven; /* the right answer to the challenge was sent */
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rt_log_set_level(RT_LOG_ERROR);
	return 0;
}

static void configure(uint8_t choices)
{
	struct iscsi_target_parameters *parameters = &target.parameters;
	uint8_t digests = ISCSI_DIGEST_CRC32C | (choices & DIGESTS_REQUIRED ? 0 : ISCSI_DIGEST_NONE);

	*parameters = (struct iscsi_target_parameters){
	    .immediate_data = !(choices & NO_IMMEDIATE_DATA),
	    .header_digests = digests,
	    .data_digests = digests,
	    .prefer_header_digest = (choices & DIGESTS_PREFERRED) != 0,
	    .max_recv_data_segment_length = 262144,
	    .max_burst_length = choices & SMALL_BURSTS ? 4096 : 1u << 20,
	    .first_burst_length = choices & SMALL_BURSTS ? 2048 : 65536,
	    .max_outstanding_r2t = 8,
	};
	target.restricted = (choices & RESTRICTED) != 0;
	target.authentication = (struct iscsi_authentication){
	    .required = (choices & CHAP) != 0,
	    .users = &user,
	    .user_count = 1,
	    .mutual = {.name = "disk1", .secret = other_secret, .secret_bytes = sizeof other_secret - 1},
	};
	directory.discovery_authentication = target.authentication;
}

static const char *find(const struct iscsi_login_response *response, const char *key, struct iscsi_text_pair *pair)
{
	struct iscsi_text_reader reader = {.next = (const char *)response->text};

	if (response->text_bytes == 0)
		return NULL;
	reader.end = reader.next + response->text_bytes;
	while (iscsi_text_read(&reader, pair) > 0) {
		if (strcmp(pair->key, key) == 0)
			return pair->value;
	}
	return NULL;
}

/* CHAP_N and CHAP_R as an initiator that knows the secret would answer the newest response; the length. */
static size_t prove(struct exchange *exchange, char *text)
{
	static const char name[] = "CHAP_N=alice";
	uint8_t response[ISCSI_CHAP_DIGEST_BYTES];
	struct iscsi_chap_challenge challenge;
	struct iscsi_text_pair a, i, c;
	int length;

	if (!find(&exchange->response, "CHAP_A", &a) || !find(&exchange->response, "CHAP_I", &i) ||
	    !find(&exchange->response, "CHAP_C", &c))
		return 0;
	challenge.algorithm = (enum iscsi_chap_algorithm)atoi(a.value);
	challenge.identifier = (uint8_t)atoi(i.value);
	length = iscsi_value_binary(c.value, challenge.bytes, sizeof challenge.bytes);
	FUZZ_REQUIRE(length >= 16);
	challenge.length = (size_t)length;
	length = iscsi_chap_respond(&challenge, &user.account, response);
	FUZZ_REQUIRE(length > 0);
	memcpy(text, name, sizeof name);
	strcpy(text + sizeof name, "CHAP_R=");
	iscsi_value_put_binary(text + sizeof name + 7, response, (size_t)length);
	exchange->proven = true;
	return sizeof name + strlen(text + sizeof name) + 1;
}

static void check_response(const struct iscsi_login_response *response, enum iscsi_login_step step)
{
	uint8_t flags = response->bhs[ISCSI_AT_FLAGS];
	uint16_t status = rt_get_be16(response->bhs + ISCSI_AT_STATUS_CLASS);

	FUZZ_REQUIRE(response->bhs[0] == ISCSI_LOGIN_RESPONSE);
	FUZZ_REQUIRE(response->text_bytes <= ISCSI_LOGIN_DATA_SEGMENT_BYTES);
	FUZZ_REQUIRE(rt_get_be24(response->bhs + ISCSI_AT_DATA_SEGMENT_LENGTH) == response->text_bytes);
	FUZZ_REQUIRE((status != 0) == (step == ISCSI_LOGIN_FAILED));
	FUZZ_REQUIRE(status == 0 || status >> 8 == 2 || status >> 8 == 3);
	FUZZ_REQUIRE(!((flags & ISCSI_TRANSIT) && ((flags & ISCSI_CONTINUE) || status != 0)));
}

static void check_session(const struct exchange *exchange)
{
	const struct iscsi_login_result *result = iscsi_login_result(exchange->login);
	const struct iscsi_parameters *now = &result->parameters;

	FUZZ_REQUIRE(result->initiator_name[0] != '\0');
	FUZZ_REQUIRE(exchange->proven || !target.authentication.required);
	FUZZ_REQUIRE(now->initiator_max_recv_data_segment_length >= 512);
	FUZZ_REQUIRE(now->max_connections == 1 && now->error_recovery_level == 0);
	if (result->discovery)
		return;
	FUZZ_REQUIRE(result->target == &target && result->port == &port && result->lun_map == &luns);
	FUZZ_REQUIRE(!target.restricted || strncmp(result->initiator_name, "iqn.", 4) == 0);
	FUZZ_REQUIRE(now->first_burst_length <= now->max_burst_length);
	FUZZ_REQUIRE(now->max_burst_length >= 512);
	FUZZ_REQUIRE(now->max_outstanding_r2t >= 1 && now->max_outstanding_r2t <= 8);
	FUZZ_REQUIRE(target.parameters.immediate_data || !now->immediate_data);
	FUZZ_REQUIRE((target.parameters.header_digests & ISCSI_DIGEST_NONE) || now->header_digest);
	FUZZ_REQUIRE(now->initial_r2t || now->first_burst_length <= target.parameters.first_burst_length);
}

static void end(struct exchange *exchange, uint8_t choices)
{
	check_session(exchange);
	if (choices & REFUSE) {
		iscsi_login_refuse(exchange->login, ISCSI_LOGIN_SESSION_DOES_NOT_EXIST, &exchange->response);
		check_response(&exchange->response, ISCSI_LOGIN_FAILED);
		return;
	}
	iscsi_login_accept(exchange->login, 1, &exchange->response);
	check_response(&exchange->response, ISCSI_LOGIN_WANTS_SESSION);
	FUZZ_REQUIRE(exchange->response.bhs[ISCSI_AT_FLAGS] & ISCSI_TRANSIT);
}

/* Bytes that are left of the input. */
struct input {
	const uint8_t *next;
	size_t left;
};

static uint8_t take_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->next++;
}

/* false: the login is over. */
static bool send_request(struct exchange *exchange, struct input *input)
{
	uint8_t bhs[ISCSI_BHS_BYTES] = {ISCSI_IMMEDIATE | ISCSI_LOGIN_REQUEST}, choices = take_byte(input);
	uint8_t *data = malloc(ISCSI_LOGIN_DATA_SEGMENT_BYTES);
	enum iscsi_login_step step;
	size_t length, before = 0;

	bhs[ISCSI_AT_FLAGS] = take_byte(input);
	length = (size_t)take_byte(input) << 8;
	length |= take_byte(input);
	if (choices & DAMAGE) {
		uint8_t offset = take_byte(input);

		bhs[offset % ISCSI_BHS_BYTES] ^= take_byte(input);
	}
	if (choices & PROVE)
		before = prove(exchange, (char *)data);
	if (length > input->left)
		length = input->left;
	if (length > ISCSI_LOGIN_DATA_SEGMENT_BYTES - before)
		length = ISCSI_LOGIN_DATA_SEGMENT_BYTES - before;
	memcpy(data + before, input->next, length);
	input->next += length;
	input->left -= length;
	data = realloc(data, before + length + 1);
	step = iscsi_login_request(exchange->login, bhs, data, (uint32_t)(before + length), &exchange->response);
	free(data);
	if (step == ISCSI_LOGIN_WANTS_SESSION)
		end(exchange, choices);
	else
		check_response(&exchange->response, step);
	return step == ISCSI_LOGIN_CONTINUES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iscsi_login_context context = {.directory = &directory, .portal_group_tag = 1, .peer = "192.0.2.7:1"};
	struct input input = {.next = data, .left = size};
	struct exchange exchange = {0};

	configure(take_byte(&input));
	exchange.login = iscsi_login_create(&context);
	FUZZ_REQUIRE(exchange.login);
	while (input.left > 0 && send_request(&exchange, &input))
		continue;
	iscsi_login_free(exchange.login);
	return 0;
}
