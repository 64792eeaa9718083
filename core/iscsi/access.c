/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may use a target: patterns of names, ranges of addresses, and the rules made of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iscsi/directory.h"

static char folded(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Goes back to the newest asterisk only: an earlier one could not match more. */
bool iscsi_name_matches(const char *pattern, const char *name)
{
	const char *after_asterisk = NULL, *retry = NULL;

	while (*name) {
		if (*pattern == '*') {
			after_asterisk = ++pattern;
			retry = name;
		} else if (*pattern && (*pattern == '?' || folded(*pattern) == folded(*name))) {
			pattern++;
			name++;
		} else if (after_asterisk) {
			pattern = after_asterisk;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* IPv4 in IPv6 counts as IPv4; 0: no Internet address. */
static int raw_address(const struct sockaddr_storage *address, uint8_t bytes[static 16])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->ss_family == AF_INET) {
		memcpy(&v4, address, sizeof v4);
		memcpy(bytes, &v4.sin_addr, 4);
		return AF_INET;
	}
	if (address->ss_family != AF_INET6)
		return 0;
	memcpy(&v6, address, sizeof v6);
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
		memcpy(bytes, v6.sin6_addr.s6_addr + 12, 4);
		return AF_INET;
	}
	memcpy(bytes, &v6.sin6_addr, 16);
	return AF_INET6;
}

static bool equal_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool iscsi_address_range_contains(const struct iscsi_address_range *range, const struct sockaddr_storage *address)
{
	uint8_t bytes[16] = {0};

	if (range->family == 0)
		return true;
	return address && raw_address(address, bytes) == range->family &&
	       equal_bits(range->bytes, bytes, range->prefix_bits);
}

/* One to three digits after the slash. */
static int parse_prefix(const char *text, unsigned most)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long bits;

	if (digits < 1 || digits > 3 || text[digits] != '\0')
		return -EINVAL;
	bits = strtoul(text, NULL, 10);
	return bits > most ? -EINVAL : (int)bits;
}

static bool has_bits_beyond(const struct iscsi_address_range *range)
{
	uint8_t masked[16] = {0};
	unsigned whole = range->prefix_bits / 8, rest = range->prefix_bits % 8;

	memcpy(masked, range->bytes, whole);
	if (rest)
		masked[whole] = (uint8_t)(range->bytes[whole] & 0xff00u >> rest);
	return memcmp(masked, range->bytes, sizeof masked) != 0;
}

int iscsi_address_range_parse(const char *text, struct iscsi_address_range *range)
{
	struct iscsi_address_range parsed = {.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	int bits = parsed.family == AF_INET ? 32 : 128;
	size_t length = strcspn(text, "/");
	char address[INET6_ADDRSTRLEN];

	if (length >= sizeof address)
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';
	if (inet_pton(parsed.family, address, parsed.bytes) != 1)
		return -EINVAL;
	if (text[length] == '/')
		bits = parse_prefix(text + length + 1, (unsigned)bits);
	if (bits < 0)
		return -EINVAL;
	parsed.prefix_bits = (uint8_t)bits;
	if (has_bits_beyond(&parsed))
		return -EINVAL;
	*range = parsed;
	return 0;
}

struct scsi_lun_map *iscsi_target_admit(const struct iscsi_target *target, const char *initiator_name,
					const struct sockaddr_storage *address)
{
	if (!target->restricted)
		return target->lun_map;
	for (size_t i = 0; i < target->rule_count; i++) {
		const struct iscsi_access_rule *rule = &target->rules[i];

		if ((!rule->initiator || iscsi_name_matches(rule->initiator, initiator_name)) &&
		    iscsi_address_range_contains(&rule->address, address))
			return rule->lun_map;
	}
	return NULL;
}
