/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks that the daemon's program makes in a child: nothing is running yet that could be asked, and what a plugin's
 * file does when it is loaded is done with the caller's rights, and to nobody else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "commands.h"
#include "show.h"

#define MOST_OUTPUT_BYTES (1u << 20)

/* In the child: the installed daemon, or (in a build tree) one that PATH leads to. */
static void __attribute__((noreturn)) run_daemon(const char *const *words)
{
	execv(TGTKIT_SBINDIR "/tgtkitd", (char *const *)words);
	if (errno == ENOENT)
		execvp("tgtkitd", (char *const *)words);
	fprintf(stderr, "tgtkit: tgtkitd cannot be started: %s\n", strerror(errno));
	_exit(EXIT_REFUSED);
}

static pid_t start(const char *const *words, int *output)
{
	int ends[2];
	pid_t child;

	if (pipe(ends) || (child = fork()) < 0)
		client_fail("tgtkitd cannot be started: %m");
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		run_daemon(words);
	}
	close(ends[1]);
	*output = ends[0];
	return child;
}

static json_t *read_lines(int fd)
{
	FILE *stream = fdopen(fd, "r");
	json_t *lines = json_array();
	size_t size = 0, total = 0;
	char *line = NULL;
	ssize_t length;

	while (stream && (length = getline(&line, &size, stream)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		total += (size_t)length;
		/* Names of files need not be UTF-8. */
		if (total <= MOST_OUTPUT_BYTES && json_array_append_new(lines, json_string(line)))
			json_array_append_new(lines, json_string("(a line that is no UTF-8)"));
	}
	free(line);
	if (stream)
		fclose(stream);
	return lines;
}

static int show_verdict(const struct arguments *arguments, json_t *problems, bool accepted)
{
	json_t *problem;
	size_t index;

	if (arguments->json) {
		show_done(arguments, json_pack("{sbso}", "accepted", (int)accepted, "problems", problems));
	} else {
		json_array_foreach(problems, index, problem) fprintf(stderr, "%s\n", json_string_value(problem));
		json_decref(problems);
	}
	return accepted ? EXIT_SUCCESS : EXIT_REFUSED;
}

static int check(const struct arguments *arguments, const char *const *words)
{
	int output, status;
	pid_t child = start(words, &output);
	json_t *problems = read_lines(output);

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			client_fail("waiting for tgtkitd: %m");
	if (WIFSIGNALED(status))
		json_array_append_new(problems,
				      json_sprintf("tgtkitd was killed by signal %d in the check", WTERMSIG(status)));
	return show_verdict(arguments, problems, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int config_check(const struct arguments *arguments, const char *const *words, size_t count)
{
	const char *const of_a_file[] = {"tgtkitd", "--check", "-c", count ? words[0] : NULL, NULL};
	const char *const of_the_default[] = {"tgtkitd", "--check", NULL};

	return check(arguments, count ? of_a_file : of_the_default);
}

int plugin_check(const struct arguments *arguments, const char *const *words, size_t count)
{
	const char *const line[] = {"tgtkitd", "--check-plugin", words[0], NULL};

	(void)count;
	return check(arguments, line);
}
