/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include <stdio.h>
#include <stdlib.h>

static int show_json(json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(answer);
	return EXIT_SUCCESS;
}

int show_list(const struct arguments *arguments, json_t *answer, const char *list_key,
	      const struct table_column *columns)
{
	if (arguments->json)
		return show_json(answer);
	table_print(json_object_get(answer, list_key), columns);
	json_decref(answer);
	return EXIT_SUCCESS;
}

int show_object(const struct arguments *arguments, json_t *answer)
{
	if (arguments->json)
		return show_json(answer);
	table_print_object(answer);
	json_decref(answer);
	return EXIT_SUCCESS;
}

int show_done(const struct arguments *arguments, json_t *answer)
{
	if (arguments->json)
		return show_json(answer);
	if (json_is_true(json_object_get(answer, "still_closing")))
		fputs("tgtkit: deleted; the store has not closed yet, which goes on (see the daemon's log)\n", stderr);
	json_decref(answer);
	return EXIT_SUCCESS;
}
