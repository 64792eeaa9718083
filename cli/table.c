/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define TEXT_BYTES 256

static void write_plain(const json_t *value, char text[static TEXT_BYTES])
{
	char *dumped;

	*text = '\0';
	if (json_is_string(value)) {
		snprintf(text, TEXT_BYTES, "%s", json_string_value(value));
	} else if (json_is_boolean(value)) {
		snprintf(text, TEXT_BYTES, "%s", json_is_true(value) ? "yes" : "no");
	} else if (value) {
		dumped = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		snprintf(text, TEXT_BYTES, "%s", dumped ? dumped : "");
		free(dumped);
	}
}

void table_format_size(const json_t *value, char text[static TEXT_BYTES])
{
	static const char units[] = "BKMGTPE";
	double size = (double)json_integer_value(value);
	unsigned unit = 0;

	for (; size >= 1024 && units[unit + 1]; unit++)
		size /= 1024;
	if (unit == 0)
		snprintf(text, TEXT_BYTES, "%.0fB", size);
	else
		snprintf(text, TEXT_BYTES, size == (double)(uint64_t)size ? "%.0f%c" : "%.1f%c", size, units[unit]);
}

void table_format_list(const json_t *value, char text[static TEXT_BYTES])
{
	size_t index, length = 0;
	json_t *item;

	*text = '\0';
	json_array_foreach(value, index, item)
	{
		char one[TEXT_BYTES];

		write_plain(item, one);
		length += (size_t)snprintf(text + length, TEXT_BYTES - length, "%s%s", index ? "," : "", one);
		if (length >= TEXT_BYTES)
			return;
	}
}

void table_format_count(const json_t *value, char text[static TEXT_BYTES])
{
	snprintf(text, TEXT_BYTES, "%zu", json_array_size(value));
}

void table_format_portals(const json_t *value, char text[static TEXT_BYTES])
{
	json_t *addresses = json_array(), *portal;
	size_t index;

	json_array_foreach(value, index, portal) json_array_append(addresses, json_object_get(portal, "address"));
	table_format_list(addresses, text);
	json_decref(addresses);
}

void table_format_age(const json_t *value, char text[static TEXT_BYTES])
{
	uint64_t seconds = (uint64_t)json_integer_value(value), days = seconds / 86400;
	unsigned rest = (unsigned)(seconds % 86400);

	if (days)
		snprintf(text, TEXT_BYTES, "%" PRIu64 "d %02u:%02u:%02u", days, rest / 3600, rest / 60 % 60, rest % 60);
	else
		snprintf(text, TEXT_BYTES, "%02u:%02u:%02u", rest / 3600, rest / 60 % 60, rest % 60);
}

static struct libscols_table *new_table(void)
{
	struct libscols_table *table;

	scols_init_debug(0);
	table = scols_new_table();
	if (!table)
		client_fail("out of memory");
	return table;
}

static void print(struct libscols_table *table)
{
	if (scols_print_table(table))
		client_fail("the table cannot be printed");
	scols_unref_table(table);
}

static void add_line(struct libscols_table *table, const json_t *object, const struct table_column *columns)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	for (size_t i = 0; line && columns[i].key; i++) {
		const json_t *value = json_object_get(object, columns[i].key);
		char text[TEXT_BYTES];

		if (columns[i].format)
			columns[i].format(value, text);
		else
			write_plain(value, text);
		scols_line_set_data(line, i, text);
	}
}

void table_print(const json_t *list, const struct table_column *columns)
{
	struct libscols_table *table = new_table();
	json_t *object;
	size_t index;

	for (size_t i = 0; columns[i].key; i++)
		scols_table_new_column(table, columns[i].heading, 0, columns[i].right ? SCOLS_FL_RIGHT : 0);
	json_array_foreach(list, index, object) add_line(table, object, columns);
	print(table);
}

void table_print_object(const json_t *object)
{
	struct libscols_table *table = new_table();
	const char *key;
	json_t *value;

	scols_table_enable_noheadings(table, 1);
	scols_table_new_column(table, "KEY", 0, 0);
	scols_table_new_column(table, "VALUE", 0, SCOLS_FL_WRAP);
	json_object_foreach((json_t *)object, key, value)
	{
		struct libscols_line *line = scols_table_new_line(table, NULL);
		char text[TEXT_BYTES];

		write_plain(value, text);
		scols_line_set_data(line, 0, key);
		scols_line_set_data(line, 1, text);
	}
	print(table);
}
