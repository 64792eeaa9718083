/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/config/capture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void report(void *context, const char *line)
{
	struct capture *capture = context;
	size_t used = strlen(capture->lines), cut = strlen(capture->file);

	if (!strncmp(line, capture->file, cut))
		line += cut;
	snprintf(capture->lines + used, sizeof(capture->lines) - used, "%s\n", line);
}

void capture_init(struct capture *capture)
{
	memset(capture, 0, sizeof(*capture));
	capture->problems.report = report;
	capture->problems.context = capture;
	conf_init(&capture->configuration);
}

void capture_read(struct capture *capture, const char *text)
{
	int fd;

	capture_init(capture);
	snprintf(capture->file, sizeof(capture->file), "/tmp/tgtkit-config-XXXXXX");
	fd = mkstemp(capture->file);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	conf_read_file(capture->file, &capture->configuration, &capture->problems);
	unlink(capture->file);
}

void capture_read_target(struct capture *capture, const char *target_keys)
{
	char text[4096];

	ck_assert_int_lt(snprintf(text, sizeof(text),
				  "targets = (\n{ name = \"iqn.2026-11.org.example:a\";\n%s\n} );\n", target_keys),
			 (int)sizeof(text));
	capture_read(capture, text);
}

void capture_read_lun(struct capture *capture, const char *lun_keys)
{
	char text[4096];

	ck_assert_int_lt(snprintf(text, sizeof(text), "luns = ( { lun = 0; path = \"/a\";\n%s\n} );", lun_keys),
			 (int)sizeof(text));
	capture_read_target(capture, text);
}

void capture_free(struct capture *capture)
{
	target_configuration_free(&capture->configuration);
}
