/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of one verb: its options and what stands besides.
 */
#ifndef TGTKIT_CLI_ARGUMENTS_H
#define TGTKIT_CLI_ARGUMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ARGUMENTS_POSITIONS 64u

struct arguments {
	const char *positions[ARGUMENTS_POSITIONS];
	size_t count;
	bool json; /* -o json */
	bool force, shrink, create, read_only, watch, replace, mutual;
	const char *size, *alias, *backend, *block_size, *serial, *interval, *rounds;
	const char *access, *auth, *address, *position, *secret_file, *initiator, *state;
	json_t *options; /* --option KEY=VALUE and --option-file KEY=FILE, an object */
	json_t *luns;	 /* --lun NUMBER, an array */
	json_t *groups;	 /* --tpgt TAG, an array */
};

/* Options may stand anywhere.  Ends the process with EXIT_USAGE on a mistake, after --help and --version with 0. */
void arguments_parse(int argc, char **argv, struct arguments *arguments);
/* One line on stderr, and EXIT_USAGE. */
void usage_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* A whole number of the command line.  Ends the process if it is none. */
json_int_t arguments_number(const char *text, const char *what, json_int_t maximum);

#endif
