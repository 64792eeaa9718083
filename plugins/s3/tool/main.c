/* SPDX-License-Identifier: Apache-2.0
 *
 * tgtkit-s3: lists, checks and converts volumes in a bucket.
 */
#include <config.h>

#include <curl/curl.h>
#include <getopt.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static void usage(FILE *stream)
{
	fputs("usage: tgtkit-s3 [OPTION]... list BUCKET[/PREFIX]\n"
	      "       tgtkit-s3 [OPTION]... check [--clean] BUCKET/PREFIX\n"
	      "       tgtkit-s3 [OPTION]... convert BUCKET/PREFIX\n"
	      "\n"
	      "  -o, --option KEY=VALUE  an option of the plugin, as endpoint=https://s3.example.org; may be repeated\n"
	      "  -n, --clean             with check: delete garbage\n"
	      "  -q, --quiet             no progress bar\n"
	      "  -V, --version           print the version\n"
	      "  -h, --help              print this\n",
	      stream);
}

static int take_option(struct tool *tool, char *text)
{
	char *value = strchr(text, '=');

	if (value == NULL || value == text) {
		fprintf(stderr, "tgtkit-s3: --option %s: KEY=VALUE is expected\n", text);
		return -1;
	}
	*value = '\0';
	return tool_set(tool, text, value + 1);
}

static int parse(int argc, char **argv, struct tool *tool)
{
	static const struct option options[] = {
	    {"option", required_argument, NULL, 'o'}, {"clean", no_argument, NULL, 'n'},
	    {"quiet", no_argument, NULL, 'q'},	      {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},	      {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "o:nqVh", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			if (take_option(tool, optarg) != 0)
				return EXIT_USAGE;
			break;
		case 'n':
			tool->clean = true;
			break;
		case 'q':
			tool->is_quiet = true;
			break;
		case 'V':
			puts("tgtkit-s3 " PACKAGE_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			usage(stdout);
			exit(EXIT_SUCCESS);
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	return EXIT_SUCCESS;
}

static int run(const char *verb, struct tool *tool)
{
	static const struct {
		const char *verb;
		int (*act)(struct tool *tool);
	} verbs[] = {{"list", tool_list}, {"check", tool_check}, {"convert", tool_convert}};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verb, verbs[i].verb) != 0)
			continue;
		if (tool->clean && verbs[i].act != tool_check)
			break;
		return verbs[i].act(tool);
	}
	usage(stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct tool tool = {.path = NULL};
	int status;

	curl_global_init(CURL_GLOBAL_ALL);
	xmlInitParser();
	tool_defaults(&tool);
	status = parse(argc, argv, &tool);
	if (status == EXIT_SUCCESS && argc - optind != 2) {
		usage(stderr);
		status = EXIT_USAGE;
	}
	if (status == EXIT_SUCCESS) {
		tool.path = argv[optind + 1];
		status = run(argv[optind], &tool);
	}
	tool_free(&tool);
	curl_global_cleanup();
	return status;
}
