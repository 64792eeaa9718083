/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of objects as tables, by libsmartcols.
 */
#ifndef TGTKIT_CLI_TABLE_H
#define TGTKIT_CLI_TABLE_H

#include <jansson.h>
#include <stdbool.h>

struct table_column {
	const char *heading, *key; /* key NULL ends the columns */
	bool right;
	/* NULL: the value as it is; else writes it into `text`. */
	void (*format)(const json_t *value, char text[static 256]);
};

/* One line per element of the list. */
void table_print(const json_t *list, const struct table_column *columns);
/* One object, a line per key. */
void table_print_object(const json_t *object);

/* Formats. */
void table_format_size(const json_t *value, char text[static 256]); /* 10G, 1.5T */
void table_format_list(const json_t *value, char text[static 256]); /* 1,2 */
void table_format_count(const json_t *value, char text[static 256]);
void table_format_portals(const json_t *value, char text[static 256]);
void table_format_age(const json_t *value, char text[static 256]); /* 1d 02:03:04 */

#endif
