/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs of tgtkit-s3 share.
 */
#ifndef TGTKIT_S3_TOOL_H
#define TGTKIT_S3_TOOL_H

#include "../volume.h"

#define EXIT_USAGE	  2
#define TOOL_OPTION_LIMIT 32

struct tool {
	const char *path;
	bool clean, is_quiet;
	struct tgtkit_value values[TOOL_OPTION_LIMIT];
	size_t value_count;
	char *strings[TOOL_OPTION_LIMIT]; /* to be freed */

	struct s3_volume *volume;
	struct s3_session session;
};

/* The values of the plugin's options. */
void tool_defaults(struct tool *tool);
int tool_set(struct tool *tool, const char *key, const char *value);
void tool_free(struct tool *tool);
/* Connects to `path`.  0, or EXIT_FAILURE after a line on standard error. */
int tool_connect(struct tool *tool, const char *path);
int tool_fail(const struct tgtkit_error *error);
/* On standard error, if that is a terminal. */
void tool_progress(const struct tool *tool, const char *what, uint64_t done, uint64_t total);

/* The verbs: an exit status. */
int tool_list(struct tool *tool);
int tool_check(struct tool *tool);
int tool_convert(struct tool *tool);

#endif
