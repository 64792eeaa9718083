/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors of the system as the plugin ABI wants them.
 */
#ifndef TGTKIT_PLUGINS_POSIX_ERROR_H
#define TGTKIT_PLUGINS_POSIX_ERROR_H

#include <tgtkit/plugin.h>

/* Fills `error`, whose text may use %m for `errno_value`, and returns -errno_value. */
int posix_error(struct tgtkit_error *error, int errno_value, const char *format, ...) TGTKIT_PRINTF(3, 4);

/* The status of an I/O that failed with `errno_value`: what Linux's file systems and block layer mean by it, in the
 * terms of plugin.h.  Never 0, nor -EAGAIN. */
int posix_io_status(int errno_value);

#endif
