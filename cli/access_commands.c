/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may use a target: its rules, its users, and whether they count.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "secret_input.h"
#include "show.h"

#define LARGEST_POSITION 1000000

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text && json_object_set_new(object, key, json_string(text)))
		client_fail("%s: \"%s\" is no UTF-8", key, text);
}

/* Adds "&KEY=VALUE", or with "?" if it is the first. */
static void add_query(char *query, size_t size, const char *key, const char *value)
{
	size_t length = strlen(query);

	if (value && (size_t)snprintf(query + length, size - length, "%c%s=%s", length ? '&' : '?', key,
				      client_encode(value)) >= size - length)
		client_fail("%s: is too long", key);
}

/* What is written in place of a target's name, which none is ever like. */
static bool is_discovery(const char *iqn)
{
	return !strcmp(iqn, "discovery");
}

/* The path of a target's list, or of discovery's, with a query. */
static json_t *request(const char *method, json_t *body, const char *iqn, const char *list, const char *query)
{
	if (is_discovery(iqn) && !strcmp(list, "users"))
		return client_request(method, body, "/v1/discovery/%s%s", list, query);
	return client_request(method, body, "/v1/targets/%s/%s%s", client_encode(iqn), list, query);
}

/* Says so where nobody asks the rules or users: the change is kept, and comes into force later. */
static int show_changed(const struct arguments *arguments, const char *iqn, const char *what, json_t *answer)
{
	if (json_is_true(json_object_get(answer, "in_force")))
		return show_done(arguments, answer);
	if (is_discovery(iqn))
		fprintf(stderr, "tgtkit: kept, but discovery asks no users now: 'tgtkit discovery set --auth chap' "
				"puts them into force\n");
	else
		fprintf(stderr,
			"tgtkit: kept, but target %s asks no %s now: 'tgtkit target set %s %s' puts them into force\n",
			iqn, what, iqn, strcmp(what, "users") ? "--access list" : "--auth chap");
	return show_done(arguments, answer);
}

/* ---- Targets ---------------------------------------------------------------------------------------------------- */

int target_set(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *body = json_object();

	(void)count;
	set_text(body, "access", arguments->access);
	set_text(body, "auth", arguments->auth);
	set_text(body, "alias", arguments->alias);
	if (!json_object_size(body))
		usage_fail("target set needs --access, --auth or --alias");
	return show_done(arguments, client_request("PATCH", body, "/v1/targets/%s", client_encode(words[0])));
}

/* ---- Discovery -------------------------------------------------------------------------------------------------- */

int discovery_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)words;
	(void)count;
	return show_object(arguments, client_request("GET", NULL, "/v1/discovery"));
}

int discovery_set(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *body = json_object();

	(void)words;
	(void)count;
	set_text(body, "auth", arguments->auth);
	if (!json_object_size(body))
		usage_fail("discovery set needs --auth none or --auth chap");
	return show_done(arguments, client_request("PATCH", body, "/v1/discovery"));
}

/* ---- Initiators ------------------------------------------------------------------------------------------------- */

static void format_address(const json_t *value, char text[static 256])
{
	snprintf(text, 256, "%s", json_string_length(value) ? json_string_value(value) : "any");
}

static void format_luns(const json_t *value, char text[static 256])
{
	if (json_is_array(value))
		table_format_list(value, text);
	else
		snprintf(text, 256, "all");
}

int initiator_list(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"INITIATOR", "name", false, NULL},
	    {"ADDRESS", "address", false, format_address},
	    {"LUNS", "luns", false, format_luns},
	    {"RO", "read_only", false, NULL},
	    {0},
	};
	json_t *answer = request("GET", NULL, words[0], "initiators", "");

	(void)count;
	if (!arguments->json && !json_is_true(json_object_get(answer, "in_force")))
		printf("access is any: everybody may use the target, whatever the rules say\n");
	return show_list(arguments, answer, "initiators", columns);
}

static json_t *mask_of(const struct arguments *arguments)
{
	json_t *body = json_object();

	if (json_array_size(arguments->luns))
		json_object_set(body, "luns", arguments->luns);
	if (arguments->read_only)
		json_object_set_new(body, "read_only", json_true());
	return body;
}

static json_t *replace(const struct arguments *arguments, const char *const *words)
{
	json_t *body = mask_of(arguments);
	char query[4096] = "";

	if (arguments->position)
		usage_fail("--position is for a new rule; delete the old one first");
	if (!json_object_get(body, "luns"))
		json_object_set_new(body, "luns", json_string("all"));
	json_object_set_new(body, "read_only", json_boolean(arguments->read_only));
	add_query(query, sizeof(query), "name", words[1]);
	add_query(query, sizeof(query), "address", arguments->address);
	return request("PATCH", body, words[0], "initiators", query);
}

static json_t *add_rule(const struct arguments *arguments, const char *const *words)
{
	json_t *body = mask_of(arguments);

	set_text(body, "name", words[1]);
	set_text(body, "address", arguments->address);
	if (arguments->position)
		json_object_set_new(
		    body, "position",
		    json_integer(arguments_number(arguments->position, "--position", LARGEST_POSITION)));
	return request("POST", body, words[0], "initiators", "");
}

int initiator_allow(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return show_changed(arguments, words[0], "rules",
			    arguments->replace ? replace(arguments, words) : add_rule(arguments, words));
}

int initiator_deny(const struct arguments *arguments, const char *const *words, size_t count)
{
	char query[4096] = "";

	(void)count;
	add_query(query, sizeof(query), "name", words[1]);
	add_query(query, sizeof(query), "address", arguments->address);
	return show_changed(arguments, words[0], "rules", request("DELETE", NULL, words[0], "initiators", query));
}

/* ---- Users ------------------------------------------------------------------------------------------------------ */

int user_list(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"USER", "user", false, NULL}, {"INITIATOR", "initiator", false, NULL}, {0}};
	json_t *answer = request("GET", NULL, words[0], "users", "");
	const char *mutual = json_string_value(json_object_get(json_object_get(answer, "mutual"), "user"));

	(void)count;
	if (!arguments->json && !json_is_true(json_object_get(answer, "in_force")))
		printf("auth is none: nobody is asked who he is\n");
	if (!arguments->json && mutual)
		printf("%s itself is %s\n", is_discovery(words[0]) ? "discovery" : "the target", mutual);
	return show_list(arguments, answer, "users", columns);
}

int user_add(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *body = json_object();

	(void)count;
	set_text(body, "user", words[1]);
	set_text(body, "initiator", arguments->initiator);
	if (arguments->mutual)
		json_object_set_new(body, "mutual", json_true());
	json_object_set_new(body, "secret", secret_input_read(arguments->secret_file));
	return show_changed(arguments, words[0], "users", request("POST", body, words[0], "users", ""));
}

int user_delete(const struct arguments *arguments, const char *const *words, size_t count)
{
	char query[4096] = "";

	(void)count;
	add_query(query, sizeof(query), "user", words[1]);
	add_query(query, sizeof(query), "initiator", arguments->initiator);
	add_query(query, sizeof(query), "mutual", arguments->mutual ? "true" : NULL);
	return show_done(arguments, request("DELETE", NULL, words[0], "users", query));
}

/* ---- Portal groups ---------------------------------------------------------------------------------------------- */

int tpgt_state(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *body = json_object();

	(void)count;
	set_text(body, "alua_state", words[1]);
	return show_done(arguments, client_request("PATCH", body, "/v1/portal-groups/%s", client_encode(words[0])));
}
