/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers as people or programs want to see them.
 */
#ifndef TGTKIT_CLI_SHOW_H
#define TGTKIT_CLI_SHOW_H

#include "arguments.h"
#include "table.h"

/* All take the value over; the exit status. */
int show_list(const struct arguments *arguments, json_t *answer, const char *list_key,
	      const struct table_column *columns);
int show_object(const struct arguments *arguments, json_t *answer);
/* A change was made: JSON, or nothing. */
int show_done(const struct arguments *arguments, json_t *answer);

#endif
