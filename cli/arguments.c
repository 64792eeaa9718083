/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "arguments.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "secret_input.h"

void usage_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("tgtkit: ", stderr);
	vfprintf(stderr, format, arguments);
	fputs("\nTry 'tgtkit --help'.\n", stderr);
	va_end(arguments);
	exit(EXIT_USAGE);
}

json_int_t arguments_number(const char *text, const char *what, json_int_t maximum)
{
	char *end;
	long long value = strtoll(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > maximum)
		usage_fail("%s must be a number from 0 to %lld, not \"%s\"", what, (long long)maximum, text);
	return value;
}

enum {
	OPTION_SOCKET = 256,
	OPTION_FORCE,
	OPTION_SIZE,
	OPTION_CREATE,
	OPTION_OPTION,
	OPTION_SHRINK,
	OPTION_READ_ONLY,
	OPTION_ALIAS,
	OPTION_BACKEND,
	OPTION_BLOCK_SIZE,
	OPTION_SERIAL,
	OPTION_TPGT,
	OPTION_WATCH,
	OPTION_INTERVAL,
	OPTION_ROUNDS,
	OPTION_ACCESS,
	OPTION_AUTH,
	OPTION_ADDRESS,
	OPTION_LUN,
	OPTION_POSITION,
	OPTION_REPLACE,
	OPTION_SECRET_FILE,
	OPTION_INITIATOR,
	OPTION_MUTUAL,
	OPTION_STATE,
	OPTION_OPTION_FILE,
	OPTION_VERSION,
	OPTION_HELP,
};

static const struct option long_options[] = {
    {"output", required_argument, NULL, 'o'},
    {"socket", required_argument, NULL, OPTION_SOCKET},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"create", no_argument, NULL, OPTION_CREATE},
    {"option", required_argument, NULL, OPTION_OPTION},
    {"shrink", no_argument, NULL, OPTION_SHRINK},
    {"read-only", no_argument, NULL, OPTION_READ_ONLY},
    {"alias", required_argument, NULL, OPTION_ALIAS},
    {"backend", required_argument, NULL, OPTION_BACKEND},
    {"block-size", required_argument, NULL, OPTION_BLOCK_SIZE},
    {"serial", required_argument, NULL, OPTION_SERIAL},
    {"tpgt", required_argument, NULL, OPTION_TPGT},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"interval", required_argument, NULL, OPTION_INTERVAL},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"access", required_argument, NULL, OPTION_ACCESS},
    {"auth", required_argument, NULL, OPTION_AUTH},
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"lun", required_argument, NULL, OPTION_LUN},
    {"position", required_argument, NULL, OPTION_POSITION},
    {"replace", no_argument, NULL, OPTION_REPLACE},
    {"secret-file", required_argument, NULL, OPTION_SECRET_FILE},
    {"initiator", required_argument, NULL, OPTION_INITIATOR},
    {"mutual", no_argument, NULL, OPTION_MUTUAL},
    {"state", required_argument, NULL, OPTION_STATE},
    {"option-file", required_argument, NULL, OPTION_OPTION_FILE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static void take_option(json_t *object, const char *text, bool from_file)
{
	const char *equals = strchr(text, '=');
	char key[128];

	if (!equals || equals == text || (size_t)(equals - text) >= sizeof(key))
		usage_fail(from_file ? "--option-file must be KEY=FILE, not \"%s\""
				     : "--option must be KEY=VALUE, not \"%s\"",
			   text);
	snprintf(key, sizeof(key), "%.*s", (int)(equals - text), text);
	if (json_object_set_new(object, key, from_file ? secret_input_read_text(equals + 1) : json_string(equals + 1)))
		usage_fail("--option: \"%s\" is no UTF-8", text);
}

/* Of access rules, users and portal groups.  false: it is none of them. */
static bool take_access(struct arguments *arguments, int option)
{
	const struct {
		int option;
		const char **text;
	} texts[] = {
	    {OPTION_ACCESS, &arguments->access},
	    {OPTION_AUTH, &arguments->auth},
	    {OPTION_ADDRESS, &arguments->address},
	    {OPTION_POSITION, &arguments->position},
	    {OPTION_SECRET_FILE, &arguments->secret_file},
	    {OPTION_INITIATOR, &arguments->initiator},
	    {OPTION_STATE, &arguments->state},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (texts[i].option == option) {
			*texts[i].text = optarg;
			return true;
		}
	if (option == OPTION_LUN)
		json_array_append_new(arguments->luns, json_integer(arguments_number(optarg, "--lun", 16383)));
	arguments->replace |= option == OPTION_REPLACE;
	arguments->mutual |= option == OPTION_MUTUAL;
	return option == OPTION_LUN || option == OPTION_REPLACE || option == OPTION_MUTUAL;
}

static void take_output(struct arguments *arguments)
{
	if (strcmp(optarg, "json") && strcmp(optarg, "table"))
		usage_fail("-o must be table or json, not \"%s\"", optarg);
	arguments->json = !strcmp(optarg, "json");
}

static void end_with(const char *text)
{
	fputs(text, stdout);
	exit(EXIT_SUCCESS);
}

static void take_switch(struct arguments *arguments, int option)
{
	switch (option) {
	case OPTION_FORCE:
		arguments->force = true;
		break;
	case OPTION_CREATE:
		arguments->create = true;
		break;
	case OPTION_SHRINK:
		arguments->shrink = true;
		break;
	case OPTION_READ_ONLY:
		arguments->read_only = true;
		break;
	case OPTION_WATCH:
		arguments->watch = true;
		break;
	case OPTION_VERSION:
		end_with("tgtkit " PACKAGE_VERSION "\n");
		break;
	case OPTION_HELP:
		end_with(commands_help());
		break;
	default:
		/* getopt has said what is wrong. */
		fputs("Try 'tgtkit --help'.\n", stderr);
		exit(EXIT_USAGE);
	}
}

static void take(struct arguments *arguments, int option)
{
	switch (option) {
	case 'o':
		take_output(arguments);
		break;
	case OPTION_SOCKET:
		client_set_socket(optarg);
		break;
	case OPTION_SIZE:
		arguments->size = optarg;
		break;
	case OPTION_OPTION:
		take_option(arguments->options, optarg, false);
		break;
	case OPTION_OPTION_FILE:
		take_option(arguments->options, optarg, true);
		break;
	case OPTION_ALIAS:
		arguments->alias = optarg;
		break;
	case OPTION_BACKEND:
		arguments->backend = optarg;
		break;
	case OPTION_BLOCK_SIZE:
		arguments->block_size = optarg;
		break;
	case OPTION_SERIAL:
		arguments->serial = optarg;
		break;
	case OPTION_INTERVAL:
		arguments->interval = optarg;
		break;
	case OPTION_ROUNDS:
		arguments->rounds = optarg;
		break;
	case OPTION_TPGT:
		json_array_append_new(arguments->groups, json_integer(arguments_number(optarg, "--tpgt", 65535)));
		break;
	default:
		if (!take_access(arguments, option))
			take_switch(arguments, option);
	}
}

void arguments_parse(int argc, char **argv, struct arguments *arguments)
{
	int option;

	*arguments = (struct arguments){.options = json_object(), .groups = json_array(), .luns = json_array()};
	while ((option = getopt_long(argc, argv, "o:", long_options, NULL)) != -1)
		take(arguments, option);
	for (int i = optind; i < argc; i++) {
		if (arguments->count == ARGUMENTS_POSITIONS)
			usage_fail("too many arguments");
		arguments->positions[arguments->count++] = argv[i];
	}
}
