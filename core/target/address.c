/* SPDX-License-Identifier: Apache-2.0 */
#include "target/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Splits "HOST[:PORT]" with HOST perhaps in brackets.  A text with several colons and no bracket is all host. */
static int split(const char *text, char *host, size_t host_size, const char **port)
{
	const char *end, *colon = strchr(text, ':');
	size_t length;

	if (*text == '[') {
		end = strchr(text++, ']');
		if (!end || (end[1] != '\0' && end[1] != ':'))
			return -EINVAL;
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
	} else {
		end = text + strlen(text);
		colon = NULL;
	}
	length = (size_t)(end - text);
	if (length == 0 || length >= host_size)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	*port = colon ? colon + 1 : TARGET_DEFAULT_PORT;
	return 0;
}

static bool port_is_valid(const char *port)
{
	size_t length = strlen(port);

	return length > 0 && length <= 5 && strspn(port, "0123456789") == length && atoi(port) <= 65535;
}

/* getaddrinfo also takes IPv4 addresses in short forms ("3260" is 0.0.12.188): nobody means those. */
static bool is_short_ipv4(const char *host)
{
	struct in_addr address;

	return !strchr(host, ':') && inet_pton(AF_INET, host, &address) != 1;
}

int target_address_parse(const char *text, struct sockaddr_storage *address)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	const char *port;
	char host[256];

	if (split(text, host, sizeof(host), &port) || !port_is_valid(port) || is_short_ipv4(host) ||
	    getaddrinfo(host, port, &hints, &found))
		return -EINVAL;
	memset(address, 0, sizeof(*address));
	memcpy(address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

socklen_t target_address_length(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

void target_address_format(const struct sockaddr_storage *address, char text[static TARGET_ADDRESS_BYTES])
{
	char host[64], port[8];

	if (getnameinfo((const struct sockaddr *)address, target_address_length(address), host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV)) {
		snprintf(text, TARGET_ADDRESS_BYTES, "unknown address");
		return;
	}
	snprintf(text, TARGET_ADDRESS_BYTES, address->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

bool target_address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
	       !memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

static bool is_dns_name(const char *host)
{
	for (const char *c = host; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
			return false;
	return *host != '-' && *host != '.';
}

int target_advertised_parse(const char *text, char *normal, size_t size)
{
	struct sockaddr_storage address;
	char formatted[TARGET_ADDRESS_BYTES], host[256];
	const char *port;

	if (!target_address_parse(text, &address)) {
		target_address_format(&address, formatted);
		snprintf(normal, size, "%s", formatted);
		return 0;
	}
	if (split(text, host, sizeof(host), &port) || !port_is_valid(port) || !is_dns_name(host))
		return -EINVAL;
	snprintf(normal, size, "%s:%s", host, port);
	return 0;
}
