/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/iscsi/fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/text_parse.h"
#include "rt/log.h"

const struct iscsi_target_parameters fixture_parameters = {
    .immediate_data = true,
    .header_digests = ISCSI_DIGEST_NONE | ISCSI_DIGEST_CRC32C,
    .data_digests = ISCSI_DIGEST_NONE | ISCSI_DIGEST_CRC32C,
    .max_recv_data_segment_length = 262144,
    .max_burst_length = (1u << 24) - 1,
    .first_burst_length = 65536,
    .max_outstanding_r2t = 8,
    .max_queued_commands = 128,
};

static const struct iscsi_target_port port_of_group_1[] = {{.tag = 1, .relative_target_port_id = 1}};
static const struct iscsi_target_port port_of_group_2[] = {{.tag = 2, .relative_target_port_id = 2}};
static struct iscsi_portal_group groups[2];
static struct scsi_lun_map no_luns = {.references = 1};

struct iscsi_target fixture_targets[2];
struct iscsi_portal fixture_portals[2];
struct iscsi_directory fixture_directory;
struct iscsi_login *fixture_login;
struct iscsi_login_response fixture_response;

struct sockaddr_storage fixture_address(const char *host, uint16_t port)
{
	struct sockaddr_storage address = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;

	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return address;
	}
	ck_assert_int_eq(inet_pton(AF_INET6, host, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return address;
}

void fixture_setup(void)
{
	rt_log_set_level(RT_LOG_ERROR); /* refusals are what many tests are about */
	fixture_targets[0] = (struct iscsi_target){.name = FIXTURE_TARGET,
						   .alias = "first",
						   .ports = port_of_group_1,
						   .port_count = 1,
						   .parameters = fixture_parameters,
						   .lun_map = &no_luns};
	fixture_targets[1] = (struct iscsi_target){.name = FIXTURE_OTHER,
						   .alias = "",
						   .ports = port_of_group_2,
						   .port_count = 1,
						   .parameters = fixture_parameters,
						   .lun_map = &no_luns};
	fixture_portals[0] = (struct iscsi_portal){.address = fixture_address("192.0.2.1", 3260)};
	fixture_portals[1] = (struct iscsi_portal){.address = fixture_address("2001:db8::2", 3261)};
	groups[0] = (struct iscsi_portal_group){.tag = 1, .portals = &fixture_portals[0], .portal_count = 1};
	groups[1] = (struct iscsi_portal_group){.tag = 2, .portals = &fixture_portals[1], .portal_count = 1};
	fixture_directory = (struct iscsi_directory){
	    .references = 1, .targets = fixture_targets, .target_count = 2, .groups = groups, .group_count = 2};
	login_restart();
}

void fixture_teardown(void)
{
	iscsi_login_free(fixture_login);
	fixture_login = NULL;
	rt_log_set_level(RT_LOG_INFO);
}

void login_restart(void)
{
	static struct sockaddr_storage peer_address;
	struct iscsi_login_context context = {
	    .directory = &fixture_directory,
	    .portal_group_tag = 1,
	    .peer = "192.0.2.7:51234",
	    .peer_address = &peer_address,
	};

	peer_address = fixture_address("192.0.2.7", 51234);
	iscsi_login_free(fixture_login);
	fixture_login = iscsi_login_create(&context);
	ck_assert_ptr_nonnull(fixture_login);
}

void login_make_header(uint8_t bhs[static ISCSI_BHS_BYTES], int current_stage, int next_stage)
{
	static const uint8_t isid[] = {0x00, 0x02, 0x3d, 0x00, 0x00, 0x01};

	memset(bhs, 0, ISCSI_BHS_BYTES);
	bhs[0] = ISCSI_IMMEDIATE | ISCSI_LOGIN_REQUEST;
	bhs[ISCSI_AT_FLAGS] = (uint8_t)(current_stage << 2);
	if (next_stage != STAY)
		bhs[ISCSI_AT_FLAGS] |= (uint8_t)(ISCSI_TRANSIT | next_stage);
	memcpy(bhs + ISCSI_AT_ISID, isid, sizeof isid);
	rt_put_be32(bhs + ISCSI_AT_INITIATOR_TASK_TAG, 0x01020304);
}

/* A copy of exactly that size, so that the sanitizer sees a read beyond it. */
enum iscsi_login_step login_send_bytes(const uint8_t *bhs, const void *data, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	enum iscsi_login_step step;

	if (length)
		memcpy(copy, data, length);
	memset(&fixture_response, 0xee, sizeof fixture_response);
	step = iscsi_login_request(fixture_login, bhs, copy, (uint32_t)length, &fixture_response);
	free(copy);
	return step;
}

static enum iscsi_login_step send_lines(const uint8_t *bhs, const char *text, bool ends)
{
	size_t length = strlen(text);
	char *bytes = strdup(text);
	enum iscsi_login_step step;

	for (char *p = bytes; *p;) {
		p += strcspn(p, "\n");
		if (*p)
			*p++ = '\0';
	}
	step = login_send_bytes(bhs, bytes, length + (ends && length > 0));
	free(bytes);
	return step;
}

enum iscsi_login_step login_send(int current_stage, int next_stage, const char *text)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, current_stage, next_stage);
	return send_lines(bhs, text, true);
}

enum iscsi_login_step login_send_part(int current_stage, const char *text)
{
	uint8_t bhs[ISCSI_BHS_BYTES];

	login_make_header(bhs, current_stage, STAY);
	bhs[ISCSI_AT_FLAGS] |= ISCSI_CONTINUE;
	return send_lines(bhs, text, false);
}

int login_status(void)
{
	return rt_get_be16(fixture_response.bhs + ISCSI_AT_STATUS_CLASS);
}

bool login_is_granted(int next_stage)
{
	uint8_t flags = fixture_response.bhs[ISCSI_AT_FLAGS];

	return login_status() == 0 && (flags & ISCSI_TRANSIT) && (flags & 3) == next_stage;
}

const char *login_answer(const char *key)
{
	struct iscsi_text_reader reader = {.next = (const char *)fixture_response.text};
	static struct iscsi_text_pair pair;

	reader.end = reader.next + fixture_response.text_bytes;
	while (iscsi_text_read(&reader, &pair) > 0) {
		if (strcmp(pair.key, key) == 0)
			return pair.value;
	}
	return NULL;
}

unsigned login_answer_count(void)
{
	struct iscsi_text_reader reader = {.next = (const char *)fixture_response.text};
	struct iscsi_text_pair pair;

	reader.end = reader.next + fixture_response.text_bytes;
	while (iscsi_text_read(&reader, &pair) > 0)
		continue;
	return reader.count;
}

const struct iscsi_parameters *login_outcome(void)
{
	iscsi_login_accept(fixture_login, 7, &fixture_response);
	ck_assert(login_is_granted(FULL_FEATURE));
	return &iscsi_login_result(fixture_login)->parameters;
}

enum iscsi_login_step login_at_once(const char *text)
{
	char all[ISCSI_LOGIN_TEXT_BYTES];
	int length = snprintf(all, sizeof all, "InitiatorName=%s\nTargetName=%s%s%s", FIXTURE_INITIATOR, FIXTURE_TARGET,
			      *text ? "\n" : "", text);

	ck_assert_int_lt(length, sizeof all);
	return login_send(OPERATIONAL, FULL_FEATURE, all);
}
