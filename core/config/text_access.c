/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of the keys that say who may log in.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/text.h"

static int parse_choice(const struct conf_key *key, void *object, const char *text, const char *const words[static 2],
			char error[static CONF_ERROR_BYTES])
{
	bool *to = (bool *)((char *)object + key->offset);

	if (strcmp(text, words[0]) && strcmp(text, words[1])) {
		snprintf(error, CONF_ERROR_BYTES, "\"%.64s\": must be %s or %s", text, words[0], words[1]);
		return -EINVAL;
	}
	*to = !strcmp(text, words[1]);
	return 0;
}

int conf_parse_auth(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES])
{
	static const char *const words[] = {"none", "chap"};

	return parse_choice(key, object, text, words, error);
}

int conf_parse_access(const struct conf_key *key, void *object, const char *text, char error[static CONF_ERROR_BYTES])
{
	static const char *const words[] = {"any", "list"};

	return parse_choice(key, object, text, words, error);
}

/* 0: no such algorithm. */
static enum iscsi_chap_algorithm algorithm_of(const char *name, size_t length)
{
	static const struct {
		const char *name;
		enum iscsi_chap_algorithm algorithm;
	} known[] = {
	    {"md5", ISCSI_CHAP_MD5},	   {"sha1", ISCSI_CHAP_SHA1},	   {"sha-1", ISCSI_CHAP_SHA1},
	    {"sha256", ISCSI_CHAP_SHA256}, {"sha-256", ISCSI_CHAP_SHA256}, {"sha3-256", ISCSI_CHAP_SHA3_256},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == length && !strncasecmp(known[i].name, name, length))
			return known[i].algorithm;
	return 0;
}

static bool has(const struct authentication_spec *authentication, enum iscsi_chap_algorithm algorithm)
{
	for (size_t i = 0; i < authentication->algorithm_count; i++)
		if (authentication->algorithms[i] == algorithm)
			return true;
	return false;
}

int conf_parse_chap_algorithms(const struct conf_key *key, void *object, const char *text,
			       char error[static CONF_ERROR_BYTES])
{
	struct authentication_spec *authentication = (void *)((char *)object + key->offset);

	authentication->algorithm_count = 0;
	for (const char *rest = *text ? text : NULL; rest; rest = strchr(rest, ',') ? strchr(rest, ',') + 1 : NULL) {
		enum iscsi_chap_algorithm algorithm;

		rest += strspn(rest, " ");
		algorithm = algorithm_of(rest, strcspn(rest, " ,"));
		if (!algorithm || has(authentication, algorithm)) {
			snprintf(error, CONF_ERROR_BYTES,
				 "\"%.64s\": must be of sha3-256, sha256, sha1 and md5, each once, the best first",
				 text);
			return -EINVAL;
		}
		authentication->algorithms[authentication->algorithm_count++] = algorithm;
	}
	return 0;
}

int conf_parse_address_range(const struct conf_key *key, void *object, const char *text,
			     char error[static CONF_ERROR_BYTES])
{
	struct iscsi_address_range *range = (void *)((char *)object + key->offset);

	*range = (struct iscsi_address_range){0};
	if (!*text || !iscsi_address_range_parse(text, range))
		return 0;
	snprintf(
	    error, CONF_ERROR_BYTES,
	    "\"%.64s\" is no address and no range of them: 10.0.0.1, 10.0.0.0/8, 2001:db8::/32, with no bit set after "
	    "the prefix",
	    text);
	return -EINVAL;
}
