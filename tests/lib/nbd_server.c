/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/nbd_server.h"

#define BACKLOG		128
#define FIRST_PASSED_FD 3 /* as systemd passes them */

static void die(const char *what)
{
	fprintf(stderr, "nbd server: %s: %s\n", what, strerror(errno));
	abort();
}

bool nbd_server_has(const char *program)
{
	static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"};
	char path[128];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], program);
		if (access(path, X_OK) == 0)
			return true;
	}
	fprintf(stderr, "skipped: %s is not installed\n", program);
	return false;
}

static int listen_unix(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0)
		die(path);
	return fd;
}

static int listen_tcp(unsigned *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
	socklen_t length = sizeof(address);
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, BACKLOG) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		die("a TCP port");
	*port = ntohs(address.sin_port);
	return fd;
}

int nbd_server_listen(struct nbd_server *server, const char *path)
{
	int fd;

	if (path == NULL)
		path = "";
	if (path != server->socket)
		snprintf(server->socket, sizeof(server->socket), "%s", path);
	if (server->socket[0] != '\0') {
		snprintf(server->uri, sizeof(server->uri), "nbd+unix:///?socket=%s", server->socket);
		return listen_unix(server->socket);
	}
	fd = listen_tcp(&server->port);
	snprintf(server->uri, sizeof(server->uri), "nbd://127.0.0.1:%u/", server->port);
	return fd;
}

/* In the child. */
static void __attribute__((noreturn)) become(const struct nbd_server *server, int fd, pid_t parent)
{
	char pid[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	if (getenv("NBD_SERVER_VERBOSE") == NULL && freopen("/dev/null", "w", stderr) == NULL)
		_exit(1);
	if (fd == FIRST_PASSED_FD)
		fcntl(fd, F_SETFD, 0);
	else
		dup2(fd, FIRST_PASSED_FD);
	execvp(server->arguments[0], (char *const *)server->arguments);
	_exit(127);
}

static void run(struct nbd_server *server, int fd)
{
	const pid_t parent = getpid();

	server->pid = fork();
	if (server->pid < 0)
		die("fork");
	if (server->pid == 0)
		become(server, fd, parent);
	close(fd);
}

void nbd_server_start(struct nbd_server *server, const char *path, const char *const *arguments)
{
	size_t count = 0;

	*server = (struct nbd_server){0};
	for (; arguments[count] != NULL && count < NBD_SERVER_ARGUMENTS - 1; count++)
		server->arguments[count] = arguments[count];
	run(server, nbd_server_listen(server, path));
}

void nbd_server_restart(struct nbd_server *server)
{
	run(server, nbd_server_listen(server, server->socket));
}

void nbd_server_freeze(const struct nbd_server *server)
{
	int status = 0;

	kill(server->pid, SIGSTOP);
	while (waitpid(server->pid, &status, WUNTRACED) < 0 && errno == EINTR)
		;
	if (!WIFSTOPPED(status))
		die("it ended instead of stopping");
}

void nbd_server_kill(struct nbd_server *server, int signal)
{
	if (server->pid == 0)
		return;
	kill(server->pid, signal);
	while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
		;
	server->pid = 0;
	if (server->socket[0] != '\0')
		unlink(server->socket);
}
