/* SPDX-License-Identifier: Apache-2.0 */
#include "mgmt/socket.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

static int refuse(const char *path, const char *what, char error[static MGMT_ERROR_BYTES])
{
	int status = -errno;

	snprintf(error, MGMT_ERROR_BYTES, "api.socket %s: %s: %s", path, what, strerror(-status));
	return status;
}

static int address_of(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address->sun_path, path, strlen(path) + 1);
	return 0;
}

/* Somebody answers there: a second daemon must not take the socket away from the first. */
static bool is_alive(const char *path)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool alive =
	    fd >= 0 && !address_of(path, &address) && !connect(fd, (const struct sockaddr *)&address, sizeof(address));

	if (fd >= 0)
		close(fd);
	return alive;
}

static void make_folder(const char *path)
{
	char folder[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s", path);
	mkdir(dirname(folder), 0755);
}

/* Under a name of its own first, so that the socket never has other permissions than those wanted. */
static int bind_and_listen(int fd, const char *path, uint32_t mode)
{
	struct sockaddr_un address;
	char temporary[PATH_MAX];

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	if (address_of(temporary, &address) || bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return -1;
	if (!chmod(temporary, mode) && !listen(fd, BACKLOG) && !rename(temporary, path))
		return 0;
	unlink(temporary);
	return -1;
}

int mgmt_socket_open(const char *path, uint32_t mode, char error[static MGMT_ERROR_BYTES])
{
	int fd, status;

	if (is_alive(path)) {
		errno = EADDRINUSE;
		return refuse(path, "another daemon listens there", error);
	}
	make_folder(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refuse(path, "no socket", error);
	if (bind_and_listen(fd, path, mode)) {
		status = refuse(path, "cannot be made", error);
		close(fd);
		return status;
	}
	return fd;
}

void mgmt_socket_close(int fd, const char *path)
{
	close(fd);
	unlink(path);
}
