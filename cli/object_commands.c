/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets, LUNs, portal groups and sessions.
 */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "show.h"

#define LARGEST_LUN 16383
#define LARGEST_TAG 65535

static const struct table_column lun_columns[] = {
    {"LUN", "lun", true, NULL},
    {"PATH", "path", false, NULL},
    {"SIZE", "size", true, table_format_size},
    {"STATE", "state", false, NULL},
    {"RO", "read_only", false, NULL},
    {"BLOCK", "block_size", true, NULL},
    {"SERIAL", "serial", false, NULL},
    {0},
};

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text && json_object_set_new(object, key, json_string(text)))
		client_fail("%s: \"%s\" is no UTF-8", key, text);
}

static const char *force_query(const struct arguments *arguments)
{
	return arguments->force ? "?force=true" : "";
}

/* ---- Targets ---------------------------------------------------------------------------------------------------- */

int target_list(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"NAME", "name", false, NULL},
	    {"LUNS", "luns", true, table_format_count},
	    {"SESSIONS", "sessions", true, NULL},
	    {"TPGT", "portal_groups", false, table_format_list},
	    {"ORIGIN", "origin", false, NULL},
	    {"ALIAS", "alias", false, NULL},
	    {0},
	};

	(void)words;
	(void)count;
	return show_list(arguments, client_request("GET", NULL, "/v1/targets"), "targets", columns);
}

int target_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *target = client_request("GET", NULL, "/v1/targets/%s", client_encode(words[0])), *luns;

	(void)count;
	if (arguments->json)
		return show_object(arguments, target);
	luns = json_incref(json_object_get(target, "luns"));
	json_object_del(target, "luns");
	show_object(arguments, target);
	table_print(luns, lun_columns);
	json_decref(luns);
	return EXIT_SUCCESS;
}

int target_create(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *body = json_object();

	(void)count;
	set_text(body, "name", words[0]);
	set_text(body, "alias", arguments->alias);
	set_text(body, "access", arguments->access);
	set_text(body, "auth", arguments->auth);
	if (json_array_size(arguments->groups))
		json_object_set(body, "portal_groups", arguments->groups);
	return show_done(arguments, client_request("POST", body, "/v1/targets"));
}

int target_delete(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return show_done(arguments, client_request("DELETE", NULL, "/v1/targets/%s%s", client_encode(words[0]),
						   force_query(arguments)));
}

/* ---- LUNs ------------------------------------------------------------------------------------------------------- */

/* Those of every target, each with its target's name. */
static json_t *luns_of_all(void)
{
	json_t *answer = client_request("GET", NULL, "/v1/targets"), *all = json_array(), *target, *lun;
	size_t i, k;

	json_array_foreach(json_object_get(answer, "targets"), i, target)
	    json_array_foreach(json_object_get(target, "luns"), k, lun)
	{
		json_object_set(lun, "target", json_object_get(target, "name"));
		json_array_append(all, lun);
	}
	json_decref(answer);
	answer = json_object();
	json_object_set_new(answer, "luns", all);
	return answer;
}

int lun_list(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"TARGET", "target", false, NULL},
	    {"LUN", "lun", true, NULL},
	    {"PATH", "path", false, NULL},
	    {"SIZE", "size", true, table_format_size},
	    {"STATE", "state", false, NULL},
	    {"RO", "read_only", false, NULL},
	    {0},
	};

	if (count == 0)
		return show_list(arguments, luns_of_all(), "luns", columns);
	return show_list(arguments, client_request("GET", NULL, "/v1/targets/%s/luns", client_encode(words[0])), "luns",
			 lun_columns);
}

static int number_of_lun(const char *const *words)
{
	return (int)arguments_number(words[1], "LUN", LARGEST_LUN);
}

int lun_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return show_object(arguments, client_request("GET", NULL, "/v1/targets/%s/luns/%d", client_encode(words[0]),
						     number_of_lun(words)));
}

int lun_create(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *body = json_object();

	(void)count;
	if (strcmp(words[1], "auto"))
		json_object_set_new(body, "lun", json_integer(number_of_lun(words)));
	set_text(body, "path", words[2]);
	set_text(body, "size", arguments->size);
	set_text(body, "backend", arguments->backend);
	set_text(body, "serial", arguments->serial);
	if (arguments->create)
		json_object_set_new(body, "create", json_true());
	if (arguments->read_only)
		json_object_set_new(body, "read_only", json_true());
	if (arguments->block_size)
		json_object_set_new(body, "block_size",
				    json_integer(arguments_number(arguments->block_size, "--block-size", 4096)));
	if (json_object_size(arguments->options))
		json_object_set(body, "options", arguments->options);
	return show_done(arguments, client_request("POST", body, "/v1/targets/%s/luns", client_encode(words[0])));
}

int lun_delete(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return show_done(arguments, client_request("DELETE", NULL, "/v1/targets/%s/luns/%d%s", client_encode(words[0]),
						   number_of_lun(words), force_query(arguments)));
}

static int change_lun(const struct arguments *arguments, const char *const *words, json_t *body)
{
	return show_done(arguments, client_request("PATCH", body, "/v1/targets/%s/luns/%d", client_encode(words[0]),
						   number_of_lun(words)));
}

int lun_resize(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *body = json_object();

	(void)count;
	set_text(body, "size", words[2]);
	if (arguments->shrink)
		json_object_set_new(body, "shrink", json_true());
	return change_lun(arguments, words, body);
}

int lun_online(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return change_lun(arguments, words, json_pack("{sb}", "online", 1));
}

int lun_offline(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return change_lun(arguments, words, json_pack("{sb}", "online", 0));
}

/* ---- Portal groups ---------------------------------------------------------------------------------------------- */

int tpgt_list(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"TAG", "tag", true, NULL},
	    {"STATE", "alua_state", false, NULL},
	    {"PORTALS", "portals", false, table_format_portals},
	    {"ORIGIN", "origin", false, NULL},
	    {0},
	};

	(void)words;
	(void)count;
	return show_list(arguments, client_request("GET", NULL, "/v1/portal-groups"), "portal_groups", columns);
}

int tpgt_create(const struct arguments *arguments, const char *const *words, size_t count)
{
	json_t *portals = json_array(), *body;

	for (size_t i = 1; i < count; i++)
		json_array_append_new(portals, json_string(words[i]));
	body = json_pack("{sIso}", "tag", arguments_number(words[0], "TAG", LARGEST_TAG), "portals", portals);
	set_text(body, "alua_state", arguments->state);
	return show_done(arguments, client_request("POST", body, "/v1/portal-groups"));
}

int tpgt_delete(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return show_done(arguments, client_request("DELETE", NULL, "/v1/portal-groups/%d",
						   (int)arguments_number(words[0], "TAG", LARGEST_TAG)));
}

/* ---- Sessions --------------------------------------------------------------------------------------------------- */

int session_list(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"ID", "id", true, NULL},
	    {"INITIATOR", "initiator", false, NULL},
	    {"TARGET", "target", false, NULL},
	    {"ADDRESS", "address", false, NULL},
	    {"TPGT", "portal_group", true, NULL},
	    {"WORKER", "worker", true, NULL},
	    {"AGE", "age_s", true, table_format_age},
	    {0},
	};

	(void)words;
	(void)count;
	return show_list(arguments, client_request("GET", NULL, "/v1/sessions"), "sessions", columns);
}

int session_drop(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)count;
	return show_done(arguments, client_request("DELETE", NULL, "/v1/sessions/%d",
						   (int)arguments_number(words[0], "ID", LARGEST_TAG)));
}
