/* SPDX-License-Identifier: Apache-2.0
 *
 * The host, and one line of log.  Without a host (in tgtkit-s3) lines go to standard error.
 */
#ifndef TGTKIT_S3_LOG_H
#define TGTKIT_S3_LOG_H

#include <tgtkit/plugin.h>

extern const struct tgtkit_host *s3_host;

void s3_log(struct tgtkit_unit *unit, int level, const char *format, ...) TGTKIT_PRINTF(3, 4);

#endif
