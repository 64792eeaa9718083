/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of single values: NULL, or what is wrong with the text.
 */
#ifndef TGTKIT_CONFIG_TEXT_H
#define TGTKIT_CONFIG_TEXT_H

#include "config/keys.h"

const char *conf_check_log_level(const char *text);
const char *conf_check_target_name(const char *text);
const char *conf_check_alias(const char *text);
const char *conf_check_serial(const char *text);
const char *conf_check_vendor(const char *text);
const char *conf_check_product(const char *text);
const char *conf_check_chap_name(const char *text);
const char *conf_check_not_empty(const char *text);
const char *conf_check_socket(const char *text);
const char *conf_check_portal(const char *text);
const char *conf_check_advertise(const char *text);

/* "none,crc32c": what is acceptable, the preferred one first (RFC 7143 13.1). */
int conf_parse_digests(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES]);

/* "0660": permissions in octal. */
int conf_parse_mode(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES]);
void conf_format_mode(const struct conf_key *key, const void *object, char text[static CONF_ERROR_BYTES]);

/* The name of an enum scsi_port_group_state: "active/optimized", "active/non-optimized", ... */
int conf_parse_alua_state(const struct conf_key *key, void *object, const char *text,
			  char error[static CONF_ERROR_BYTES]);
const char *conf_alua_state_name(enum scsi_port_group_state state);

/* "none" or "chap"; "any" or "list": a bool. */
int conf_parse_auth(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES]);
int conf_parse_access(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES]);
/* "sha3-256,md5" into struct authentication_spec. */
int conf_parse_chap_algorithms(const struct conf_key *key, void *object, const char *text,
			       char error[static CONF_ERROR_BYTES]);
/* An address or a range of them; "": any. */
int conf_parse_address_range(const struct conf_key *key, void *object, const char *text,
			     char error[static CONF_ERROR_BYTES]);

#endif
