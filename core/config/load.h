/* SPDX-License-Identifier: Apache-2.0
 *
 * The ways in which a configuration is given: a libconfig file, --set, or nothing but paths on the command line.
 */
#ifndef TGTKIT_CONFIG_LOAD_H
#define TGTKIT_CONFIG_LOAD_H

#include "target/spec.h"

/* All defaults, into a zeroed or new configuration; to be freed with target_configuration_free or dropped. */
void conf_init(struct target_configuration *configuration);

/* Reads a file into an initialised configuration.  Every problem is reported; those of one key do not hide another's.
 */
void conf_read_file(const char *file, struct target_configuration *configuration, struct spec_problems *problems);

/* Reads what the API made, as it was kept in `file`: discovery, portal groups and targets, whose places in messages are
 * that file's. */
void conf_read_text(const char *file, const char *text, struct target_configuration *configuration,
		    struct spec_problems *problems);

/* The same from the file in the state folder; "" or no such file: there is nothing. */
void conf_read_state(const char *state_dir, struct target_configuration *configuration, struct spec_problems *problems);

/* "daemon.KEY=VALUE" on top of what is there. */
void conf_set(const char *setting, struct target_configuration *configuration, struct spec_problems *problems);

struct conf_command_line {
	const char *const *listen; /* none: TARGET's default port on 127.0.0.1 */
	size_t listen_count;
	const char *target;	  /* NULL: made from the host's name */
	const char *const *paths; /* LUN 0, 1, ... */
	size_t path_count;
};
/* One target, one portal group with tag 1; no state is kept unless daemon.state_dir is set, no API is
 * served unless daemon.api.socket is. */
void conf_from_command_line(const struct conf_command_line *line, struct target_configuration *configuration,
			    struct spec_problems *problems);

#endif
