/* SPDX-License-Identifier: Apache-2.0
 *
 * Socket addresses as text.
 */
#ifndef TGTKIT_ISCSI_ADDRESS_H
#define TGTKIT_ISCSI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* "192.0.2.7:3260", "[2001:db8::1]:3260"; an IPv4 address mapped into IPv6 is written as IPv4.  64 bytes are enough. */
void iscsi_address_format(const struct sockaddr_storage *address, char *text, size_t size);
/* The host alone is the same, ports aside; mapped IPv4 equals IPv4. */
bool iscsi_address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);

#endif
