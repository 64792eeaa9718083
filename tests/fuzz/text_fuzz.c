/* SPDX-License-Identifier: Apache-2.0
 *
 * Text requests in the full feature phase, and every reader of values and names.
 *
 * Input: one byte of choices, then the text.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "iscsi/text.h"
#include "iscsi/text_parse.h"
#include "rt/log.h"

#define TARGET_NAME "iqn.2026-11.org.example:disk1"

enum { NORMAL_SESSION = 1, RESTRICTED = 2, IPV6 = 4 };

static struct scsi_lun_map luns = {.references = 1};
static const struct iscsi_target_port port = {.tag = 1, .relative_target_port_id = 1};
static struct iscsi_access_rule rule = {.initiator = "iqn.*:host?", .lun_map = &luns};
static struct iscsi_target target = {.name = TARGET_NAME,
				     .alias = "",
				     .ports = &port,
				     .port_count = 1,
				     .lun_map = &luns,
				     .rules = &rule,
				     .rule_count = 1};
static struct iscsi_portal portals[2] = {{.advertise = NULL}, {.advertise = "203.0.113.5:3260"}};
static const struct iscsi_portal_group group = {.tag = 1, .portals = portals, .portal_count = 2};
static struct iscsi_directory directory = {
    .references = 1, .targets = &target, .target_count = 1, .groups = &group, .group_count = 1};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	rt_log_set_level(RT_LOG_ERROR);
	return 0;
}

static void answer(uint8_t choices, const char *text, size_t length)
{
	struct sockaddr_storage local = {.ss_family = choices & IPV6 ? AF_INET6 : AF_INET};
	struct iscsi_parameters parameters;
	struct iscsi_text response = {0};
	struct iscsi_text_context context = {
	    .directory = &directory,
	    .initiator_name = "iqn.1993-08.org.debian:host1",
	    .target = choices & NORMAL_SESSION ? &target : NULL,
	    .local_address = &local,
	    .parameters = &parameters,
	};
	int result;

	iscsi_parameters_set_defaults(&parameters);
	portals[0].address.ss_family = local.ss_family;
	target.restricted = (choices & RESTRICTED) != 0;
	result = iscsi_text_answer(&context, text, length, &response);
	FUZZ_REQUIRE(result == 0 || result == -EPROTO);
	FUZZ_REQUIRE(result != 0 || iscsi_text_check(response.bytes ? response.bytes : "", response.length) != -EPROTO);
	FUZZ_REQUIRE(parameters.initiator_max_recv_data_segment_length >= 512);
	FUZZ_REQUIRE(parameters.initiator_max_recv_data_segment_length < 1u << 24);
	iscsi_text_free(&response);
}

/* What decodes is what encodes back to the same bytes. */
static void read_binary(const char *value, size_t capacity)
{
	uint8_t bytes[256], again[256];
	char encoded[2 * sizeof bytes + 3];
	int length = iscsi_value_binary(value, bytes, capacity);

	FUZZ_REQUIRE(length <= (int)capacity);
	if (length <= 0)
		return;
	iscsi_value_put_binary(encoded, bytes, (size_t)length);
	FUZZ_REQUIRE(iscsi_value_binary(encoded, again, sizeof again) == length);
	FUZZ_REQUIRE(memcmp(bytes, again, (size_t)length) == 0);
}

static void read_values(const char *value, size_t capacity)
{
	static const char *const acceptable[] = {"None", "CRC32C", NULL};
	struct iscsi_address_range range;
	uint64_t number;
	bool boolean;
	char *copy;

	(void)iscsi_value_number(value, &number);
	(void)iscsi_value_boolean(value, &boolean);
	(void)iscsi_value_is_list(value);
	(void)iscsi_value_choose(value, acceptable);
	(void)iscsi_name_matches(value, TARGET_NAME);
	(void)iscsi_address_range_parse(value, &range);
	FUZZ_REQUIRE(iscsi_name_matches("*", value));
	FUZZ_REQUIRE(!iscsi_name_is_valid(value) || iscsi_name_is_presentable(value));
	read_binary(value, capacity);
	copy = strdup(value);
	iscsi_name_normalise(copy);
	FUZZ_REQUIRE(!iscsi_name_is_valid(value) || strcmp(copy, value) == 0);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iscsi_text_reader reader;
	struct iscsi_text_pair pair;

	if (size == 0)
		return 0;
	answer(data[0], (const char *)data + 1, size - 1);
	reader = (struct iscsi_text_reader){.next = (const char *)data + 1, .end = (const char *)data + size};
	while (iscsi_text_read(&reader, &pair) > 0)
		read_values(pair.value, data[0]);
	return 0;
}
