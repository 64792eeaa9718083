/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "show.h"

int config_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	char *text;

	(void)words;
	(void)count;
	if (arguments->json)
		return show_object(arguments, client_request("GET", NULL, "/v1/config"));
	text = client_text("/v1/config?format=libconfig");
	fputs(text, stdout);
	free(text);
	return EXIT_SUCCESS;
}

/* A new file beside it first: whoever reads the old one meanwhile gets all of it. */
int config_save(const struct arguments *arguments, const char *const *words, size_t count)
{
	char *text = client_text("/v1/config?format=libconfig"), temporary[4096];
	FILE *file;
	bool good;

	(void)arguments;
	(void)count;
	if (snprintf(temporary, sizeof(temporary), "%s.new", words[0]) >= (int)sizeof(temporary))
		client_fail("%s: the name is too long", words[0]);
	file = fopen(temporary, "w");
	if (!file)
		client_fail("%s: %m", temporary);
	good = fputs(text, file) >= 0 && !fflush(file) && !fsync(fileno(file));
	good = !fclose(file) && good && !rename(temporary, words[0]);
	if (!good) {
		unlink(temporary);
		client_fail("%s: %m", words[0]);
	}
	free(text);
	return EXIT_SUCCESS;
}

int config_reload(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {
	    {"OBJECT", "object", false, NULL}, {"RESULT", "result", false, NULL}, {0}};
	json_t *answer = client_request("POST", NULL, "/v1/config?reload"), *warning;
	size_t index;

	(void)words;
	(void)count;
	if (arguments->json)
		return show_object(arguments, answer);
	json_array_foreach(json_object_get(answer, "warnings"), index, warning)
	    fprintf(stderr, "tgtkit: warning: %s\n", json_string_value(warning));
	if (json_array_size(json_object_get(answer, "results")))
		return show_list(arguments, answer, "results", columns);
	puts("nothing has changed");
	json_decref(answer);
	return EXIT_SUCCESS;
}

/* The daemon's own check, as only that knows the plugins; no running one is needed. */
int config_check(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)arguments;
	if (count)
		execlp("tgtkitd", "tgtkitd", "--check", "-c", words[0], NULL);
	else
		execlp("tgtkitd", "tgtkitd", "--check", NULL);
	if (count)
		execl(TGTKIT_SBINDIR "/tgtkitd", "tgtkitd", "--check", "-c", words[0], NULL);
	else
		execl(TGTKIT_SBINDIR "/tgtkitd", "tgtkitd", "--check", NULL);
	client_fail("tgtkitd cannot be started: %m");
}

int version_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)words;
	(void)count;
	return show_object(arguments, client_request("GET", NULL, "/v1/version"));
}
