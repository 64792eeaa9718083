/* SPDX-License-Identifier: Apache-2.0
 *
 * The Unix socket that the API listens on.
 */
#ifndef TGTKIT_MGMT_SOCKET_H
#define TGTKIT_MGMT_SOCKET_H

#include <stdint.h>

#define MGMT_ERROR_BYTES 512

/* Start-up (blocks).  Makes the folder if only its last part is missing; takes the place of a socket that nobody
 * listens on any more.  A descriptor, or negative errno with `error`. */
int mgmt_socket_open(const char *path, uint32_t mode, char error[static MGMT_ERROR_BYTES]);
void mgmt_socket_close(int fd, const char *path);

#endif
