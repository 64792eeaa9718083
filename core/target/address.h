/* SPDX-License-Identifier: Apache-2.0
 *
 * Portal addresses as people write them: "10.0.0.1", "10.0.0.1:3260", "[fe80::1%eth0]:3260", "::1".
 */
#ifndef TGTKIT_TARGET_ADDRESS_H
#define TGTKIT_TARGET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#define TARGET_ADDRESS_BYTES 80u
#define TARGET_DEFAULT_PORT  "3260" /* RFC 7143 14: the well-known port */

/* Numeric addresses only, so that a name server can neither delay nor change what is listened on.  0 or -EINVAL. */
int target_address_parse(const char *text, struct sockaddr_storage *address);
/* "10.0.0.1:3260" or "[::1]:3260". */
void target_address_format(const struct sockaddr_storage *address, char text[static TARGET_ADDRESS_BYTES]);
bool target_address_equal(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
socklen_t target_address_length(const struct sockaddr_storage *address);

/* What SendTargets may tell initiators: a numeric address or a DNS name, with or without a port.  Writes it with a
 * port (RFC 7143 13.8).  0 or -EINVAL. */
int target_advertised_parse(const char *text, char *normal, size_t size);

#endif
