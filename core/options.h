/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkitd's command line.
 */
#ifndef TGTKIT_OPTIONS_H
#define TGTKIT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum { EXIT_USAGE = 2, EXIT_LOSS = 3 };

struct tgtkitd_options {
	const char *config_file; /* NULL with paths */
	bool foreground, check;
	const char *check_plugin; /* NULL: not asked for */
	const char **settings; /* of --set and --log-level, in order */
	size_t setting_count;
	const char **listen;
	size_t listen_count;
	const char *target;
	const char **paths;
	size_t path_count;
};

/* Strings point into argv.  Ends the process after --help, --version (0) and on a mistake (EXIT_USAGE). */
void tgtkitd_options_parse(int argc, char **argv, struct tgtkitd_options *options);
void tgtkitd_options_free(struct tgtkitd_options *options);

#endif
