/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "client.h"
#include "commands.h"
#include "show.h"

int plugin_list(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"NAME", "name", false, NULL},
	    {"VERSION", "version", false, NULL},
	    {"PREFIXES", "prefixes", false, table_format_list},
	    {"TIER", "tier", false, NULL},
	    {"DESCRIPTION", "description", false, NULL},
	    {0},
	};

	(void)words;
	(void)count;
	return show_list(arguments, client_request("GET", NULL, "/v1/plugins"), "plugins", columns);
}

int plugin_info(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"OPTION", "key", false, NULL},
	    {"TYPE", "type", false, NULL},
	    {"DEFAULT", "default", false, NULL},
	    {"REQUIRED", "required", false, NULL},
	    {"RELOADABLE", "reloadable", false, NULL},
	    {"HELP", "help", false, NULL},
	    {0},
	};
	json_t *plugin = client_request("GET", NULL, "/v1/plugins/%s", client_encode(words[0])), *options;

	(void)count;
	if (arguments->json)
		return show_object(arguments, plugin);
	options = json_incref(json_object_get(plugin, "options"));
	json_object_del(plugin, "options");
	show_object(arguments, plugin);
	table_print(options, columns);
	json_decref(options);
	return EXIT_SUCCESS;
}

int plugin_rescan(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *answer = client_request("POST", NULL, "/v1/plugins?rescan"), *name;
	size_t index;

	(void)words;
	(void)count;
	if (arguments->json)
		return show_object(arguments, answer);
	json_array_foreach(json_object_get(answer, "added"), index, name) puts(json_string_value(name));
	if (!json_array_size(json_object_get(answer, "added")))
		puts("no new plugin");
	json_decref(answer);
	return EXIT_SUCCESS;
}
