/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"

static bool is_bucket(const char *name)
{
	const size_t length = strlen(name);

	if (length < 3 || length > 63)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == length &&
	       name[0] != '.' && name[0] != '-';
}

static char *joined(const char *first, const char *second, const char *third)
{
	struct s3_text text = {0};

	s3_text_add(&text, first);
	s3_text_add(&text, second);
	s3_text_add(&text, third);
	if (text.failed)
		s3_text_free(&text);
	return text.data;
}

static int take_path(const char *path, struct s3_address *address, const char **reason)
{
	const char *slash = strchr(path, '/');
	const char *prefix = slash == NULL ? "" : slash + 1;
	size_t length;

	address->bucket = slash == NULL ? strdup(path) : strndup(path, (size_t)(slash - path));
	if (address->bucket == NULL)
		return -ENOMEM;
	if (!is_bucket(address->bucket)) {
		*reason = "the path must be BUCKET/PREFIX, with a bucket of 3 to 63 letters, digits, '.', '-' or '_'";
		return -EINVAL;
	}
	length = strlen(prefix);
	while (length > 0 && prefix[length - 1] == '/')
		length--;
	address->prefix = strndup(prefix, length);
	if (address->prefix != NULL && length > 0) {
		char *with_slash = joined(address->prefix, "/", "");

		free(address->prefix);
		address->prefix = with_slash;
	}
	if (address->prefix == NULL)
		return -ENOMEM;
	if (length > 900 || prefix[0] == '/' || strstr(address->prefix, "//") != NULL ||
	    strcspn(prefix, "\r\n\t") != strlen(prefix)) {
		*reason = "the prefix must be at most 900 characters, without empty parts or control characters";
		return -EINVAL;
	}
	return 0;
}

static int take_endpoint(const char *endpoint, struct s3_address *address, const char **reason)
{
	const char *authority;
	size_t length;
	char *host;

	address->is_tls = strncmp(endpoint, "https://", 8) == 0;
	if (!address->is_tls && strncmp(endpoint, "http://", 7) != 0) {
		*reason = "endpoint must start with http:// or https://";
		return -EINVAL;
	}
	authority = endpoint + (address->is_tls ? 8 : 7);
	length = strcspn(authority, "/?#@ ");
	if (length == 0 || (authority[length] != '\0' && strcmp(authority + length, "/") != 0)) {
		*reason = "endpoint must be a scheme, a host and perhaps a port, as in https://s3.example.org:8443";
		return -EINVAL;
	}
	host = strndup(authority, length);
	if (host == NULL)
		return -ENOMEM;
	if (address->is_path_style) {
		address->host = host;
	} else {
		address->host = joined(address->bucket, ".", host);
		free(host);
	}
	if (address->host != NULL)
		address->origin = joined(address->is_tls ? "https://" : "http://", address->host, "");
	return address->origin == NULL ? -ENOMEM : 0;
}

int s3_address_parse(const char *path, const char *endpoint, const char *region, bool is_path_style,
		     struct s3_address *address, const char **reason)
{
	char *amazon = NULL;
	int status;

	*address = (struct s3_address){.is_path_style = is_path_style};
	*reason = "out of memory";
	if (endpoint == NULL)
		amazon = joined("https://s3.", region, ".amazonaws.com");
	status = endpoint == NULL && amazon == NULL ? -ENOMEM : take_path(path, address, reason);
	if (status == 0)
		status = take_endpoint(endpoint == NULL ? amazon : endpoint, address, reason);
	free(amazon);
	if (status != 0)
		s3_address_free(address);
	return status;
}

void s3_address_free(struct s3_address *address)
{
	free(address->origin);
	free(address->host);
	free(address->bucket);
	free(address->prefix);
	*address = (struct s3_address){0};
}

void s3_address_path(const struct s3_address *address, const char *key, struct s3_text *path)
{
	s3_text_add(path, "/");
	if (address->is_path_style) {
		s3_text_encode(path, address->bucket, false);
		if (key[0] != '\0')
			s3_text_add(path, "/");
	}
	s3_text_encode(path, key, true);
}

void s3_query_add(struct s3_text *query, const char *name, const char *value)
{
	if (query->length > 0)
		s3_text_add(query, "&");
	s3_text_encode(query, name, false);
	s3_text_add(query, "=");
	s3_text_encode(query, value, false);
}
