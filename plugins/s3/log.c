/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdarg.h>
#include <stdio.h>

#include "log.h"

const struct tgtkit_host *s3_host;

void s3_log(struct tgtkit_unit *unit, int level, const char *format, ...)
{
	char line[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (s3_host != NULL)
		s3_host->log(unit, level, "%s", line);
	else if (level <= TGTKIT_LOG_WARNING)
		fprintf(stderr, "tgtkit-s3: %s\n", line);
}
