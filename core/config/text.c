/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "rt/log.h"
#include "target/address.h"

const char *conf_check_log_level(const char *text)
{
	enum rt_log_level level;

	return rt_log_level_parse(text, &level) ? "must be error, warning, info or debug" : NULL;
}

const char *conf_check_target_name(const char *text)
{
	return iscsi_name_is_valid(text) ? NULL : "is no iSCSI name (iqn.YYYY-MM.REVERSED.DOMAIN:TEXT, eui. or naa.)";
}

const char *conf_check_alias(const char *text)
{
	return strlen(text) > 255 ? "is longer than 255 bytes" : NULL;
}

/* SPC-4 4.4.1: an ASCII data field holds graphic codes, padded with spaces. */
static const char *check_ascii(const char *text, size_t limit, const char *too_long)
{
	if (strlen(text) > limit)
		return too_long;
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			return "has a character that is not printable ASCII";
	return NULL;
}

const char *conf_check_serial(const char *text)
{
	return check_ascii(text, 36, "is longer than 36 characters");
}

const char *conf_check_vendor(const char *text)
{
	return check_ascii(text, 8, "is longer than 8 characters");
}

const char *conf_check_product(const char *text)
{
	return check_ascii(text, 16, "is longer than 16 characters");
}

/* RFC 7143 12.1.3: a text value, which is 255 bytes at most. */
const char *conf_check_chap_name(const char *text)
{
	if (!*text)
		return "is empty";
	return strlen(text) > 255 ? "is longer than 255 bytes" : NULL;
}

const char *conf_check_not_empty(const char *text)
{
	return *text ? NULL : "is empty";
}

const char *conf_check_socket(const char *text)
{
	if (*text && *text != '/')
		return "is no absolute path";
	return strlen(text) < sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof(".new")
		   ? NULL
		   : "is longer than a socket's path may be (about 100 bytes)";
}

const char *conf_check_portal(const char *text)
{
	struct sockaddr_storage address;

	return target_address_parse(text, &address) ? "is no numeric address with or without a port "
						      "(10.0.0.1:3260, [2001:db8::1]:3260)"
						    : NULL;
}

const char *conf_check_advertise(const char *text)
{
	char normal[300];

	return target_advertised_parse(text, normal, sizeof(normal))
		   ? "is no address or host name with or without a port"
		   : NULL;
}

static uint8_t digest_bit(const char *name, size_t length)
{
	if (length == 4 && !strncasecmp(name, "none", 4))
		return ISCSI_DIGEST_NONE;
	if (length == 6 && !strncasecmp(name, "crc32c", 6))
		return ISCSI_DIGEST_CRC32C;
	return 0;
}

int conf_parse_digests(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES])
{
	uint8_t accepted = 0, first = 0;

	for (const char *rest = text; rest; rest = strchr(rest, ',') ? strchr(rest, ',') + 1 : NULL) {
		uint8_t bit;

		rest += strspn(rest, " ");
		bit = digest_bit(rest, strcspn(rest, " ,"));
		if (!bit || (accepted & bit)) {
			snprintf(error, CONF_ERROR_BYTES,
				 "\"%.64s\": must be none, crc32c, or both with the preferred one first", text);
			return -EINVAL;
		}
		first = first ? first : bit;
		accepted |= bit;
	}
	*((uint8_t *)object + key->offset) = accepted;
	*(bool *)((char *)object + key->second_offset) = first == ISCSI_DIGEST_CRC32C;
	return 0;
}

/* SPC-5 5.18.2.4. */
static const struct {
	const char *name;
	enum scsi_port_group_state state;
} alua_states[] = {
    {"active/optimized", SCSI_PORT_GROUP_OPTIMIZED},
    {"active/non-optimized", SCSI_PORT_GROUP_NON_OPTIMIZED},
    {"standby", SCSI_PORT_GROUP_STANDBY},
    {"unavailable", SCSI_PORT_GROUP_UNAVAILABLE},
    {"transitioning", SCSI_PORT_GROUP_TRANSITIONING},
};

int conf_parse_alua_state(const struct conf_key *key, void *object, const char *text,
			  char error[static CONF_ERROR_BYTES])
{
	for (size_t i = 0; i < sizeof(alua_states) / sizeof(*alua_states); i++)
		if (!strcmp(alua_states[i].name, text)) {
			*(enum scsi_port_group_state *)((char *)object + key->offset) = alua_states[i].state;
			return 0;
		}
	snprintf(error, CONF_ERROR_BYTES,
		 "\"%.64s\": must be active/optimized, active/non-optimized, standby, unavailable or transitioning", text);
	return -EINVAL;
}

const char *conf_alua_state_name(enum scsi_port_group_state state)
{
	size_t i = 0;

	while (alua_states[i].state != state)
		i++;
	return alua_states[i].name;
}

int conf_parse_mode(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES])
{
	uint32_t mode = 0;

	for (const char *digit = text; *digit; digit++) {
		if (*digit < '0' || *digit > '7' || digit - text >= 4) {
			snprintf(error, CONF_ERROR_BYTES, "\"%.64s\": must be permissions in octal, like \"0660\"",
				 text);
			return -EINVAL;
		}
		mode = mode << 3 | (uint32_t)(*digit - '0');
	}
	if (!mode || mode > 0777) {
		snprintf(error, CONF_ERROR_BYTES, "\"%.64s\": must be permissions from 0001 to 0777", text);
		return -EINVAL;
	}
	*(uint32_t *)((char *)object + key->offset) = mode;
	return 0;
}

void conf_format_mode(const struct conf_key *key, const void *object, char text[static CONF_ERROR_BYTES])
{
	snprintf(text, CONF_ERROR_BYTES, "%04o", *(const uint32_t *)((const char *)object + key->offset));
}
