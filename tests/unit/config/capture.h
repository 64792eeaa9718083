/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration read from text, and what was said about it.
 */
#ifndef TGTKIT_TESTS_UNIT_CONFIG_CAPTURE_H
#define TGTKIT_TESTS_UNIT_CONFIG_CAPTURE_H

#include "config/load.h"

struct capture {
	struct target_configuration configuration;
	struct spec_problems problems;
	char file[64];	   /* holds the text */
	char lines[16384]; /* of the problems, each with a newline and with the file's name cut off */
};

void capture_init(struct capture *capture);
void capture_read(struct capture *capture, const char *text);
void capture_free(struct capture *capture);

/* The file that is read before each test, as it is short and used everywhere: one target with one LUN, with
 * `target_keys` and `lun_keys` in it. */
void capture_read_lun(struct capture *capture, const char *lun_keys);
void capture_read_target(struct capture *capture, const char *target_keys);

#endif
