/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
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

/* The name, too, is on the disk. */
static bool sync_folder_of(const char *path)
{
	char copy[4096];
	int fd;
	bool good;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	good = fd >= 0 && !fsync(fd);
	if (fd >= 0)
		close(fd);
	return good;
}

/* A new file beside it first: whoever reads the old one meanwhile gets all of it. */
int config_save(const struct arguments *arguments, const char *const *words, size_t count)
{
	char *text = client_text("/v1/config?format=libconfig"), temporary[4096];
	FILE *file;
	bool good;

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
	if (!sync_folder_of(words[0]))
		client_fail("%s: is written, but may be gone after a power failure: %m", words[0]);
	return show_done(arguments, json_pack("{ss}", "saved", words[0]));
}

/* Is what a shell script looks at: whether all of it could be done. */
static int reload_status(const json_t *answer)
{
	return json_integer_value(json_object_get(answer, "failed")) ? EXIT_REFUSED : EXIT_SUCCESS;
}

static void show_messages(const json_t *answer)
{
	json_t *entry;
	size_t index;

	json_array_foreach(json_object_get(answer, "warnings"), index, entry)
	    fprintf(stderr, "tgtkit: warning: %s\n", json_string_value(entry));
	json_array_foreach(json_object_get(answer, "results"), index, entry)
	{
		const char *message = json_string_value(json_object_get(entry, "message"));

		if (message)
			fprintf(stderr, "tgtkit: %s: %s\n", json_string_value(json_object_get(entry, "object")),
				message);
	}
}

int config_reload(const struct arguments *arguments, const char *const *words, size_t count)
{
	static const struct table_column columns[] = {{"OBJECT", "object", false, NULL},
						      {"RESULT", "result", false, NULL},
						      {"HOW", "how", false, NULL},
						      {"KEYS", "keys", false, table_format_list},
						      {0}};
	json_t *answer = client_request("POST", NULL, "/v1/config?reload");
	int status = reload_status(answer);

	(void)words;
	(void)count;
	if (arguments->json) {
		show_object(arguments, answer);
		return status;
	}
	show_messages(answer);
	if (json_array_size(json_object_get(answer, "results"))) {
		show_list(arguments, answer, "results", columns);
		return status;
	}
	puts("nothing has changed");
	json_decref(answer);
	return status;
}

int version_show(const struct arguments *arguments, const char *const *words, size_t count)
{
	(void)words;
	(void)count;
	return show_object(arguments, client_request("GET", NULL, "/v1/version"));
}
