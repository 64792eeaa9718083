/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* The 16-byte form of the host, IPv4 mapped into IPv6. */
static void host_of(const struct sockaddr_storage *address, struct in6_addr *host)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memset(host, 0, sizeof *host);
	if (address->ss_family == AF_INET6) {
		*host = ((const struct sockaddr_in6 *)address)->sin6_addr;
	} else if (address->ss_family == AF_INET) {
		memcpy(host->s6_addr, mapped, sizeof mapped);
		memcpy(host->s6_addr + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
	}
}

void iscsi_address_format(const struct sockaddr_storage *address, char *text, size_t size)
{
	char host_text[INET6_ADDRSTRLEN] = "?";
	struct in6_addr host;
	unsigned port = address->ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)address)->sin6_port)
						       : ntohs(((const struct sockaddr_in *)address)->sin_port);

	host_of(address, &host);
	if (IN6_IS_ADDR_V4MAPPED(&host)) {
		inet_ntop(AF_INET, host.s6_addr + 12, host_text, sizeof host_text);
		snprintf(text, size, "%s:%u", host_text, port);
	} else {
		inet_ntop(AF_INET6, &host, host_text, sizeof host_text);
		snprintf(text, size, "[%s]:%u", host_text, port);
	}
}

bool iscsi_address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct in6_addr host_a, host_b;

	host_of(a, &host_a);
	host_of(b, &host_b);
	return memcmp(&host_a, &host_b, sizeof host_a) == 0;
}
