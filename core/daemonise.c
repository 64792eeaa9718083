/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "daemonise.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "rt/log.h"

static int ready_fd = -1; /* the parent reads the other end; -1: nobody waits */
static bool relay_runs;
static pthread_t relay;

static void __attribute__((noreturn)) fail(const char *what)
{
	rt_log(RT_LOG_ERROR, "cannot go to the background: %s: %s", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* A byte means that the child serves; an end of file that it has ended. */
static void __attribute__((noreturn)) wait_for_child(pid_t child, int fd)
{
	ssize_t count;
	int status;
	char byte;

	do
		count = read(fd, &byte, 1);
	while (count < 0 && errno == EINTR);
	if (count == 1)
		_exit(EXIT_SUCCESS);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

static void replace_with_null(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, fd) < 0)
		fail("/dev/null");
	close(null);
}

/* Whatever the caller had open, a pipe that somebody waits for the end of, say, is not the daemon's to keep. */
static void close_inherited(void)
{
	close_range(STDERR_FILENO + 1, (unsigned)ready_fd - 1, 0);
	close_range((unsigned)ready_fd + 1, UINT_MAX, 0);
}

void daemonise_fork(void)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		fail("pipe");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child > 0) {
		close(fds[1]);
		wait_for_child(child, fds[0]);
	}
	ready_fd = fds[1];
	close_inherited();
	if (setsid() < 0)
		fail("setsid");
	/* The working folder stays, so that relative paths mean what they meant to the caller. */
	umask(022);
	replace_with_null(STDIN_FILENO);
	replace_with_null(STDOUT_FILENO);
}

/* A line of the log is "TIME LEVEL: MESSAGE"; anything else (of a library, of a sanitizer) is passed on as it is. */
static void pass_on(const char *line)
{
	static const struct {
		const char *name;
		int priority;
	} levels[] = {
	    {" error: ", LOG_ERR},
	    {" warning: ", LOG_WARNING},
	    {" info: ", LOG_INFO},
	    {" debug: ", LOG_DEBUG},
	};
	const char *level = line + strcspn(line, " ");

	for (unsigned i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		if (!strncmp(level, levels[i].name, strlen(levels[i].name))) {
			syslog(levels[i].priority, "%s", level + strlen(levels[i].name));
			return;
		}
	syslog(LOG_NOTICE, "%s", line);
}

/* Everything that is written to stderr goes to syslog line by line; a thread does it, as syslog may block. */
static void *relay_lines(void *argument)
{
	FILE *lines = argument;
	char *line = NULL;
	size_t size = 0;

	openlog("tgtkitd", LOG_PID, LOG_DAEMON);
	while (getline(&line, &size, lines) > 0) {
		line[strcspn(line, "\n")] = '\0';
		pass_on(line);
	}
	free(line);
	fclose(lines);
	return NULL;
}

static void start_relay(void)
{
	FILE *lines;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		fail("pipe");
	lines = fdopen(fds[0], "r");
	if (!lines)
		fail("fdopen");
	/* A log that nobody takes is lost; it must not stop a worker. */
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	if (pthread_create(&relay, NULL, relay_lines, lines))
		fail("thread");
	if (dup2(fds[1], STDERR_FILENO) < 0)
		fail("dup2");
	close(fds[1]);
	relay_runs = true;
}

void daemonise_ready(void)
{
	if (ready_fd < 0)
		return;
	start_relay();
	if (write(ready_fd, "", 1) != 1)
		rt_log(RT_LOG_WARNING, "the process that started this one is gone");
	close(ready_fd);
	ready_fd = -1;
}

void daemonise_end(void)
{
	if (!relay_runs)
		return;
	relay_runs = false;
	replace_with_null(STDERR_FILENO);
	pthread_join(relay, NULL);
}
